#pragma once

#include <evented/entity_id.hpp>
#include <evented/event.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace evented {

/// A range of slices, both ends included, see `slice_of`.
struct slice_range {
  /// The first slice.
  std::uint16_t first = 0;
  /// The last slice, which is part of the range.
  std::uint16_t last = slice_count - 1;

  /// Checks whether `slice` is in the range.
  [[nodiscard]] bool contains(std::uint16_t slice) const noexcept {
    return first <= slice && slice <= last;
  }

  friend bool operator==(const slice_range&, const slice_range&) = default;
};

/// Says which events a reader wants. An event has to pass every member.
struct event_filter {
  /// The entity types; at least one.
  std::vector<std::string> types = {};
  /// The names of events; empty: all.
  std::vector<std::string> names = {};
  /// Events with at least one of these tags; empty: all.
  std::vector<std::string> tags = {};
  /// Only events of entities in these slices.
  slice_range slices = {};
  /// Events that were created at or after this; none: all.
  std::optional<timestamp> since = std::nullopt;
};

/// Some of the events that were asked for, in the order of seq_no.
struct read_result {
  /// The events, in the order of seq_no.
  std::vector<journal_entry> entries;
  /// There are no more of them at or below this sequence number.
  std::uint64_t up_to = 0;
};

} // namespace evented
