// What the database promises to the nodes of a cluster.

#include "support/journals.hpp"

#include <evented/entity_id.hpp>
#include <evented/membership.hpp>
#include <evented/sql_error.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace {

using changes = membership_change;

/// A node as the database sees it.
struct node {
  node(store& where, std::string name, std::string cluster = "c") {
    self.cluster = std::move(cluster);
    self.name = std::move(name);
    self.incarnation = uuid::v4();
    self.address = "127.0.0.1";
    self.port = 4242;
    self.protocol = "1";
    self.program = "test";
    self.shards = 8;
    self.lease = 1h;
    session = where.connect_membership();
  }

  node& join() {
    session->join(self);
    return *this;
  }

  bool sync(const membership_change& change = {}) {
    return session->sync(self, change, known);
  }

  /// Returns the shards that are this node's as far as it knows, as a text.
  std::string own() const {
    std::string result;
    for (std::size_t i = 0; i < known.leases.size(); ++i)
      if (known.leases[i].owner == self.incarnation)
        result += (result.empty() ? "" : " ") + std::to_string(i);
    return result;
  }

  std::string members() const {
    std::string result;
    for (auto& x : known.members)
      result += (result.empty() ? "" : " ") + x.name + "/"
                + std::string{to_string(x.state)};
    return result;
  }

  node_description self;
  cluster_picture known;
  std::unique_ptr<membership_session> session;
};

class membership : public testing::Test {
protected:
  /// Lets the database think that a node has given no sign of life for long.
  void let_die(const node& x) {
    raw_connection{}.exec("update " + options.schema
                          + ".node set alive_until = clock_timestamp() - "
                            "interval '1 second' where incarnation = '"
                          + to_string(x.self.incarnation) + "'");
  }

  /// Returns why a node cannot join, empty where it can.
  static std::string obstacle(node& x) {
    try {
      x.join();
      return "";
    } catch (const error& e) {
      return std::string{to_string(e.code())} + ": " + e.what();
    }
  }

  journal_options options = fresh_journal();
  std::shared_ptr<store> journal = open_store(options);
};

} // namespace

TEST_F(membership, tells_each_node_of_the_others) {
  node a{*journal, "a"};
  node b{*journal, "b"};
  node elsewhere{*journal, "x", "another"};
  a.join();
  elsewhere.join();
  ASSERT_TRUE(a.sync({node_state::joining}));
  EXPECT_EQ(a.members(), "a/joining");
  EXPECT_EQ(a.known.leases.size(), 8u);
  EXPECT_EQ(a.own(), "");
  b.join();
  ASSERT_TRUE(b.sync());
  ASSERT_TRUE(a.sync());
  EXPECT_EQ(b.members(), "a/joining b/up");
  EXPECT_EQ(a.members(), "a/up b/up");
  EXPECT_EQ(a.known.members[1].address, "127.0.0.1");
  EXPECT_EQ(a.known.members[1].port, 4242);
  EXPECT_EQ(a.known.members[1].incarnation, b.self.incarnation);
}

TEST_F(membership, gives_a_shard_to_one_node) {
  node a{*journal, "a"};
  node b{*journal, "b"};
  a.join();
  b.join();
  ASSERT_TRUE(a.sync({.take = {0, 1, 2}}));
  ASSERT_TRUE(b.sync({.take = {2, 3}}));
  EXPECT_EQ(a.own(), "0 1 2");
  EXPECT_EQ(b.own(), "3");
  // What is told again changes nothing, and neither does asking for what one has.
  auto before = b.known;
  ASSERT_TRUE(b.sync({.take = {2, 3}}));
  EXPECT_EQ(b.known, before);
}

TEST_F(membership, hands_over_with_a_new_epoch) {
  node a{*journal, "a"};
  node b{*journal, "b"};
  a.join();
  b.join();
  ASSERT_TRUE(b.sync());
  ASSERT_TRUE(a.sync({.take = {4, 5, 6}}));
  auto epoch = a.known.leases[4].epoch;
  // One to a node that is there, one to one that is not, one that is not ours.
  ASSERT_TRUE(a.sync(
    {.give
     = {{4, b.self.incarnation}, {5, uuid::v4()}, {7, b.self.incarnation}}}));
  EXPECT_EQ(a.own(), "6");
  ASSERT_TRUE(b.sync());
  EXPECT_EQ(b.own(), "4");
  EXPECT_GT(b.known.leases[4].epoch, epoch);
  EXPECT_EQ(b.known.leases[5].owner, uuid{});
  EXPECT_EQ(b.known.leases[7].owner, uuid{});
}

