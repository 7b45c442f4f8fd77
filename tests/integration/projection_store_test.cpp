// Projections against the database: who may run a range.

#include "support/projection_store.hpp"

using namespace std::literals;

using namespace evented;
using namespace evented::test;

// -- declare ------------------------------------------------------------------

TEST_F(projection_store, shares_the_slices_evenly_and_completely) {
  auto a = connect();
  for (auto count : {1, 2, 3, 7, 1024}) {
    auto name = "p" + std::to_string(count);
    a->declare(name, 1, static_cast<std::uint16_t>(count), from_beginning{});
    auto found = a->status(name);
    EXPECT_EQ(partition(found), static_cast<std::size_t>(count));
    for (auto& x : found.ranges) {
      auto size = x.slices.last - x.slices.first + 1;
      EXPECT_TRUE(size == 1024 / count || size == 1024 / count + 1);
    }
  }
}

TEST_F(projection_store, declaring_again_changes_nothing) {
  auto a = connect();
  a->declare("p", 3, 2, from_beginning{});
  append("x");
  auto lease = a->acquire({"p", 1, 0}, 3, a.id);
  ASSERT_TRUE(lease);
  auto done = step(1);
  a->commit(*lease, done);
  a->declare("p", 4, 7, from_now{});
  EXPECT_EQ(ranges(a), "0-511@1 512-1023@0");
  EXPECT_EQ(a->status("p").ranges[0].revision, 3);
}

TEST_F(projection_store, of_several_that_declare_at_once_one_wins) {
  store();
  for (auto round = 0; round < 20; ++round) {
    auto name = "p" + std::to_string(round);
    const std::size_t counts[] = {1, 2, 3, 7};
    std::latch start{4};
    std::vector<std::thread> threads;
    for (auto count : counts)
      threads.emplace_back([&, count] {
        auto session = store().connect_projections();
        start.arrive_and_wait();
        session->declare(name, 1, static_cast<std::uint16_t>(count),
                         from_beginning{});
        EXPECT_FALSE(session->status(name).ranges.empty());
      });
    for (auto& x : threads)
      x.join();
    auto found = partition(connect()->status(name));
    EXPECT_TRUE(found == 1 || found == 2 || found == 3 || found == 7) << found;
  }
}

TEST_F(projection_store, declares_what_another_one_has_rolled_back) {
  auto a = connect();
  db.exec("begin");
  db.exec("insert into " + table("projection") + " (name) values ('p')");
  std::thread other{[&] { a->declare("p", 1, 2, from_beginning{}); }};
  EXPECT_TRUE(wait_for_blocked());
  db.exec("rollback");
  other.join();
  EXPECT_EQ(ranges(a), "0-511@0 512-1023@0");
}

TEST_F(projection_store, refuses_names_and_counts_that_it_cannot_use) {
  auto a = connect();
  auto declares = [&](const std::string& name, std::uint16_t count = 1,
                      std::int32_t revision = 1) {
    return code_thrown_by(
      [&] { a->declare(name, revision, count, from_beginning{}); });
  };
  for (auto* name : {"", "a b", "a'b", "a\"b", "a{b", "ä", "a\nb", "a/b"})
    EXPECT_EQ(declares(name), errc::invalid_options) << name;
  EXPECT_EQ(declares(std::string(201, 'x')), errc::invalid_options);
  EXPECT_EQ(declares("a\0b"s), errc::invalid_options);
  EXPECT_EQ(declares(std::string(200, 'x')), errc::none);
  EXPECT_EQ(declares("Az09_.:-"), errc::none);
  EXPECT_EQ(declares("p", 0), errc::invalid_options);
  EXPECT_EQ(declares("p", 1025), errc::invalid_options);
  EXPECT_EQ(declares("p", 1, 0), errc::invalid_options);
}

TEST_F(projection_store, begins_with_the_first_event) {
  append("x", 2);
  auto a = connect();
  declare();
  auto lease = take(a);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "1 2");
}

TEST_F(projection_store, begins_with_what_is_stored_from_now_on) {
  append("x", 2);
  auto a = connect();
  a->declare("p", 1, 1, from_now{});
  EXPECT_EQ(checkpoint(), 2u);
  append("y");
  auto lease = take(a);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "3");
}

