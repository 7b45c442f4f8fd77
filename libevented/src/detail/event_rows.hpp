#pragma once

#include "detail/event_query.hpp"
#include "detail/pq.hpp"

#include <evented/store.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace evented::detail {

/// Returns the point in time that `text`, microseconds since 1970, means.
timestamp microseconds(std::string_view text);

/// Returns the ID that `text` means in a journal with IDs of `kind`.
entity_id read_id(id_kind kind, std::string_view text);

/// Returns the event whose columns, from seq_no to tags, begin at `from`.
stored_event read_event(const pqxx::row& row, int from, codec payloads);

/// Returns what `query` has found.
read_result read_entries(const pqxx::result& found, const event_query& query,
                         const journal_options& options, std::uint64_t up_to,
                         std::size_t limit);

/// Returns tags as one text, divided by line feeds.
std::string join_tags(const std::vector<std::string>& tags);

/// Returns the tags in a text that `join_tags` made.
std::vector<std::string> split_tags(std::string_view text);

/// Returns an event's payload, or a snapshot's state.
std::string read_payload(const pqxx::field& x, codec payloads);

} // namespace evented::detail
