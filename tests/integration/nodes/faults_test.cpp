// What becomes of commands when nodes lose each other, or their database.

#include "integration/nodes/node.hpp"
#include "support/cut_membership.hpp"
#include "support/deaf_port.hpp"
#include "support/gated_store.hpp"
#include "support/relay.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace {

/// A clock that a test can stop and put forward.
class test_clock {
public:
  std::function<std::chrono::steady_clock::time_point()> source() {
    return [this] {
      auto stopped = stopped_.load();
      auto now = stopped != 0 ? std::chrono::steady_clock::
                     time_point{std::chrono::steady_clock::duration{stopped}}
                              : std::chrono::steady_clock::now();
      return now + std::chrono::seconds{ahead_.load()};
    };
  }

  void stop() {
    stopped_ = std::chrono::steady_clock::now().time_since_epoch().count();
  }

  void put_forward(std::chrono::seconds by) { ahead_ = by.count(); }

private:
  std::atomic<std::chrono::steady_clock::rep> stopped_{0};
  std::atomic<std::int64_t> ahead_{0};
};

class node_faults : public testing::Test {
protected:
  /// Makes a node that the others reach through `link` only.
  std::unique_ptr<node> behind(relay& link, cluster_options how,
                               std::shared_ptr<store> opened = nullptr) {
    how.public_port = link.port();
    auto result
      = std::make_unique<node>(where, how, node_security{}, std::move(opened));
    link.lead_to(result->nodes().port());
    result->accounts();
    return result;
  }

  /// Returns the answers of a pending request as a text.
  template <class Handle>
  std::string answer(Handle& handle) {
    outcome result;
    handle.receive(
      [&](const accepted& a) {
        result.ok = true;
        result.where = a;
      },
      [&](caf::error& err) { result.err = std::move(err); });
    return test::render(result);
  }

  journal_options where = fresh_journal();
};

} // namespace

TEST_F(node_faults, an_owner_out_of_reach_is_told) {
  relay link;
  auto how = quick("a");
  how.routing_timeout = 1s;
  node a{where, how};
  a.accounts();
  auto b = behind(link, quick("b"));
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  link.refuse();
  ASSERT_TRUE(
    wait_until([&] { return a.picture().find('(') != std::string::npos; }));
  auto id = a.id_owned_by("b");
  auto lost = a.ask(id, deposit{1});
  EXPECT_EQ(lost.code(), errc::unreachable);
  EXPECT_NE(lost.text().find("the node that owns it cannot be reached"),
            std::string::npos)
    << lost.text();
  // Its own entities are none the worse.
  EXPECT_EQ(render(a.ask(a.id_owned_by("a"), deposit{1})), "accepted@1");
  EXPECT_EQ(render(b->ask(id, deposit{1})), "accepted@1");
  link.heal();
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  EXPECT_EQ(render(a.ask(id, deposit{1})), "accepted@2");
}

TEST_F(node_faults, commands_under_way_are_repeated_or_told_to_be_unknown) {
  relay link;
  auto gate = std::make_shared<load_gate>();
  node a{where, quick("a")};
  a.accounts();
  auto b = behind(link, quick("b"),
                  std::make_shared<gated_store>(open_store(where), gate));
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  auto id = a.id_owned_by("b");
  gate->closed = true;
  auto plain = a.self()->request(a.accounts(), 60s, id, deposit{1});
  auto named
    = a.self()->request(a.accounts(), 60s, id, deposit{1}, command_id{"x"});
  auto expecting
    = a.self()->request(a.accounts(), 60s, id, deposit{1}, expect{1});
  ASSERT_TRUE(wait_until([&] { return gate->held_back > 0; }));
  link.refuse();
  EXPECT_EQ(answer(plain), "outcome_unknown");
  EXPECT_EQ(answer(expecting), "outcome_unknown");
  gate->closed = false;
  link.heal();
  // All have taken effect, each once.
  EXPECT_EQ(answer(named), "accepted@2");
  EXPECT_EQ(render(a.ask(id, deposit{1}, command_id{"x"})), "accepted@2");
  EXPECT_EQ(history(a.entries(), id).substr(0, 23), "1@deposited 2@deposited");
}

TEST_F(node_faults, a_link_that_swallows_everything_is_noticed) {
  relay link;
  node a{where, quick("a")};
  a.accounts();
  auto b = behind(link, quick("b"));
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  auto id = a.id_owned_by("b");
  link.hold();
  auto named
    = a.self()->request(a.accounts(), 60s, id, deposit{1}, command_id{"x"});
  ASSERT_TRUE(
    wait_until([&] { return a.picture().find('(') != std::string::npos; }));
  link.heal();
  EXPECT_EQ(answer(named), "accepted@1");
}

