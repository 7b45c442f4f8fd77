// Projections whose ranges go with the shards of the nodes.

#include "integration/nodes/node.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace {

class projections_on_nodes : public testing::Test {
protected:
  /// Spawns the projection on a node; counts what that node has handled.
  caf::actor spawn(node& on, std::atomic<int>& handled) {
    projection_options options;
    options.ranges = 16;
    options.runs_here = on.nodes().runs_here();
    return spawn_projection<account>(
      on.sys(), on.entries(), "seen",
      [&handled, sql = "insert into " + where.schema + ".seen values ($1)"](
        const recorded<account>& x, transaction& tx) {
        tx.exec(sql, std::to_string(x.seq_no));
        ++handled;
      },
      options);
  }

  /// Deposits into so many new accounts.
  static void deposit_into(node& by, int count) {
    for (auto i = 0; i < count; ++i)
      EXPECT_EQ(render(by.ask(uuid::v4(), deposit{1})), "accepted@1");
  }

  /// Waits until the view holds so many events, each of them once.
  [[nodiscard]] bool view_holds(node& by, const std::string& count) {
    return wait_until(
      [&] {
        auto found = evented::sql(
          by.entries(), "select count(*), count(distinct seq_no) from "
                          + where.schema + ".seen");
        return found[0][0] == count && found[0][1] == count;
      },
      30s);
  }

  journal_options where = fresh_journal();
};

} // namespace

TEST_F(projections_on_nodes, go_with_the_shards) {
  node a{where, "a"};
  evented::sql(a.entries(),
               "create table " + where.schema + ".seen (seq_no bigint)");
  node b{where, "b"};
  std::atomic<int> by_a{0};
  std::atomic<int> by_b{0};
  auto view_of_a = spawn(a, by_a);
  auto view_of_b = spawn(b, by_b);
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  deposit_into(a, 60);
  ASSERT_TRUE(view_holds(a, "60"));
  // Both have a part of it; at first, while b was on its way, a had all.
  ASSERT_TRUE(wait_until(
    [&] {
      deposit_into(a, 1);
      return by_a > 0 && by_b > 0;
    },
    30s));
  auto owns = [](node& who, std::uint16_t first) {
    return who.nodes().runs_here()({first, first});
  };
  for (std::uint16_t i = 0; i < 16; ++i)
    EXPECT_NE(owns(a, i * 64), owns(b, i * 64)) << i;
  EXPECT_TRUE(b.nodes().leave(30s));
  ASSERT_TRUE(a.settled({"a"})) << a.picture();
  auto runs_nothing = b.nodes().runs_here();
  for (std::uint16_t i = 0; i < 16; ++i)
    EXPECT_FALSE(runs_nothing({static_cast<std::uint16_t>(i * 64), 1023}));
  // All of the next ones end up in the view, whoever handles them.
  auto before = evented::sql(a.entries(), "select count(*) from " + where.schema
                                            + ".event")[0][0];
  deposit_into(a, 20);
  EXPECT_TRUE(view_holds(a, std::to_string(std::stoi(before.value()) + 20)));
  // After that, b handles no more.
  auto handled = 0;
  ASSERT_TRUE(wait_until(
    [&] {
      auto last = std::exchange(handled, by_b.load());
      deposit_into(a, 16);
      auto all = evented::sql(a.entries(), "select count(*) from "
                                             + where.schema + ".event")[0][0];
      return view_holds(a, all.value()) && by_b == last && last == handled;
    },
    60s));
}
