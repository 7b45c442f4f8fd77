#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>

namespace evented::cli {

/// Adds to each of `status["types"]` how many events came in the last hour and
/// day, and to `status` the sums. Times and numbers do not grow in quite the same
/// order, so this is right but for the seconds at the edge.
void add_growth(journal& x, nlohmann::json& status);

/// Returns how many events, appends and transactions the last ten seconds up to
/// the frontier have brought, as far as they are among the last 2000 numbers. What
/// was stored by one transaction has one time.
nlohmann::json describe_recent(journal& x, std::uint64_t frontier);

} // namespace evented::cli
