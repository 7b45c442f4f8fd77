#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace evented::cli {

/// A bar on the terminal that tells how far something is, how fast, and until
/// when; nothing where stderr is no terminal.
class progress {
public:
  /// @param total about how much there is; 0 where nobody knows
  progress(std::string what, std::uint64_t total);

  /// Clears the line.
  ~progress();

  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// Says that `count` more are done.
  void add(std::uint64_t count = 1) {
    done_ += count;
    // The clock is dearer than what is counted.
    if (shown_ && (done_ & 1023) < count)
      show();
  }

  [[nodiscard]] std::uint64_t done() const noexcept { return done_; }

  [[nodiscard]] double seconds() const;

private:
  using clock = std::chrono::steady_clock;

  void show();

  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  clock::time_point begin_ = clock::now();
  clock::time_point last_ = clock::time_point::min();
  bool shown_;
};

/// Whether somebody has pressed Ctrl-C since `watch_interrupts`: long verbs end
/// in order then, and say how to go on.
void watch_interrupts();
bool interrupted() noexcept;

} // namespace evented::cli
