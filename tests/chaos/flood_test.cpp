// More commands come than the database can store. What waits is bounded, the rest
// is answered with `overloaded` at once and is not stored, and once the database
// is fast again, so is everything else.

#include "chaos/application.hpp"
#include "chaos/observer.hpp"
#include "chaos/vital_signs.hpp"
#include "chaos/worker.hpp"
#include "support/proxy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented::test;

namespace {

/// What the process tells of itself.
struct seen {
  std::uint64_t sent = 0;
  std::uint64_t accepted = 0;
  std::uint64_t overloaded = 0;
  std::uint64_t others = 0;
  std::uint64_t slowest_ms = 0;
  std::uint64_t in_progress = 0;
  std::uint64_t appends_waiting = 0;
  std::uint64_t loads_waiting = 0;
  std::uint64_t entities = 0;
  std::uint64_t heap = 0;

  std::uint64_t open() const { return sent - accepted - overloaded - others; }
};

/// A process with wallets and limits on what may wait.
class flooded {
public:
  flooded(const std::string& url, std::uint64_t max_queue,
          std::uint64_t max_in_progress, std::uint64_t max_batch)
    : app_({"flood", url, schema_, std::to_string(max_queue),
            std::to_string(max_in_progress), std::to_string(max_batch)},
           {exact_heap}) {
    if (app_.hear().value_or("nothing") != "ready")
      throw std::runtime_error("the process is not ready");
  }

  const std::string& schema() const { return schema_; }

  pid_t pid() const { return app_.pid(); }

  /// Sends so many commands to as many wallets, or to a new one each where that
  /// is 0.
  void send(std::uint64_t count, std::uint64_t wallets) {
    app_.tell("send " + std::to_string(count) + ' ' + std::to_string(wallets));
  }

  void press(std::uint64_t burst) {
    app_.tell("press " + std::to_string(burst));
  }

  void ease() { app_.tell("ease"); }

  seen look() {
    seen x;
    app_.tell("look");
    std::istringstream line{app_.hear().value_or("")};
    line >> x.sent >> x.accepted >> x.overloaded >> x.others >> x.slowest_ms
      >> x.in_progress >> x.appends_waiting >> x.loads_waiting >> x.entities
      >> x.heap;
    return x;
  }

  /// Waits until `condition` holds for what it tells, and returns the last.
  /// @throws std::runtime_error with the figures where it does not come to hold
  template <class F>
  seen look_until(F&& condition) {
    seen x;
    auto there = wait_until(
      [&] {
        x = look();
        return condition(x);
      },
      patience);
    if (!there)
      throw std::runtime_error(
        std::to_string(x.sent) + " sent, " + std::to_string(x.accepted)
        + " accepted, " + std::to_string(x.overloaded) + " overloaded, "
        + std::to_string(x.others) + " others, " + std::to_string(x.in_progress)
        + " in progress");
    return x;
  }

  seen wait_for_answers() {
    return look_until([](auto& x) { return x.open() == 0; });
  }

  /// Compares the journal with the answers.
  std::string compare() {
    app_.tell("accepted");
    std::istringstream line{app_.hear().value_or("")};
    std::vector<std::uint64_t> answered;
    for (std::uint64_t x = 0; line >> x;)
      answered.push_back(x);
    std::sort(answered.begin(), answered.end());
    std::vector<std::uint64_t> stored;
    for (auto& row : db_.query("select (event->>'amount')::bigint as x from "
                               + schema_ + ".event order by x"))
      stored.push_back(std::stoull(row[0]));
    if (answered == stored)
      return "";
    return std::to_string(answered.size()) + " accepted, "
           + std::to_string(stored.size()) + " stored, and not the same";
  }

  std::string end() {
    app_.tell("end");
    return app_.wait(30s);
  }

private:
  std::string schema_ = unique_schema();
  worker app_;
  observer db_{common_server().url()};
};

class flood : public testing::TestWithParam<const char*> {};

// A foreign session lets nobody write, or not even read.
INSTANTIATE_TEST_SUITE_P(, flood, testing::Values("share", "access exclusive"),
                         [](auto& x) {
                           return x.param == "share"sv ? "of_appends"
                                                       : "of_loads";
                         });

} // namespace

