#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <string>
#include <sys/types.h>

namespace evented::test {

// The allocator of a sanitizer keeps what was freed, so memory says nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool memory_is_telling = false;
#else
inline constexpr bool memory_is_telling = true;
#endif

/// Lets a process that is started with it know exactly what it has on the heap:
/// without the pieces that each of its threads keeps for the next time.
inline const std::string exact_heap
  = "GLIBC_TUNABLES=glibc.malloc.tcache_count=0";

/// Returns how many bytes this process has asked for and not given back.
inline std::uint64_t heap_in_use() {
  auto x = ::mallinfo2();
  return x.uordblks + x.hblkhd;
}

/// What the kernel says of a process.
struct vital_signs {
  /// What it has in memory, in KiB.
  std::uint64_t resident = 0;
  std::uint64_t threads = 0;
  std::uint64_t files = 0;
};

/// Looks at another process of the own user.
inline vital_signs vital_signs_of(pid_t pid) {
  vital_signs result;
  auto place = "/proc/" + std::to_string(pid);
  std::ifstream status{place + "/status"};
  for (std::string key; status >> key;) {
    if (key == "VmRSS:")
      status >> result.resident;
    else if (key == "Threads:")
      status >> result.threads;
  }
  for ([[maybe_unused]] auto& x :
       std::filesystem::directory_iterator{place + "/fd"})
    ++result.files;
  return result;
}

} // namespace evented::test
