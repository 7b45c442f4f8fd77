#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

namespace evented::cli {

/// Returns what the journal says of its projections, as an array. It does not
/// know which events a projection reads, so its lag counts all that its slices
/// have between the checkpoint and the frontier; one that runs passes over those
/// of others within a second.
/// @param name only this one; empty: all
/// @throws failure(not_found) where there is no projection `name`
nlohmann::json describe_projections(journal& x, std::uint64_t frontier,
                                    const std::string& name = {});

/// Prints what `describe_projections` has returned.
void print_projections(const nlohmann::json& list);

} // namespace evented::cli