TEST_F(node_faults, who_swallows_connections_keeps_nobody_from_the_others) {
  deaf_port nowhere;
  node a{where, "a"};
  auto how = quick("b");
  how.public_port = nowhere.number();
  node b{where, how};
  b.accounts();
  ASSERT_TRUE(
    wait_until([&] { return a.picture().find("(b:") != std::string::npos; }))
    << a.picture();
  node c{where, "c"};
  EXPECT_EQ(render(a.ask(a.id_owned_by("c"), deposit{1})), "accepted@1");
}

TEST_F(node_faults, no_more_wait_than_may) {
  relay link;
  auto how = quick("a");
  how.max_waiting = 2;
  how.routing_timeout = 2s;
  node a{where, how};
  a.accounts();
  auto b = behind(link, quick("b"));
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  link.refuse();
  ASSERT_TRUE(
    wait_until([&] { return a.picture().find('(') != std::string::npos; }));
  auto id = a.id_owned_by("b");
  auto ask
    = [&] { return a.self()->request(a.accounts(), 60s, id, deposit{1}); };
  auto first = ask();
  auto second = ask();
  auto third = ask();
  EXPECT_EQ(answer(third), "overloaded");
  EXPECT_EQ(answer(first), "unreachable");
  EXPECT_EQ(answer(second), "unreachable");
}

TEST_F(node_faults, two_owners_keep_the_journal_in_order) {
  test_clock time;
  auto journal = std::make_shared<cut_membership>(open_store(where));
  auto how = quick("a");
  how.take_over = 2s;
  how.lease_clock = time.source();
  node a{where, how, {}, journal};
  a.accounts();
  ASSERT_TRUE(a.settled({"a"}));
  // From here on it believes for ever that all is its own.
  time.stop();
  journal->cut();
  node b{where, "b"};
  ASSERT_TRUE(b.settled({"b"})) << b.picture();
  std::vector<uuid> ids;
  for (auto i = 0; i < 10; ++i)
    ids.push_back(uuid::v4());
  for (std::uint64_t round = 0; round < 10; ++round)
    for (auto& id : ids) {
      auto name = command_id{std::to_string(round)};
      // Each by both, and the one that comes second repeats.
      auto version = round + 1;
      auto& first = round % 2 == 0 ? a : b;
      auto& second = round % 2 == 0 ? b : a;
      auto expected = "accepted@" + std::to_string(version);
      EXPECT_EQ(render(first.ask(id, deposit{1}, name)), expected);
      EXPECT_EQ(render(second.ask(id, deposit{1}, name)), expected);
    }
  EXPECT_EQ(a.awake(), ids.size());
  EXPECT_EQ(b.awake(), ids.size());
  // Neither takes out what the other has taken already.
  for (auto& id : ids) {
    EXPECT_EQ(render(a.ask(id, withdraw{10})), "accepted@11");
    EXPECT_EQ(render(b.ask(id, withdraw{1})), "insufficient:0");
  }
}

TEST_F(node_faults, a_node_that_wakes_up_late_serves_nobody) {
  test_clock time;
  auto journal = std::make_shared<cut_membership>(open_store(where));
  auto how = quick("a");
  how.take_over = 2s;
  how.lease_clock = time.source();
  node a{where, how, {}, journal};
  a.accounts();
  ASSERT_TRUE(a.settled({"a"}));
  auto id = uuid::v4();
  EXPECT_EQ(render(a.ask(id, deposit{1})), "accepted@1");
  // As if it had been stopped for a minute, and its first sign of life took long.
  journal->cut();
  time.put_forward(60s);
  auto late = a.self()->request(a.accounts(), 60s, id, deposit{1});
  node b{where, "b"};
  ASSERT_TRUE(b.settled({"b"})) << b.picture();
  EXPECT_EQ(render(b.ask(id, deposit{1})), "accepted@2");
  journal->heal();
  EXPECT_EQ(answer(late), "accepted@3");
  EXPECT_TRUE(a.settled({"a", "b"})) << a.picture();
}

TEST_F(node_faults, who_joins_last_under_a_name_is_the_node) {
  node before{where, "a"};
  ASSERT_TRUE(before.settled({"a"}));
  auto id = uuid::v4();
  EXPECT_EQ(render(before.ask(id, deposit{1})), "accepted@1");
  node after{where, "a"};
  ASSERT_TRUE(after.settled({"a"}));
  EXPECT_EQ(render(after.ask(id, deposit{1})), "accepted@2");
  EXPECT_TRUE(wait_until([&] { return !before.nodes().state().alive; }));
  EXPECT_TRUE(before.nodes().leave(10s));
  EXPECT_EQ(render(after.ask(id, deposit{1})), "accepted@3");
}
