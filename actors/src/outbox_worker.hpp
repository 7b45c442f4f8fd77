#pragma once

#include <evented/actors/messages.hpp>
#include <evented/actors/metrics.hpp>
#include <evented/actors/seam.hpp>
#include <evented/outbox.hpp>
#include <evented/store.hpp>

#include <memory>
#include <string>
#include <vector>

namespace evented::detail {

/// What a dispatcher wants from the outbox: first to settle, then to claim.
struct outbox_job {
  std::vector<settled_message> settled;
  /// Where its limit is 0, nothing is claimed.
  message_claim claim;
  bool look_for_strangers = false;
  // -- what came of it --------------------------------------------------------
  claimed_messages claimed;
  /// The names of all receivers that are waited for.
  std::vector<std::string> waiting;
  /// Whether the database was out of reach: it may be done or not.
  bool failed = false;
};

/// Starts an actor with a thread and a connection of its own that answers each
/// `outbox_work` with `outbox_worked`.
caf::actor spawn_outbox_worker(caf::actor_system& sys,
                               std::shared_ptr<store> where,
                               std::shared_ptr<metrics> counts);

} // namespace evented::detail
