#pragma once

#include "chaos/nemesis/faults.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace evented::test::nemesis {

/// When a fault strikes, and for how long.
struct planned {
  std::chrono::milliseconds at{0};
  std::chrono::milliseconds lasts{0};
  std::size_t which = 0;
  /// Of what it decides itself.
  std::uint64_t seed = 0;
};

/// Draws up faults that overlap, each one only where it is not at work already,
/// until `time` is over.
std::vector<planned> plan_of_many(const faults& of, std::uint64_t seed,
                                  std::chrono::milliseconds time);

/// Draws up each fault once, in any order.
std::vector<planned> plan_of_each(const faults& of, std::uint64_t seed);

/// Carries out a plan of faults that overlap.
void strike_many(bed& at, const faults& of, const std::vector<planned>& plan);

/// Carries out a plan of one fault after the other; after each, everything has
/// to come back. Returns what has not.
[[nodiscard]] std::string strike_each(bed& at, const faults& of,
                                      const std::vector<planned>& plan);

} // namespace evented::test::nemesis