TEST_P(flood, is_answered_at_once_where_the_database_stands_still) {
  constexpr std::uint64_t max_queue = 100;
  constexpr std::uint64_t limit = 3000;
  constexpr std::uint64_t hot = 10;
  flooded app{common_server().url(), max_queue, limit, 512};
  app.send(hot, hot);
  app.look_until([](auto& x) { return x.accepted == hot; });
  observer foreign{common_server().url()};
  foreign.query("begin");
  foreign.query("lock table " + app.schema() + ".event in "
                + std::string{GetParam()} + " mode");

  // The queues of a few entities.
  app.send(limit - 1, hot);
  auto surplus = limit - 1 - hot * max_queue;
  app.look_until([&](auto& x) { return x.overloaded == surplus; });
  auto hot_only = app.look();
  // All of them together: no entity has more than one.
  constexpr std::uint64_t burst = 4000;
  constexpr std::uint64_t bursts = 50;
  constexpr auto wide = limit - hot * max_queue;
  app.send(burst, 0);
  surplus += burst - wide;
  auto full = app.look_until([&](auto& x) {
    // All but what the readers have in hand.
    auto there = GetParam() == "share"sv ? x.appends_waiting == hot + wide
                                         : x.loads_waiting + 256 >= wide;
    return x.overloaded == surplus && there;
  });
  for (std::uint64_t i = 0; i < bursts; ++i) {
    app.send(burst, 0);
    surplus += burst;
    app.look_until([&](auto& x) { return x.overloaded == surplus; });
  }
  auto x = app.look();
  std::cout << x.overloaded << " commands were overloaded, the slowest after "
            << x.slowest_ms << " ms; those in progress take "
            << (full.heap - hot_only.heap) / wide << " bytes each, the others "
            << static_cast<std::int64_t>(x.heap - full.heap) / 1024
            << " KiB together\n";
  EXPECT_EQ(x.open(), limit);
  EXPECT_EQ(x.in_progress, limit);
  EXPECT_LE(x.appends_waiting, limit);
  EXPECT_LE(x.loads_waiting, limit);
  EXPECT_LE(x.entities, limit);
  EXPECT_EQ(x.accepted, hot);
  if (memory_is_telling) {
    EXPECT_LE(x.heap, full.heap + 8 * bursts * burst);
  }

  foreign.query("rollback");
  app.wait_for_answers();
  // Without a restart, as many as may be in progress are taken.
  app.send(limit, 0);
  x = app.wait_for_answers();
  EXPECT_EQ(x.accepted, hot + 2 * limit);
  EXPECT_EQ(x.overloaded, surplus);
  EXPECT_EQ(x.others, 0u);
  EXPECT_EQ(x.in_progress, 0u);
  EXPECT_EQ(app.compare(), "");
  EXPECT_EQ(app.end(), "exit 0");
}

TEST(slow_database, is_no_loss_and_is_over_when_it_is_fast_again) {
  constexpr std::uint64_t max_queue = 20;
  constexpr std::uint64_t limit = 500;
  constexpr std::uint64_t batch = 16;
  constexpr auto delay = 200ms;
  auto& server = common_server();
  proxy link{server.socket_directory() / ".s.PGSQL.5432"};
  flooded app{link.url(server.user()), max_queue, limit, batch};
  app.send(1, 1);
  app.look_until([](auto& x) { return x.accepted == 1; });
  link.delay(direction::to_server, delay);
  auto begin = std::chrono::steady_clock::now();
  app.press(200);
  // Until more than once everything that may wait has been stored.
  app.look_until([&](auto& x) {
    EXPECT_LE(x.appends_waiting, limit);
    EXPECT_LE(x.loads_waiting, limit);
    return x.accepted > 2 * limit;
  });
  app.ease();
  auto slow = std::chrono::steady_clock::now() - begin;
  link.heal();
  auto x = app.wait_for_answers();
  auto in_ms = [](auto time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  };
  std::cout << x.accepted << " accepted in " << in_ms(slow) << " ms, "
            << x.overloaded << " overloaded, the slowest after " << x.slowest_ms
            << " ms\n";
  EXPECT_GT(x.overloaded, 10 * limit);
  EXPECT_EQ(x.others, 0u);

  begin = std::chrono::steady_clock::now();
  auto before = x.accepted;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    app.send(limit, 0);
    x = app.wait_for_answers();
  }
  auto fast = std::chrono::steady_clock::now() - begin;
  std::cout << 4 * limit << " accepted in " << in_ms(fast) << " ms\n";
  EXPECT_EQ(x.accepted - before, 4 * limit);
  // Two connections store no more than this with the delay.
  EXPECT_LT(fast, delay * (4 * limit / batch / 2));
  EXPECT_EQ(app.compare(), "");
  EXPECT_EQ(app.end(), "exit 0");
}
