#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace evented::test::nemesis {

/// Draws numbers that depend on a seed only, with every standard library: the
/// distributions of <random> do not.
class dice {
public:
  explicit dice(std::uint64_t seed) : engine_(seed) {
    // nop
  }

  std::uint64_t any() { return engine_(); }

  /// Returns a number from 0 to `n` - 1.
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }

  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }

  std::chrono::milliseconds between(std::chrono::milliseconds least,
                                    std::chrono::milliseconds most) {
    return std::chrono::milliseconds{
      between(static_cast<std::uint64_t>(least.count()),
              static_cast<std::uint64_t>(most.count()))};
  }

  /// Returns true in so many of a hundred cases.
  bool percent(unsigned n) { return below(100) < n; }

  template <class T>
  void shuffle(std::vector<T>& xs) {
    for (auto i = xs.size(); i > 1; --i)
      std::swap(xs[i - 1], xs[below(i)]);
  }

private:
  std::mt19937_64 engine_;
};

} // namespace evented::test::nemesis
