#pragma once

#include "faults.hpp"
#include "journal.hpp"
#include "place.hpp"
#include "progress.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace evented::cli {

/// What `check_events` has looked at.
struct checked_events {
  std::uint64_t events = 0;
  std::uint64_t entities = 0;
  /// Where to go on, where it was interrupted.
  std::optional<entity_place> stopped_at;
};

/// Walks over all entities and checks of each
///  - J1: its versions have no hole, counted from its horizon,
///  - J4: its numbers grow with its versions,
///  - that its events are in the slice of its ID,
///  - J6: that the shapes of its events are recorded,
///  - that its tags can be found.
checked_events check_events(journal& x, const entity_place& from, faults& to);

} // namespace evented::cli
