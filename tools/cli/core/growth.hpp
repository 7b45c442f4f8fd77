#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

namespace evented::cli {

/// Adds to each of `status["types"]` how many events came in the last hour and
/// day, and to `status` the sums. Times and numbers do not grow in quite the same
/// order, so this is right but for the seconds at the edge.
void add_growth(journal& x, nlohmann::json& status);

} // namespace evented::cli
