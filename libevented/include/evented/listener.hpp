#pragma once

#include <evented/event.hpp>
#include <evented/export.hpp>
#include <evented/transaction.hpp>

#include <any>
#include <cstdint>

namespace evented {

/// One event that is about to be committed, as a store shows it to a listener.
struct uncommitted_event {
  /// The entity.
  const entity_id& id;
  /// What is being stored.
  const new_event& event;
  /// The version that the entity gets with it.
  std::uint64_t version;
  /// Its sequence number; others may be committed before smaller ones.
  std::uint64_t seq_no;
  /// The typed events of the command, from `append_step::typed`.
  const void* typed;
  /// The place of this event in `typed`.
  std::size_t index;
};

/// Takes part in the transaction that stores an entity's events. The
/// type-erased form that stores call; users write a function, see
/// `entity_options`.
class EVENTED_EXPORT event_listener {
public:
  virtual ~event_listener() = default;

  /// Called once per event, in order, after its row was inserted and before the
  /// commit; again after a rollback. May be called by several threads at once.
  /// @returns nothing to let the event pass, any value to veto its command; the
  ///          store hands the value back in `append_step::veto`
  /// @throws anything to fail its command with `errc::listener_failed`
  virtual std::any on_event(const uncommitted_event& event,
                            transaction& tx) const = 0;
};

} // namespace evented
