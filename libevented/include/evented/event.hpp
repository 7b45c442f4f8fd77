#pragma once

#include <evented/entity_id.hpp>
#include <evented/export.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace evented {

/// Points in time of the journal: microseconds of the database's clock, UTC.
using timestamp = std::chrono::time_point<std::chrono::system_clock,
                                          std::chrono::microseconds>;

/// Names how an event is written: one decoder reads all events of a shape.
struct event_shape {
  /// The stable name of the event type.
  std::string name;
  /// The schema version of the payload, from 1 on.
  std::int32_t schema_version = 1;

  /// Orders by name, then by schema version.
  friend auto operator<=>(const event_shape&, const event_shape&) = default;
};

/// An event on its way into the journal.
struct new_event {
  /// The stable name of the event type. Points to static storage.
  std::string_view name;
  /// The schema version of the payload, from 1 on.
  std::int32_t schema_version = 1;
  /// JSON text, or the bytes of the binary codec.
  std::string payload;
  /// JSON text; empty where there is no metadata.
  std::string metadata;
  /// By which readers may ask for it, see `event_filter`; see `valid_tag`.
  std::vector<std::string> tags = {};
};

/// Checks whether `tag` can be stored: 1 to 200 bytes of valid UTF-8 without
/// NUL and line feed.
EVENTED_EXPORT bool valid_tag(std::string_view tag) noexcept;

/// An event as the journal holds it.
struct stored_event {
  /// The place in the journal, over all entities.
  std::uint64_t seq_no = 0;
  /// The place in the history of its entity: 1, 2, 3 and so on.
  std::uint64_t version = 0;
  /// See `event_shape`.
  std::string name;
  /// See `event_shape`.
  std::int32_t schema_version = 1;
  /// When its transaction began, by the database's clock.
  timestamp created_at;
  /// Written with the journal's codec.
  std::string payload;
  /// JSON, empty where there is none.
  std::string metadata;
  /// What projections can ask for, see `tags_of`.
  std::vector<std::string> tags = {};
};

/// A stored event together with the entity it belongs to.
struct journal_entry {
  /// The type of its entity.
  std::string type_name;
  /// The ID of its entity.
  entity_id id;
  /// The event itself.
  stored_event event;
};

} // namespace evented
