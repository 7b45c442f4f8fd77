#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// Copies events into a journal's table over one connection for a while, and
/// commits: of entities in random order, as the benchmarks' commands come.
/// @param versions the last version of each entity, which this moves on
/// @returns rows per second, the commit included
/// @throws std::runtime_error
double copy_events(const std::string& url, const std::string& schema,
                   std::chrono::milliseconds duration,
                   std::vector<std::uint64_t>& versions);

} // namespace bench
