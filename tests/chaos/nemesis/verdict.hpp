#pragma once

#include "chaos/nemesis/recorder.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace evented::test::nemesis {

/// Returns the seed of the first round: EVENTED_SEED, or one that nobody has
/// chosen.
std::uint64_t first_seed();

/// Returns for how long rounds are to be run beyond the first one: a share of
/// EVENTED_CHAOS_SECONDS, else not at all.
std::chrono::milliseconds more_rounds(double share);

/// Checks what was written down. Returns what is wrong, and where the whole
/// history is and how to see it again; empty where nothing is wrong.
/// @param so_far what is known to be wrong already
/// @param test the name of the test
[[nodiscard]] std::string verdict(const recorder& book, std::string so_far,
                                  const std::string& test, std::uint64_t seed);

/// Checks a history in a file, for `chaos_tests --check FILE`. Returns what a
/// program returns.
int check_file(const std::string& path);

} // namespace evented::test::nemesis
