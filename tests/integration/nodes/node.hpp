#pragma once

#include "support/bank.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <evented/actors/cluster.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace evented::test {

/// Options of a small cluster whose nodes do not lose their shards when the
/// machine is slow.
inline cluster_options quick(std::string name) {
  cluster_options result;
  result.name = std::move(name);
  result.shards = 64;
  result.take_over = std::chrono::milliseconds{10'000};
  result.routing_timeout = std::chrono::milliseconds{30'000};
  return result;
}

/// A process of a cluster, in this process.
class node {
public:
  explicit node(const journal_options& where, const cluster_options& how,
                const node_security& security = {},
                std::shared_ptr<store> opened = nullptr)
    : prepared_(cfg_, security),
      sys_(cfg_),
      journal_(opened ? journal{sys_, std::move(opened)}
                      : journal{sys_, where}),
      cluster_(std::in_place, sys_, journal_, how),
      self_(sys_) {
    // nop
  }

  node(const journal_options& where, const std::string& name)
    : node(where, quick(name)) {
    accounts();
  }

  /// Starts the accounts, once.
  const caf::actor& accounts(const entity_options<account>& how = {}) {
    if (accounts_ == nullptr)
      accounts_ = spawn_entities<account>(sys_, journal_, *cluster_, how);
    return accounts_;
  }

  cluster& nodes() { return *cluster_; }
  journal& entries() { return journal_; }
  caf::actor_system& sys() { return sys_; }
  caf::scoped_actor& self() { return self_; }

  /// Ends the membership, as the end of a process does.
  void stop() {
    accounts_ = nullptr;
    cluster_.reset();
  }

  /// Sends one message to an account and waits for its answer.
  template <class Command, class... Ts>
  outcome ask(const uuid& id, const Command& cmd, const Ts&... xs) {
    outcome result;
    self_->request(accounts_, std::chrono::seconds{60}, id, cmd, xs...)
      .receive(
        [&](const accepted& a) {
          result.ok = true;
          result.where = a;
        },
        [&](caf::error& err) { result.err = std::move(err); });
    return result;
  }

  /// Returns an ID that the node of this name owns, as this one sees things.
  /// @throws std::runtime_error where it owns nothing for half a minute
  uuid id_owned_by(const std::string& name) {
    uuid result;
    auto found = wait_until(
      [&] {
        auto seen = cluster_->state();
        result = uuid::v4();
        auto shards = static_cast<std::uint16_t>(seen.owners.size());
        auto place = seen.owners[shard_of(slice_of(result), shards)];
        return place < seen.nodes.size() && seen.nodes[place].name == name;
      },
      std::chrono::seconds{30});
    if (!found)
      throw std::runtime_error(name + " owns nothing");
    return result;
  }

  /// Returns how many accounts are awake here.
  std::uint64_t awake() {
    std::uint64_t result = 0;
    self_->request(accounts_, std::chrono::seconds{60}, control::get_state{})
      .receive([&](const region_state& x) { result = x.awake; },
               [](const caf::error&) {});
    return result;
  }

  /// Returns what this node knows of its cluster as a text: `a:32 b:32`, a node
  /// that it has no link to in parentheses.
  std::string picture() {
    std::string result;
    for (auto& x : cluster_->state().nodes) {
      auto text = x.name + ":" + std::to_string(x.shards);
      result
        += (result.empty() ? "" : " ") + (x.linked ? text : "(" + text + ")");
    }
    return result;
  }

  /// Waits until every shard has an owner, of these nodes only, that this node
  /// is linked to.
  bool settled(const std::vector<std::string>& names,
               std::chrono::milliseconds limit = std::chrono::seconds{30}) {
    return wait_until([&] { return is_settled(names); }, limit);
  }

private:
  struct prepared {
    prepared(caf::actor_system_config& cfg, const node_security& how) {
      use_nodes(cfg, how);
    }
  };

  bool is_settled(const std::vector<std::string>& names) {
    auto seen = cluster_->state();
    if (seen.nodes.size() != names.size())
      return false;
    std::size_t shards = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto& x = seen.nodes[i];
      if (x.name != names[i] || !x.linked || x.shards == 0)
        return false;
      shards += x.shards;
    }
    // As many as they should have, too.
    std::vector<cluster_member> members;
    for (auto& x : seen.nodes)
      members.push_back({x.name, x.incarnation, "", 0, "", x.state});
    return shards == seen.owners.size()
           && seen.owners
                == share_out(members,
                             static_cast<std::uint16_t>(seen.owners.size()));
  }

  config<caf::id_block::bank, caf::id_block::tickets> cfg_;
  prepared prepared_;
  caf::actor_system sys_;
  journal journal_;
  std::optional<cluster> cluster_;
  caf::actor accounts_;
  caf::scoped_actor self_;
};

} // namespace evented::test
