#pragma once

// Faults for the schedules to find. Included by the copies of the product's
// sources that `mutants.cmake` makes, so it includes nothing of the product.

namespace evented::test {

/// Names a fault that is planted.
enum class planted_fault {
  none,
  // -- in the journal, see lying_store.hpp ------------------------------------
  reply_before_commit,
  outcome_looked_up,
  batch_blamed,
  // -- in the actors, see mutants.cmake ---------------------------------------
  queue_lost_by_region,
  queue_lost_by_entity,
  outcome_guessed,
  command_id_forgotten,
  snapshot_of_any_shape,
  snapshot_without_version,
};

/// The one that is active.
inline planted_fault active_fault = planted_fault::none;

/// Checks whether `x` is active.
inline bool planted(planted_fault x) noexcept {
  return active_fault == x;
}

} // namespace evented::test
