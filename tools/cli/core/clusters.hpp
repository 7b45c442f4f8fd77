#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

namespace evented::cli {

/// Describes the clusters on a journal: their nodes, with what these own and
/// which projections they run, and who has which shard since when.
nlohmann::json describe_clusters(journal& x);

} // namespace evented::cli
