#pragma once

#include "cluster/routing.hpp"
#include "cluster/sync_worker.hpp"

#include <evented/actors/messages.hpp>

#include <caf/event_based_actor.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace evented::detail {

/// What the actor of a node is told.
struct node_settings {
  node_description self;
  std::shared_ptr<store> where;
  std::shared_ptr<lease_clock> lease;
  std::shared_ptr<ownership> owned;
  /// How often to give a sign of life.
  std::chrono::milliseconds interval;
  bool owns_entities = true;
};

/// Speaks for one node of a cluster: keeps its membership and its shards in the
/// database, its links to the other nodes, and its routers up to date.
///
/// A shard that another node should have is handed over in steps, so that no
/// entity is awake on two nodes: the routers are told to hold its messages back;
/// once all of them do, the regions put its entities to sleep, which finish what
/// they have; then the database gives it to its heir, which the others hear of.
class node_actor : public caf::event_based_actor {
public:
  node_actor(caf::actor_config& cfg, node_settings settings);

  caf::behavior make_behavior() override;

  const char* name() const override { return "evented.node"; }

  void on_exit() override;

private:
  /// Where this node is with a shard.
  enum class phase : std::uint8_t {
    not_ours,
    ours,
    /// Some router may still hand messages to a region.
    closing,
    /// Some entity may be awake.
    emptying,
    /// To be given away by the next visit at the database.
    empty,
  };

  struct shard_state {
    phase now = phase::not_ours;
    /// Who closes it: routers that have this routing or a newer one.
    std::uint64_t closed_by = 0;
    /// How many slices in how many regions may have entities.
    std::size_t left = 0;
  };

  /// Another node.
  struct peer {
    cluster_member member;
    /// Whether the database says that it is alive.
    bool alive = false;
    caf::actor link;
    /// Tells one link from the next.
    std::uint64_t number = 0;
    bool connecting = false;
    /// Whether an answer to a greeting is on its way.
    bool greeted = false;
    unsigned failures = 0;
    clock::time_point not_before = {};
  };

  /// The entities of one type on this node.
  struct entity_type {
    caf::actor router;
    caf::actor region;
    /// The routing that the router is known to have.
    std::uint64_t routed = 0;
  };

  // -- the database -----------------------------------------------------------

  void sync();
  void on_synced(sync_job& job);
  void on_evicted();
  /// Compares what the database says with what this node thinks it has.
  void take_stock();
  /// Begins to hand over what others should have.
  void hand_over();
  void on_routed(const caf::actor& router, std::uint64_t number);
  void on_vacated(const vacated& x);
  /// Puts the entities of shards to sleep that are another node's already.
  void clear(const std::vector<std::uint16_t>& shards);
  void vacate_all(const std::vector<std::uint16_t>& shards,
                  std::uint64_t number);
  /// Ends the membership once nothing is left to give away.
  void finish_leaving();
  /// Returns the incarnation of the node that should own each shard, nil where
  /// there is none.
  [[nodiscard]] const std::vector<uuid>& shares();
  [[nodiscard]] bool is_alive(const uuid& incarnation) const;
  void warn(const std::string& why);

  // -- other nodes ------------------------------------------------------------

  void on_tick();
  void meet(const std::vector<cluster_member>& members);
  void connect(peer& x);
  /// Says that shards have changed hands.
  void tell_others();
  [[nodiscard]] wire::hello greeting() const;
  /// Says hello on a link that is new, or may be broken.
  void greet(const uuid& incarnation, const caf::actor& link,
             std::uint64_t number);
  void on_hello(const wire::hello& x);
  void adopt(peer& x, caf::actor link);
  void on_lost(const uuid& incarnation, std::uint64_t number,
               const std::string& why);
  /// Returns whether this is the node of two that connects.
  [[nodiscard]] bool connects_to(const cluster_member& x) const;

  // -- this node --------------------------------------------------------------

  /// Tells the routers who owns what.
  void publish();
  [[nodiscard]] cluster_state look() const;

  node_settings settings_;
  caf::actor worker_;
  cluster_picture picture_;
  std::vector<cluster_member> shared_among_;
  std::vector<uuid> shares_;
  node_state state_ = node_state::joining;
  bool busy_ = false;
  bool again_ = false;
  bool joined_ = false;
  bool evicted_ = false;
  bool left_ = false;
  unsigned failures_ = 0;
  std::vector<shard_state> shards_;
  std::map<uuid, peer> peers_;
  std::map<std::string, entity_type> types_;
  std::shared_ptr<const routing> routing_;
  clock::time_point next_wanted_ = {};
  std::uint64_t last_link_ = 0;
  std::vector<caf::response_promise> leaving_;
};

} // namespace evented::detail
