#pragma once

#include <evented/export.hpp>
#include <evented/projection_handler.hpp>
#include <evented/projection_store.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace evented {

/// What became of a batch.
enum class batch_outcome : std::uint8_t {
  /// All of it is committed.
  committed,
  /// The stop flag was seen; what came before it is committed.
  stopped,
  /// The range is no longer the caller's.
  fenced,
  /// The event at `next` could not be handled; what came before it is
  /// committed.
  failed,
  /// The database is in the way, and may soon not be. Nothing is wrong with the
  /// events.
  obstructed,
};

/// Events of one range on their way through a handler.
struct range_batch {
  /// The right to handle them.
  range_lease lease;
  /// In the order of seq_no.
  std::vector<journal_entry> entries;
  /// The checkpoint once all of them are handled.
  std::uint64_t up_to = 0;

  // -- what came of it --------------------------------------------------------

  /// See there.
  batch_outcome outcome = batch_outcome::committed;
  /// The entries before this one are committed.
  std::size_t next = 0;
  /// Why it failed or is obstructed.
  std::string error;
};

/// Handles what is left of `x` and commits it with the checkpoint, in as few
/// transactions as possible. Where an event fails, the ones before it are
/// committed, so that it alone is left to the caller's error strategy.
/// @param alone whether to handle the first event that is left in a transaction
///        of its own: after it has failed
/// @param stop looked at between two events
/// @throws connection_lost, after which the lease has to be acquired anew
EVENTED_EXPORT void handle_batch(projection_session& session,
                                 const projection_handler& handler,
                                 range_batch& x, bool alone,
                                 const std::atomic<bool>& stop);

/// Puts the event at `x.next` away, as `kind` says, and commits that.
/// @throws connection_lost
EVENTED_EXPORT void put_away(projection_session& session, range_batch& x,
                             letter_kind kind, const std::string& why);

} // namespace evented
