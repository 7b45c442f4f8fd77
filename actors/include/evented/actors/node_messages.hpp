#pragma once

#include <evented/membership.hpp>
#include <evented/uuid.hpp>

#include <caf/actor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace evented {

/// What a node knows of its cluster.
struct cluster_state {
  /// One node of the cluster.
  struct node {
    /// See `cluster_options::name`.
    std::string name;
    /// Drawn anew at every start.
    uuid incarnation;
    /// How far it is in joining or leaving.
    node_state state = node_state::joining;
    /// How many shards it owns, by what this node knows.
    std::uint16_t shards = 0;
    /// Whether this node can send to it; true for itself.
    bool linked = false;
  };

  /// See `cluster_options::cluster`.
  std::string cluster;
  /// This node.
  /// @{
  std::string name;
  uuid incarnation;
  /// @}
  /// Whether its last sign of life is young enough for its shards to be its own.
  bool alive = false;
  /// Those alive, in the order of their names.
  std::vector<node> nodes;
  /// The place in `nodes` of each shard's owner, `nodes.size()` for none.
  std::vector<std::size_t> owners;
};

namespace detail {

// -- messages inside of one process -------------------------------------------

struct routing;
struct sync_job;

/// Between the actor of a node and its worker.
struct sync_order {
  std::shared_ptr<sync_job> job;
};

struct sync_done {
  std::shared_ptr<sync_job> job;
};

/// Tells a router who owns what from now on; is answered with `routed`.
struct route_order {
  std::shared_ptr<const routing> now;
};

/// Says that a router sends nothing by an older routing any more.
struct routed {
  std::uint64_t number = 0;
};

/// Asks for a look at the database soon.
struct sync_wanted {};

/// Tells a router where the entities of its own node live.
struct region_ready {
  caf::actor region;
};

/// Tells the actor of a node that it has entities of a type.
struct node_has {
  std::string type_name;
  caf::actor router;
  caf::actor region;
};

/// Tells the actor of a node that it is a member, at this port.
struct node_joined {
  std::uint16_t port = 0;
};

/// Asks the actor of a node to give away all it has; answered with
/// `control::done` once that is so.
struct node_leave {};

/// Asks the actor of a node for a `cluster_state`.
struct node_look {};

/// Tells the actor of a node that the link to another one is broken.
struct link_lost {
  uuid incarnation;
  std::uint64_t number = 0;
};

/// Asks a region to put all entities of these slices to sleep; is answered with
/// `vacated`, once or more, until all of them are named.
struct vacate {
  std::vector<std::uint16_t> slices;
  /// Comes back with the answers; those to an earlier question about the same
  /// slices may be left out.
  std::uint64_t number = 0;
};

/// Says that slices have no entity any more.
struct vacated {
  std::vector<std::uint16_t> slices;
  std::uint64_t number = 0;
};

} // namespace detail

} // namespace evented