TEST_F(projection_store, begins_now_without_missing_what_is_on_its_way) {
  append("x");
  db.exec("begin");
  auto held = db.exec(raw_append("late"));
  append("y");
  auto a = connect();
  a->declare("p", 1, 1, from_now{});
  db.exec("commit");
  auto lease = take(a);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), held + " " + std::to_string(checkpoint()));
}

TEST_F(projection_store, begins_exactly_at_a_time) {
  auto before = append("x");
  auto first = append("y");
  auto last = append("z");
  db.exec("set evented.allow_change = 'on'");
  auto set = [&](std::uint64_t seq_no, const std::string& time) {
    db.exec("update " + table("event") + " set created_at = '" + time
            + "' where seq_no = " + std::to_string(seq_no));
  };
  set(before, "2020-01-01 00:00:00.123455+00");
  set(first, "2020-01-01 00:00:00.123456+00");
  set(last, "2020-01-01 00:00:00.123457+00");
  // 2020-01-01 in seconds since 1970.
  timestamp at{1577836800s + 123456us};
  auto a = connect();
  a->declare("p", 1, 1, from_time{at});
  auto found = a->status("p");
  ASSERT_TRUE(found.since);
  EXPECT_EQ(*found.since, at);
  auto only = all();
  only.since = found.since;
  auto entries = a->read(only, 0, last, 10).entries;
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].event.seq_no, first);
  EXPECT_EQ(a->lag(only, 0).events, 2u);
}

TEST_F(projection_store, keeps_times_exactly) {
  auto a = connect();
  for (auto us : {0LL, -1LL, 1LL, 1234567890123457LL, 4102444799999999LL,
                  -62135596800000000LL}) {
    auto name = "p" + std::to_string(us);
    timestamp at{std::chrono::microseconds{us}};
    a->declare(name, 1, 1, from_time{at});
    EXPECT_EQ(a->status(name).since, at) << us;
  }
}

TEST_F(projection_store, begins_after_a_number_that_the_journal_has) {
  append("x", 3);
  auto a = connect();
  auto declares = [&](const std::string& name, std::uint64_t after) {
    return code_thrown_by([&] { a->declare(name, 1, 1, from_seq_no{after}); });
  };
  EXPECT_EQ(declares("q", 4), errc::invalid_options);
  EXPECT_EQ(declares("q", ~0ull), errc::invalid_options);
  EXPECT_EQ(code_thrown_by([&] { a->status("q"); }), errc::unknown_projection);
  EXPECT_EQ(declares("q", 3), errc::none);
  EXPECT_EQ(declares("p", 2), errc::none);
  auto lease = take(a);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "3");
}

// -- leases -------------------------------------------------------------------

TEST_F(projection_store, one_of_many_takes_a_range) {
  declare();
  std::vector<runner> all;
  for (auto i = 0; i < 8; ++i)
    all.push_back(connect());
  for (auto round = 0; round < 20; ++round) {
    std::latch start{8};
    std::atomic<int> won{0};
    std::vector<std::optional<range_lease>> leases(all.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < all.size(); ++i)
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        leases[i] = try_take(all[i]);
        won += leases[i] ? 1 : 0;
      });
    for (auto& x : threads)
      x.join();
    ASSERT_EQ(won, 1);
    for (std::size_t i = 0; i < all.size(); ++i)
      if (leases[i])
        all[i]->release(*leases[i]);
  }
}

TEST_F(projection_store, a_dead_owner_is_replaced_and_a_live_one_is_not) {
  declare();
  auto a = connect();
  auto b = connect();
  auto old = take(a);
  EXPECT_FALSE(try_take(b));
  EXPECT_EQ(a->status("p").ranges[0].owner, a.id);
  EXPECT_EQ(a->status("p").ranges[0].host, "host");
  declare_dead(a.id);
  EXPECT_EQ(a->status("p").ranges[0].owner, std::nullopt);
  auto lease = take(b);
  EXPECT_NE(lease.epoch, old.epoch);
  // Alive again, but too late.
  heartbeat(a.id);
  EXPECT_FALSE(try_take(a));
  auto late = step(0);
  EXPECT_TRUE(is_fenced([&] { a->commit(old, late); }));
  EXPECT_EQ(handled(), "");
}

TEST_F(projection_store, an_owner_of_whom_nothing_is_known_is_replaced) {
  declare();
  runner silent{store().connect_projections()};
  take(silent);
  auto b = connect();
  EXPECT_TRUE(try_take(b));
}

