#pragma once

#include <evented/event_filter.hpp>
#include <evented/options.hpp>
#include <evented/transaction.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace evented::detail {

/// The statement that reads a part of the journal, and its parameters.
struct event_query {
  std::string sql;
  std::vector<parameter> params;
  /// How many events it looks at, at most. Where it has met as many, the last
  /// row tells in its column `version` up to where it came.
  std::uint64_t scan = 0;
};

/// Returns the query for `filter`: one ordered scan of an index per entity type
/// (or per type and tag), merged, so that its cost depends on how many events it
/// looks at, never on the size of the table or on other types.
///
/// Its columns: type_name, entity_id, seq_no, version, event_name,
/// schema_version, created_at in microseconds, event, metadata, tags divided by
/// line feeds. A row without type_name ends the result.
event_query make_event_query(const journal_options& options,
                             const event_filter& filter, std::uint64_t after,
                             std::uint64_t up_to, std::size_t limit);

/// What a transaction or session that runs the query sets before: the journal
/// grows faster than its statistics, so the planner must not trust them. What it
/// must not do it may still have to, and takes for so expensive then that it
/// would compile it (jit).
inline constexpr const char* event_query_settings[]
  = {"enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"};

} // namespace evented::detail
