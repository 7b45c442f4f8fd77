#pragma once

#include <evented/actors/seam.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace evented {

/// An event on its way to the consumer of a subscription, on any node. See
/// `decode`.
struct published_event {
  /// The type of its entity.
  std::string type_name;
  /// As `to_string(entity_id)` writes it.
  std::string id;
  /// The place in the history of its entity.
  std::uint64_t version = 0;
  /// The place in the whole journal.
  std::uint64_t seq_no = 0;
  /// As it is stored, so perhaps that of an old shape.
  /// @{
  std::string name;
  std::int32_t schema_version = 1;
  /// @}
  /// Microseconds since 1970, UTC.
  std::int64_t created_at_us = 0;
  /// JSON, or the bytes of the binary codec.
  bool binary = false;
  /// See `binary`.
  std::string payload;
  /// JSON, empty where there is none.
  std::string metadata;
  /// What the event was tagged with.
  std::vector<std::string> tags;
};

/// Some events of a subscription, in the order of seq_no.
struct event_batch {
  /// At least one.
  std::vector<published_event> events;
  /// What to acknowledge once all of them are done with.
  std::uint64_t up_to = 0;
};

/// Says that a consumer is done with every event up to this one.
struct ack {
  /// From `event_batch::up_to`.
  std::uint64_t up_to = 0;
};

template <class Inspector>
auto inspect(Inspector& f, published_event& x) {
  return inspect_object(
    f, x, "evented::published_event", field("type_name", x.type_name),
    field("id", x.id), field("version", x.version), field("seq_no", x.seq_no),
    field("name", x.name), field("schema_version", x.schema_version),
    field("created_at_us", x.created_at_us), field("binary", x.binary),
    field("payload", x.payload), field("metadata", x.metadata),
    field("tags", x.tags));
}

template <class Inspector>
auto inspect(Inspector& f, event_batch& x) {
  return inspect_object(f, x, "evented::event_batch", field("events", x.events),
                        field("up_to", x.up_to));
}

template <class Inspector>
auto inspect(Inspector& f, ack& x) {
  return inspect_object(f, x, "evented::ack", field("up_to", x.up_to));
}

} // namespace evented