// Between the look of one that wants the range and the moment at which it has
// the row, another one may have come to life and taken it.
TEST_F(projection_store, an_owner_that_has_just_come_to_life_is_not_replaced) {
  declare();
  auto b = connect();
  auto fresh = uuid::v4();
  db.exec("begin");
  db.exec("update " + table("projection_range") + " set owner = '"
          + to_string(fresh) + "'");
  std::optional<range_lease> lease;
  std::thread other{[&] { lease = try_take(b); }};
  EXPECT_TRUE(wait_for_blocked());
  raw_connection another;
  another.exec("select " + table("heartbeat") + "(array['" + to_string(fresh)
               + "'::uuid], array['host'], '1 hour')");
  db.exec("commit");
  other.join();
  EXPECT_FALSE(lease);
}

TEST_F(projection_store, taking_the_own_range_again_draws_a_new_epoch) {
  declare();
  auto a = connect();
  auto first = take(a);
  auto second = take(a);
  EXPECT_NE(first.epoch, second.epoch);
  append("x");
  auto late = step(1);
  EXPECT_TRUE(is_fenced([&] { a->commit(first, late); }));
  auto good = step(1);
  a->commit(second, good);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, a_range_that_was_given_back_is_free_at_once) {
  declare();
  auto a = connect();
  auto b = connect();
  auto old = take(a);
  a->release(old);
  auto lease = take(b);
  // Too late to give it back once more.
  a->release(old);
  EXPECT_FALSE(try_take(a));
  auto late = step(0);
  EXPECT_TRUE(is_fenced([&] { a->commit(old, late); }));
}

TEST_F(projection_store, what_is_not_to_run_cannot_be_taken) {
  declare();
  auto a = connect();
  EXPECT_FALSE(try_take(a, 0, 1, 2)) << "another revision";
  EXPECT_FALSE(try_take(a, 1)) << "no such range";
  EXPECT_FALSE(try_take(a, 0, 2)) << "no such version";
  EXPECT_FALSE(a->acquire({"q", 1, 0}, 1, a.id)) << "no such projection";
  a->pause("p", true);
  EXPECT_TRUE(a->status("p").paused);
  EXPECT_FALSE(try_take(a));
  a->pause("p", false);
  auto lease = take(a);
  a->report(lease, "why", 7, true);
  auto range = a->status("p").ranges[0];
  EXPECT_TRUE(range.halted);
  EXPECT_EQ(range.error, "why");
  EXPECT_EQ(range.failed_seq_no, 7u);
  EXPECT_FALSE(try_take(a));
  a->unhalt("p");
  range = a->status("p").ranges[0];
  EXPECT_FALSE(range.halted);
  EXPECT_EQ(range.error, "");
  EXPECT_EQ(range.failed_seq_no, 0u);
  EXPECT_TRUE(try_take(a));
}

TEST_F(projection_store,
       letting_halted_ranges_run_takes_them_from_their_owner) {
  declare();
  auto a = connect();
  auto b = connect();
  auto lease = take(a);
  a->report(lease, "why", 1, true);
  a->unhalt("p");
  append("x");
  auto late = step(1);
  EXPECT_TRUE(is_fenced([&] { a->commit(lease, late); }));
  EXPECT_TRUE(is_fenced([&] { a->report(lease, "late", 1, true); }));
  EXPECT_TRUE(try_take(b));
}

TEST_F(projection_store, a_range_that_runs_stays_when_halted_ones_are_to_run) {
  declare(2);
  auto a = connect();
  auto first = take(a);
  auto second = take(a, 512);
  a->report(first, "why", 1, true);
  a->unhalt("p");
  append("x");
  auto done = step(1);
  a->commit(second, done);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, a_report_is_gone_with_the_next_commit) {
  declare();
  auto a = connect();
  auto lease = take(a);
  append("x");
  a->report(lease, "what \xff"s + "\0"s + std::string(1'000'000, 'x'), 1,
            false);
  auto error = a->status("p").ranges[0].error;
  EXPECT_TRUE(error.starts_with("what ?"));
  EXPECT_LE(error.size(), 2100u);
  auto done = step(1);
  a->commit(lease, done);
  EXPECT_EQ(a->status("p").ranges[0].error, "");
  EXPECT_EQ(a->status("p").ranges[0].failed_seq_no, 0u);
}

