#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace evented::test {

/// Waits until `condition()` holds, looking every few milliseconds. Returns
/// whether it did before the deadline.
///
///     ASSERT_TRUE(wait_until([&] { return seen == 3; }));
template <class F>
[[nodiscard]] bool wait_until(F&& condition, std::chrono::milliseconds deadline
                                             = std::chrono::seconds{10}) {
  using clock = std::chrono::steady_clock;
  const auto end = clock::now() + deadline;
  auto pause = std::chrono::milliseconds{1};
  for (;;) {
    // The last look comes after the deadline, so that a machine that stalls
    // between look and clock does not fail a condition that holds.
    const auto late = clock::now() >= end;
    if (condition())
      return true;
    if (late)
      return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds{10});
  }
}

} // namespace evented::test
