#pragma once

#include <cstdint>

namespace evented::test {

/// Random numbers that are the same everywhere: SplitMix64 (G. Steele, D. Lea,
/// C. Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
class dice {
public:
  explicit dice(std::uint64_t seed = 0) : state_(seed) {
    // nop
  }

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    auto x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }

  /// Returns a number below `n`.
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }

  /// Returns true in `n` of 1000 cases.
  bool permille(std::uint64_t n) noexcept { return below(1000) < n; }

  /// Returns one of the arguments.
  template <class T, class... Ts>
  T one_of(T first, Ts... others) noexcept {
    T all[] = {first, static_cast<T>(others)...};
    return all[below(1 + sizeof...(Ts))];
  }

private:
  std::uint64_t state_;
};

} // namespace evented::test
