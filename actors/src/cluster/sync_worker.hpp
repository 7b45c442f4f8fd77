#pragma once

#include <evented/actors/jobs.hpp>
#include <evented/actors/seam.hpp>
#include <evented/membership.hpp>
#include <evented/store.hpp>

#include <memory>
#include <string>

namespace evented::detail {

class lease_clock;

/// One visit of a node at the database. Belongs to the actor of the node, except
/// while it is under way.
struct sync_job {
  node_description self;
  membership_change change;
  /// Whether to end the membership rather than to prolong it.
  bool leave = false;
  /// What was known before, then what is known now.
  cluster_picture picture;
  /// When the visit began: the lease counts from there at the latest.
  clock::time_point began = {};
  /// Whether the node is a member.
  bool member = true;
  /// What went wrong, empty where nothing did.
  std::string error;
};

/// Starts an actor with a thread and a connection of its own that answers each
/// `sync_order` with `sync_done`.
caf::actor spawn_sync_worker(caf::actor_system& sys,
                             std::shared_ptr<store> where,
                             std::shared_ptr<const lease_clock> time);

} // namespace evented::detail
