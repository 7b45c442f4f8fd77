#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>

namespace evented::cli {

/// Returns what is in each entity type, as an array: how many events and
/// entities, and the last event.
/// @param most_counted with more rows than that, the number of events is the
///        planner's word, and that of entities null: counting takes a look at
///        all of them
nlohmann::json describe_types(journal& x, std::int64_t most_counted);

/// Returns what is under way, which is found fast however large the journal is:
/// frontier and who holds it, projections, dead letters, and the outbox.
nlohmann::json describe_state(journal& x);

/// Returns both, and how the journal grows.
nlohmann::json describe_journal(journal& x, std::int64_t most_counted);

/// Returns what the journal knows of an entity beside its events.
/// @throws failure(not_found)
nlohmann::json describe_entity(journal& x, const std::string& type,
                               const entity_id& id);

} // namespace evented::cli