TEST_F(membership, lets_nobody_take_from_who_is_alive) {
  node a{*journal, "a"};
  node b{*journal, "b"};
  a.join();
  b.join();
  ASSERT_TRUE(a.sync({.take = {0, 1}}));
  ASSERT_TRUE(b.sync({.take = {0, 1}}));
  EXPECT_EQ(b.own(), "");
  let_die(a);
  ASSERT_TRUE(b.sync({.take = {0}}));
  EXPECT_EQ(b.own(), "0");
  EXPECT_EQ(b.members(), "b/up");
  // Who comes back in time still has what nobody has taken.
  ASSERT_TRUE(a.sync());
  EXPECT_EQ(a.own(), "1");
  EXPECT_EQ(a.members(), "a/up b/up");
  ASSERT_TRUE(b.sync({.take = {1}}));
  EXPECT_EQ(b.own(), "0");
}

TEST_F(membership, ends_for_who_is_replaced) {
  node before{*journal, "a"};
  before.join();
  ASSERT_TRUE(before.sync({.take = {0, 1}}));
  node after{*journal, "a"};
  after.join();
  EXPECT_FALSE(before.sync({.take = {2}}));
  // At once, although the other was alive a moment ago.
  ASSERT_TRUE(after.sync({.take = {0, 1}}));
  EXPECT_EQ(after.own(), "0 1");
  before.session->leave(before.self);
  ASSERT_TRUE(after.sync());
  EXPECT_EQ(after.own(), "0 1");
}

TEST_F(membership, frees_what_a_node_leaves) {
  node a{*journal, "a"};
  node b{*journal, "b"};
  a.join();
  b.join();
  ASSERT_TRUE(a.sync({.take = {0, 1}}));
  a.session->leave(a.self);
  EXPECT_FALSE(a.sync());
  ASSERT_TRUE(b.sync({.take = {0, 1}}));
  EXPECT_EQ(b.own(), "0 1");
  EXPECT_EQ(b.members(), "b/up");
}

TEST_F(membership, is_refused_to_who_does_not_fit) {
  node a{*journal, "a"};
  a.join();
  node bad_name{*journal, "no spaces"};
  EXPECT_TRUE(obstacle(bad_name).starts_with("invalid_options: the name of a "
                                             "node has 1 to 200 characters"))
    << obstacle(bad_name);
  node odd{*journal, "b"};
  odd.self.shards = 24;
  EXPECT_EQ(obstacle(odd), "invalid_options: the number of shards is a power "
                           "of two, 1 to 1024");
  node fine{*journal, "b"};
  fine.self.shards = 16;
  EXPECT_EQ(obstacle(fine), "incompatible: the cluster \"c\" has 8 shards, and "
                            "this node asks for 16");
  node foreign{*journal, "b"};
  foreign.self.protocol = "2";
  EXPECT_EQ(obstacle(foreign),
            "incompatible: the node \"a\" (test) speaks 1, and this one (test) "
            "speaks 2; they do not understand each other, so stop those nodes "
            "first");
  let_die(a);
  EXPECT_EQ(obstacle(foreign), "");
}

TEST_F(membership, needs_a_journal_that_others_see) {
  EXPECT_THROW(make_memory_store()->connect_membership(), error);
}

TEST_F(membership, never_gives_a_shard_to_two) {
  constexpr auto rounds = 60;
  std::atomic<int> failed{0};
  // By shard and epoch: each of these has one owner for ever.
  std::mutex mutex;
  std::map<std::pair<std::size_t, std::uint64_t>, std::set<uuid>> seen;
  std::vector<std::thread> all;
  for (auto* name : {"a", "b", "c", "d"})
    all.emplace_back([&, name] {
      node x{*journal, name};
      x.join();
      for (auto round = 0; round < rounds; ++round) {
        changes what;
        for (std::uint16_t i = 0; i < 8; ++i) {
          if (i < x.known.leases.size()
              && x.known.leases[i].owner == x.self.incarnation)
            what.give.emplace(i, uuid{});
          else
            what.take.push_back(i);
        }
        if (!x.sync(what)) {
          ++failed;
          return;
        }
        std::lock_guard guard{mutex};
        for (std::size_t i = 0; i < 8; ++i)
          if (x.known.leases[i].owner != uuid{})
            seen[{i, x.known.leases[i].epoch}].insert(x.known.leases[i].owner);
      }
    });
  for (auto& x : all)
    x.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(seen.size(), 8u);
  for (auto& [key, owners] : seen)
    EXPECT_EQ(owners.size(), 1u)
      << "shard " << key.first << " at epoch " << key.second;
}
