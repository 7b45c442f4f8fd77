#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace evented::cli {

/// What checks have found, told at once: there may be more than fit into memory.
/// Thread-safe.
class faults {
public:
  faults(bool json, std::uint64_t most) : json_(json), most_(most) {
    // nop
  }

  /// Tells that something is wrong with `where`.
  void add(const char* check, const std::string& where,
           const std::string& what);

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  /// Whether there are so many that it is not worth going on.
  [[nodiscard]] bool enough() const noexcept {
    return most_ > 0 && count_ >= most_;
  }

private:
  bool json_;
  std::uint64_t most_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> count_ = 0;
};

} // namespace evented::cli
