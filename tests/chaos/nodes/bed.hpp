#pragma once

#include "chaos/nodes/load.hpp"

#include <evented/actors/cluster.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace evented::test {

/// After this at the latest, others have taken over what a node had.
inline constexpr std::chrono::milliseconds take_over{3000};

/// Returns whether a test is run by hand, on a machine that does nothing else:
/// times are promised, too.
bool times_count();

/// Returns a seed that EVENTED_SEED may set, and says it.
std::uint64_t chosen_seed();

/// What is done to nodes, and how it ends.
struct node_fault {
  std::string name;
  std::function<void()> strike;
  std::function<void()> heal;
  /// Whether the others have to do without a node meanwhile. Else it is alive and
  /// keeps what it has, although not everybody can reach it.
  bool takes_a_node = true;
};

/// A cluster of accounts whose nodes are processes. This process is a node that
/// owns nothing: it sends what its clients want, looks how long that takes, and
/// compares what they were told with the journal.
class node_bed : public testing::Test {
protected:
  /// Where the database is, and how this process takes part.
  struct setting {
    /// For the eyes of the test.
    std::string server;
    /// For the nodes.
    std::string url;
    std::string address = "127.0.0.1";
    node_security security = {};
  };

  /// Makes the schema and joins the cluster.
  void join(setting how);

  /// Leaves it.
  void leave();

  void TearDown() override { leave(); }

  /// Returns how the shards are shared as this process sees it.
  std::string picture();

  /// Waits until all shards are owned by `count` nodes that this one is linked to.
  [[nodiscard]] bool settled(std::size_t count);

  /// Waits until this node is linked to one of that name which owns something.
  [[nodiscard]] bool linked(const std::string& name);

  void begin_load();

  /// Lets a fault strike and heals it again. Three nodes have to be there before
  /// and after.
  void go_through(const node_fault& what);

  /// Stops the load and compares what the clients were told with the journal, and
  /// the journal with the view.
  void check();

  const std::string& schema() const { return schema_; }

private:
  using clock = std::chrono::steady_clock;

  /// Waits until the view has got the last event, and compares it with what the
  /// events add up to.
  std::string compare_view(const journal_view& journal);

  /// Waits until the clients get nine tenths of this many answers a second, on
  /// average over half of one. Returns how long that took after `began`.
  std::chrono::milliseconds rate_is_back(double rate, clock::time_point began);

  /// Returns how many answers a second the clients get, over the next second.
  double rate_now();

  /// Waits until every account has been served after now. Returns how long that
  /// took.
  std::chrono::milliseconds all_served();

  std::string schema_ = unique_schema();
  setting setting_;
  config<caf::id_block::accounts> cfg_;
  std::optional<caf::actor_system> sys_;
  std::optional<journal> journal_;
  std::optional<cluster> cluster_;
  caf::actor accounts_;
  std::vector<uuid> ids_;
  tally tally_;
  unsigned looks_ = 0;
  unsigned faults_ = 0;
  std::chrono::milliseconds longest_take_over_{};
};

} // namespace evented::test