TEST_F(projection_store, reports_of_a_former_owner_are_refused) {
  declare();
  auto a = connect();
  auto b = connect();
  auto old = take(a);
  declare_dead(a.id);
  take(b);
  EXPECT_TRUE(is_fenced([&] { a->report(old, "why", 1, true); }));
  EXPECT_FALSE(a->status("p").ranges[0].halted);
}

TEST_F(projection_store, nothing_is_taken_while_a_pause_is_under_way) {
  declare();
  auto a = connect();
  db.exec("begin");
  db.exec("select " + table("pause_projection") + "('p', true)");
  std::optional<range_lease> lease;
  std::thread other{[&] { lease = try_take(a); }};
  EXPECT_TRUE(wait_for_blocked());
  db.exec("commit");
  other.join();
  EXPECT_FALSE(lease);
}

TEST_F(projection_store, a_pause_that_is_rolled_back_was_none) {
  declare();
  auto a = connect();
  db.exec("begin");
  db.exec("select " + table("pause_projection") + "('p', true)");
  std::optional<range_lease> lease;
  std::thread other{[&] { lease = try_take(a); }};
  EXPECT_TRUE(wait_for_blocked());
  db.exec("rollback");
  other.join();
  EXPECT_TRUE(lease);
}

TEST_F(projection_store, a_pause_reaches_who_takes_a_range_at_the_same_time) {
  declare();
  auto a = connect();
  db.exec("begin");
  db.exec("select count(*) from " + table("acquire_range") + "('p', 1, 0, 1, '"
          + to_string(a.id) + "')");
  auto epoch = db.exec("select epoch from " + table("projection_range"));
  std::thread other{[&] { connect()->pause("p", true); }};
  EXPECT_TRUE(wait_for_blocked());
  db.exec("commit");
  other.join();
  range_lease lease{{"p", 1, 0}, {}, std::stoull(epoch), 0, 0, {}, false};
  auto late = step(0);
  EXPECT_TRUE(is_fenced([&] { a->commit(lease, late); }));
}

TEST_F(projection_store, pausing_and_taking_in_any_rhythm_never_runs_paused) {
  declare();
  append("x");
  auto a = connect();
  auto admin = connect();
  std::atomic<bool> stop{false};
  // The view remembers whether the projection was paused at the commit.
  db.exec("create table " + table("seen") + " (paused boolean)");
  std::thread other{[&] {
    while (!stop) {
      auto lease = try_take(a);
      if (!lease)
        continue;
      projection_step x;
      x.up_to = 0;
      x.work = [&](transaction& tx) {
        tx.exec("insert into " + table("seen") + " values (false)");
      };
      try {
        a->commit(*lease, x);
      } catch (const fenced&) {
        // Paused meanwhile.
      }
    }
  }};
  for (auto round = 0; round < 100; ++round) {
    admin->pause("p", true);
    auto before = db.exec("select count(*) from " + table("seen"));
    EXPECT_EQ(db.exec("select count(*) from " + table("seen")), before);
    EXPECT_EQ(db.exec("select count(owner) from " + table("projection_range")),
              "0");
    admin->pause("p", false);
  }
  stop = true;
  other.join();
}

// -- unknown projections ------------------------------------------------------

TEST_F(projection_store, says_so_where_there_is_no_such_projection) {
  auto a = connect();
  using request = std::function<void(projection_session&)>;
  request all_requests[] = {
    [](auto& x) { x.status("q"); },
    [](auto& x) { x.pause("q", true); },
    [](auto& x) { x.pause("q", false); },
    [](auto& x) { x.unhalt("q"); },
    [](auto& x) { x.reset("q", {}, {}); },
    [](auto& x) { x.reset("q", from_now{}, {}); },
    [](auto& x) { x.skip("q", all(), 1); },
    [](auto& x) { x.rescale("q", 1); },
    [](auto& x) { x.finish_rescale("q"); },
    [](auto& x) { x.rebuild("q", {}, {}); },
    [](auto& x) { x.approach_swap("q"); },
    [](auto& x) { x.swap("q", {}); },
    [](auto& x) { x.replay("q", "thing", "x"s, {}); },
    [](auto& x) { x.drop("q", 1); },
  };
  auto place = 0;
  for (auto& ask : all_requests)
    EXPECT_EQ(code_thrown_by([&] { ask(*a); }), errc::unknown_projection)
      << place++;
  EXPECT_TRUE(a->letters("q", 0, 1).empty());
}
