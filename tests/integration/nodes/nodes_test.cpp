// Several nodes in one process: any of them takes a command for any entity.

#include "integration/nodes/node.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <string>
#include <vector>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace {

class nodes : public testing::Test {
protected:
  nodes() {
    for (int i = 0; i < 40; ++i)
      ids.push_back(uuid::v4());
  }

  journal_options where = fresh_journal();
  std::vector<uuid> ids;
};

} // namespace

TEST_F(nodes, own_all_shards_alone) {
  node a{where, "a"};
  EXPECT_TRUE(a.settled({"a"}));
  for (auto& id : ids)
    EXPECT_EQ(render(a.ask(id, deposit{5})), "accepted@1");
  EXPECT_EQ(a.awake(), ids.size());
}

TEST_F(nodes, take_a_command_for_any_entity) {
  node a{where, "a"};
  node b{where, "b"};
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  ASSERT_TRUE(b.settled({"a", "b"})) << b.picture();
  for (auto& id : ids) {
    EXPECT_EQ(render(a.ask(id, deposit{5})), "accepted@1");
    EXPECT_EQ(render(b.ask(id, deposit{5})), "accepted@2");
    EXPECT_EQ(render(a.ask(id, withdraw{7})), "accepted@3");
    EXPECT_EQ(render(b.ask(id, withdraw{7})), "insufficient:3");
  }
  // No entity is awake on both.
  EXPECT_EQ(a.awake() + b.awake(), ids.size());
  EXPECT_GT(a.awake(), 0u);
  EXPECT_GT(b.awake(), 0u);
}

TEST_F(nodes, answer_as_one_node_does) {
  node a{where, "a"};
  node b{where, "b"};
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  ASSERT_TRUE(b.settled({"a", "b"})) << b.picture();
  for (auto* owner : {&a, &b}) {
    auto id = a.id_owned_by(owner == &a ? "a" : "b");
    EXPECT_EQ(render(a.ask(id, deposit{5}, command_id{"first"})), "accepted@1");
    // The same answer for the same ID, and another command is refused.
    EXPECT_EQ(render(a.ask(id, deposit{5}, command_id{"first"})), "accepted@1");
    EXPECT_EQ(render(a.ask(id, deposit{6}, command_id{"first"})),
              "used_command_id");
    auto late = a.ask(id, deposit{1}, expect{7});
    EXPECT_EQ(late.code(), errc::unexpected_version);
    EXPECT_EQ(actual_version(late.err), 1u);
    EXPECT_EQ(render(a.ask(id, deposit{1}, expect{1})), "accepted@2");
    EXPECT_EQ(render(a.ask(id, deposit{1}, envelope{.id = "second"})),
              "accepted@3");
    EXPECT_EQ(render(a.ask(id, explode{"boom"})), "handler_failed");
    EXPECT_EQ(render(a.ask(id, stranger{})), "unknown_command");
    std::uint64_t balance = 0;
    a.self()
      ->request(a.accounts(), 60s, id, get_balance{})
      .receive([&](const accepted&, std::uint64_t x) { balance = x; },
               [&](const caf::error& err) {
                 ADD_FAILURE() << evented::render(a.sys(), err);
               });
    EXPECT_EQ(balance, 7u);
    // A plain message is answered with one.
    a.self()->send(a.accounts(), id, deposit{1});
    a.self()->receive([&](const accepted& x) { EXPECT_EQ(x.version, 4u); },
                      caf::after(60s) >> [] { ADD_FAILURE() << "no answer"; });
  }
  caf::error wrong;
  a.self()
    ->request(a.accounts(), 60s, std::string{"no UUID"}, deposit{1})
    .receive([](const accepted&) {}, [&](caf::error& err) { wrong = err; });
  EXPECT_EQ(code_of(wrong), errc::invalid_id);
}

TEST_F(nodes, keep_the_order_of_a_sender) {
  node a{where, "a"};
  node b{where, "b"};
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  for (auto* owner : {&a, &b}) {
    auto id = a.id_owned_by(owner == &a ? "a" : "b");
    constexpr std::uint64_t count = 200;
    std::vector<decltype(a.self()->request(a.accounts(), 60s, id, deposit{}))>
      pending;
    for (std::uint64_t i = 0; i < count; ++i)
      pending.push_back(
        a.self()->request(a.accounts(), 60s, id, deposit{i + 1}));
    for (std::uint64_t i = 0; i < count; ++i)
      pending[i].receive(
        [&](const accepted& x) { EXPECT_EQ(x.version, i + 1); },
        [&](const caf::error& err) {
          ADD_FAILURE() << evented::render(a.sys(), err);
        });
  }
}

TEST_F(nodes, give_a_newcomer_its_share) {
  node a{where, "a"};
  for (auto& id : ids)
    EXPECT_EQ(render(a.ask(id, deposit{5})), "accepted@1");
  node b{where, "b"};
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  ASSERT_TRUE(b.settled({"a", "b"})) << b.picture();
  // Those of its share sleep here before it gets them.
  EXPECT_LT(a.awake(), ids.size());
  for (auto& id : ids)
    EXPECT_EQ(render(b.ask(id, deposit{5})), "accepted@2");
  EXPECT_EQ(a.awake() + b.awake(), ids.size());
}

TEST_F(nodes, come_and_go_without_a_failed_command) {
  node a{where, "a"};
  ASSERT_TRUE(a.settled({"a"}));
  std::atomic<bool> end{false};
  std::map<uuid, std::uint64_t> accepted_so_far;
  std::string failures;
  // Without command IDs: nothing may have to be repeated.
  auto load = std::async(std::launch::async, [&] {
    caf::scoped_actor self{a.sys()};
    while (!end)
      for (auto& id : ids)
        self->request(a.accounts(), 60s, id, deposit{1})
          .receive(
            [&](const accepted& x) {
              if (x.version != ++accepted_so_far[id])
                failures += "a hole; ";
            },
            [&](const caf::error& err) {
              failures += evented::render(a.sys(), err) + "; ";
            });
  });
  for (auto round = 0; round < 3; ++round) {
    node b{where, "b"};
    node c{where, "c"};
    EXPECT_TRUE(a.settled({"a", "b", "c"})) << a.picture();
    EXPECT_TRUE(b.nodes().leave(30s));
    EXPECT_TRUE(a.settled({"a", "c"})) << a.picture();
    EXPECT_TRUE(c.nodes().leave(30s));
    EXPECT_TRUE(a.settled({"a"})) << a.picture();
  }
  end = true;
  load.get();
  EXPECT_EQ(failures, "");
  for (auto& id : ids)
    EXPECT_EQ(a.ask(id, deposit{1}).where.version, accepted_so_far[id] + 1);
}

TEST_F(nodes, that_leave_can_still_send) {
  node a{where, "a"};
  node b{where, "b"};
  ASSERT_TRUE(b.settled({"a", "b"})) << b.picture();
  EXPECT_TRUE(b.nodes().leave(30s));
  for (auto& id : ids)
    EXPECT_EQ(render(b.ask(id, deposit{5})), "accepted@1");
  EXPECT_EQ(a.awake(), ids.size());
  EXPECT_EQ(b.awake(), 0u);
}
