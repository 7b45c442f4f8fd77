// Several processes run one projection, and something happens to them or to
// the database.

#include "chaos/projection_bed.hpp"
#include "chaos/proxied.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <random>

using namespace std::literals;

using namespace evented::test;

namespace {

using clock_type = std::chrono::steady_clock;

/// A server that these tests take away.
evented::dev::postgres& mortal_server() {
  static evented::dev::postgres server{fast_server()};
  return server;
}

std::string ask(worker& whom, const std::string& line) {
  whom.tell(line);
  return whom.hear().value_or("nothing");
}

/// Waits until `whom` says that all is well.
testing::AssertionResult gets_healthy(worker& whom) {
  std::string last;
  if (wait_until([&] { return (last = ask(whom, "state")) == "healthy"; },
                 patience))
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << last;
}

} // namespace

TEST(projections, count_each_event_once_while_runners_are_killed) {
  auto& server = mortal_server();
  projection_bed x{server, 2};
  auto time = load_time(10s);
  auto rhythm = time >= 30s ? 2000ms : 900ms;
  auto seed = std::random_device{}();
  std::minstd_rand random{seed};
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::vector<std::unique_ptr<worker>> both;
  for (auto i = 0; i < 2; ++i)
    both.push_back(x.start());
  auto begin = clock_type::now();
  std::size_t kills = 0;
  {
    auto load = x.work(400);
    std::vector<std::pair<clock_type::time_point, evented::dev::shutdown>>
      restarts{{begin + time * 2 / 3, evented::dev::shutdown::immediate},
               {begin + time / 3, evented::dev::shutdown::fast}};
    for (auto next = begin + rhythm; next < begin + time; next += rhythm) {
      std::this_thread::sleep_until(next);
      auto& victim = both[random() % 2];
      EXPECT_EQ(victim->kill(), "signal 9");
      victim = x.start();
      ++kills;
      if (!restarts.empty() && restarts.back().first <= clock_type::now()) {
        server.restart(restarts.back().second);
        restarts.pop_back();
      }
    }
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
  for (auto& y : both)
    EXPECT_EQ(y->kill(), "signal 9");
  auto handlers
    = x.db().value("select count(distinct pid) from " + x.handled_table());
  std::cout << x.handled() << " events, handled by " << handlers
            << " processes; " << kills << " kills; "
            << x.checkpoints().summary() << '\n';
  EXPECT_GT(x.handled(), 0u);
  EXPECT_GT(x.checkpoints().looks(), 10u);
}

TEST(projections, are_taken_over_from_a_stopped_owner) {
  projection_bed x{common_server()};
  auto old = x.start_owner();
  auto other = x.start_standby();
  auto seq_no = x.append();
  ASSERT_TRUE(wait_until([&] { return x.is_handled(seq_no); }, patience));
  auto place = x.last_place();
  stoppable process{old->pid()};
  process.stop();
  ASSERT_NE(x.append(), 0u);
  EXPECT_EQ(x.taken_over_by(*other, place, "idle"), "");
  process.resume();
  // It lives, and stands by.
  EXPECT_TRUE(gets_healthy(*old));
  EXPECT_TRUE(x.has_one_owner());
  place = x.last_place();
  EXPECT_EQ(other->kill(), "signal 9");
  ASSERT_NE(x.append(), 0u);
  EXPECT_EQ(x.taken_over_by(*old, place, "back again"), "");
  EXPECT_EQ(x.verify(), "");
}

TEST(projections, are_taken_over_from_an_owner_stopped_in_its_handler) {
  projection_bed x{common_server()};
  auto old = x.start_owner();
  auto other = x.start_standby();
  ASSERT_EQ(ask(*old, "hold"), "armed");
  auto held = x.append();
  ASSERT_EQ(old->hear().value_or("nothing"), "holding " + std::to_string(held));
  {
    auto load = x.work(200);
    stoppable process{old->pid()};
    process.stop();
    EXPECT_EQ(x.taken_over_by(*other, 0, "inside of the handler"), "");
    process.resume();
    ASSERT_EQ(ask(*old, "release"), "released");
    EXPECT_TRUE(gets_healthy(*old));
    EXPECT_TRUE(x.has_one_owner());
    EXPECT_EQ(x.handler_of(held), other->pid());
    auto place = x.last_place();
    EXPECT_EQ(other->kill(), "signal 9");
    EXPECT_EQ(x.taken_over_by(*old, place, "back again"), "");
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
}

TEST(projections, are_taken_over_when_the_connection_is_cut) {
  auto& server = common_server();
  projection_bed x{server};
  proxy link{server.socket_directory() / ".s.PGSQL.5432"};
  auto old = x.start_owner(link.url(server.user()));
  auto other = x.start_standby();
  {
    auto load = x.work(200);
    ASSERT_TRUE(wait_until([&] { return x.handled() > 20; }, patience));
    link.blackhole();
    EXPECT_EQ(x.taken_over_by(*other, 0, "cut off"), "");
    link.heal();
    EXPECT_TRUE(gets_healthy(*old));
    EXPECT_TRUE(x.has_one_owner());
    auto place = x.last_place();
    EXPECT_EQ(other->kill(), "signal 9");
    EXPECT_EQ(x.taken_over_by(*old, place, "back again"), "");
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
}

// What the owner sends last arrives when another one has gone on already.
TEST(projections, are_not_moved_by_a_late_commit) {
  auto& server = common_server();
  projection_bed x{server};
  proxy link{server.socket_directory() / ".s.PGSQL.5432"};
  auto old = x.start_owner(link.url(server.user()));
  auto other = x.start_standby();
  link.hold(match::sql("advance_range"));
  {
    auto load = x.work(200);
    ASSERT_TRUE(link.wait_until_fired(patience));
    link.blackhole();
    EXPECT_EQ(x.taken_over_by(*other, 0, "with a commit on its way"), "");
    link.release();
    link.heal();
    EXPECT_TRUE(gets_healthy(*old));
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
}

TEST(projections, are_taken_over_from_a_killed_owner) {
  projection_bed x{common_server()};
  auto owner = x.start_owner();
  {
    auto load = x.work(200);
    for (auto round = 0; round < 2; ++round) {
      auto other = x.start_standby();
      auto before = x.handled();
      ASSERT_TRUE(wait_until([&] { return x.handled() > before; }, patience));
      EXPECT_EQ(owner->kill(), "signal 9");
      auto place = x.last_place();
      EXPECT_EQ(x.taken_over_by(*other, place, "killed"), "");
      owner = std::move(other);
    }
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
}

TEST(projections, survive_a_restart_of_the_database) {
  auto& server = mortal_server();
  projection_bed x{server, 2};
  // News can only come by NOTIFY.
  x.poll_every(1h);
  std::vector<std::unique_ptr<worker>> both;
  for (auto i = 0; i < 2; ++i)
    both.push_back(x.start_standby());
  auto appended = [&x](int how_often) {
    for (auto i = 0; i < how_often; ++i) {
      std::uint64_t seq_no = 0;
      if (!wait_until([&] { return (seq_no = x.append()) != 0; }, patience))
        return "nothing can be stored";
      if (!wait_until([&] { return x.is_handled(seq_no); }, patience))
        return "an event is not heard of";
    }
    return "";
  };
  ASSERT_STREQ(appended(2), "");
  for (auto how :
       {evented::dev::shutdown::fast, evented::dev::shutdown::immediate}) {
    server.stop(how);
    for (auto& y : both)
      EXPECT_TRUE(
        wait_until([&] { return ask(*y, "state").starts_with("unhealthy"); }));
    server.start();
    for (auto& y : both)
      EXPECT_TRUE(gets_healthy(*y));
    EXPECT_STREQ(appended(5), "") << x.describe();
  }
  EXPECT_EQ(x.verify(), "");
  for (auto& y : both)
    EXPECT_EQ(y->kill(), "signal 9");
}

TEST(projections, rescale_under_load) {
  projection_bed x{common_server(), 4};
  std::vector<std::unique_ptr<worker>> both;
  for (auto i = 0; i < 2; ++i)
    both.push_back(x.start_standby());
  auto ranges = [&x](unsigned n) {
    return wait_until(
      [&] {
        return x.db().value("select count(*) = " + std::to_string(n)
                            + " and (select rescale_to is null from "
                            + x.schema() + ".projection) from " + x.schema()
                            + ".projection_range")
               == "t";
      },
      patience);
  };
  {
    auto load = x.work(200);
    for (auto victim : {0u, 1u}) {
      auto before = x.handled();
      ASSERT_TRUE(wait_until([&] { return x.handled() > before; }, patience));
      auto n = victim == 0 ? 8u : 2u;
      // Once the one that began it is killed, once the other one.
      EXPECT_EQ(ask(*both[0], "rescale " + std::to_string(n)), "done");
      EXPECT_EQ(both[victim]->kill(), "signal 9");
      both[victim] = x.start_standby();
      ASSERT_TRUE(ranges(n)) << x.describe();
    }
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
}

TEST(projections, swap_a_rebuilt_view_under_load) {
  projection_bed x{common_server(), 2};
  x.with_effects();
  std::vector<std::unique_ptr<worker>> both;
  for (auto i = 0; i < 2; ++i)
    both.push_back(x.start_standby());
  {
    auto load = x.work(200);
    ASSERT_TRUE(wait_until([&] { return x.handled() > 300; }, patience));
    for (auto victim : {0u, 1u}) {
      auto next = std::to_string(victim + 2);
      // Where a connection broke meanwhile, it may have begun already.
      EXPECT_TRUE(wait_until(
        [&] {
          auto answer = ask(*both[0], "rebuild");
          return answer == "done"
                 || answer.find("not_now") != std::string::npos;
        },
        patience));
      // Once at the beginning, once shortly before the swap, where the live
      // version stands still.
      if (victim == 1) {
        auto sql = "select from " + x.schema()
                   + ".projection where building is null union all select from "
                   + x.schema() + ".projection_range where barrier is not null";
        EXPECT_TRUE(
          wait_until([&] { return !x.db().query(sql).empty(); }, patience));
      }
      EXPECT_EQ(both[victim]->kill(), "signal 9");
      both[victim] = x.start_standby();
      ASSERT_TRUE(
        wait_until([&] { return x.live_version() == next; }, patience * 2))
        << x.describe();
    }
    auto before = x.handled();
    EXPECT_TRUE(wait_until([&] { return x.handled() > before; }, patience));
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
  auto tables = x.db().query("select relname from pg_class where relkind = 'r' "
                             "and relnamespace = '"
                             + x.schema()
                             + "'::regnamespace and relname ~ "
                               "'^(sums|handled)_' order by 1");
  EXPECT_EQ(tables, (observer::table{{"handled_3"}, {"sums_3"}}));
  auto effects
    = x.db().number("select count(*) from " + x.schema() + ".effected");
  std::cout << x.handled() << " events, " << effects << " effects\n";
  EXPECT_GT(effects, 0u);
}

// Where every statement takes a while, the next version is always a few events
// behind; it must not chase the live one for ever.
TEST(projections, swap_a_rebuilt_view_far_from_the_database) {
  auto& server = common_server();
  projection_bed x{server, 4};
  proxy link{server.socket_directory() / ".s.PGSQL.5432"};
  link.delay(direction::to_server, 10ms);
  link.delay(direction::to_client, 10ms);
  auto owner = x.start_owner(link.url(server.user()));
  {
    auto load = x.work(20);
    ASSERT_TRUE(wait_until([&] { return x.handled() > 20; }, patience));
    EXPECT_EQ(ask(*owner, "rebuild"), "done");
    auto begin = clock_type::now();
    EXPECT_TRUE(wait_until([&] { return x.live_version() == "2"; }, patience))
      << x.describe();
    std::cout << "swapped after " << (clock_type::now() - begin) / 1ms
              << " ms\n";
    EXPECT_TRUE(load.stop());
  }
  EXPECT_EQ(x.verify(), "");
}
