#pragma once

#include "chaos/nemesis/history.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace evented::test::nemesis {

/// Writes a history down while it happens. Thread-safe.
class recorder {
public:
  explicit recorder(std::uint64_t seed, std::string_view what) {
    add(run_line(seed, what));
  }

  /// Writes down that a call is about to be sent, and gives it a number.
  void invoked(call& x) {
    std::lock_guard guard{mutex_};
    x.number = ++calls_;
    lines_.push_back(stamped(to_line(x)));
  }

  /// Writes down that an answer has come.
  void replied(std::uint64_t call, const reply& x) {
    add(stamped(to_line(call, x)));
  }

  void fault(std::string_view what) { add(stamped(fault_line(what))); }

  /// Writes down a line as it is.
  void add(std::string line) {
    std::lock_guard guard{mutex_};
    lines_.push_back(std::move(line));
  }

  [[nodiscard]] std::vector<std::string> lines() const {
    std::lock_guard guard{mutex_};
    return lines_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  std::uint64_t calls_ = 0;
};

} // namespace evented::test::nemesis
