// Projections against the database: who may run a range, what is committed with
// what, and changes from outside. A process is a session with an owner of its
// own; what happens between two lines of it is brought about by a gate inside of
// its transaction, by a raw connection, or by the proxy.

#include "support/projections.hpp"
#include "support/proxy.hpp"

#include <evented/sql_error.hpp>

#include <latch>
#include <optional>
#include <set>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class projection_store : public projections {
protected:
  std::string table(const std::string& name) const {
    return options.schema + "." + name;
  }

  /// Renders the ranges of "p": "0-511@3 512-1023@0".
  std::string ranges(const runner& who, std::int32_t version = 1) {
    std::string result;
    for (auto& x : who->status("p").ranges)
      if (x.key.version == version)
        result += (result.empty() ? "" : " ") + std::to_string(x.slices.first)
                  + "-" + std::to_string(x.slices.last) + "@"
                  + std::to_string(x.seq_no);
    return result;
  }

  /// Checks that ranges share all slices without overlap, and counts them.
  std::size_t partition(const projection_status& x) {
    auto next = 0;
    for (auto& range : x.ranges) {
      EXPECT_EQ(range.slices.first, next);
      EXPECT_EQ(range.key.first, next);
      EXPECT_GE(range.slices.last, range.slices.first);
      next = range.slices.last + 1;
    }
    EXPECT_EQ(next, slice_count);
    return x.ranges.size();
  }

  /// Takes all ranges of a version and handles what waits for them.
  void run_all(const runner& who, std::int32_t version = 1) {
    for (auto& x : who->status("p").ranges) {
      if (x.key.version != version)
        continue;
      auto lease = take(who, x.key.first, version);
      run(who, lease, writing_handler());
    }
  }

  /// Checks that every event of the journal was handled exactly once by a
  /// version of the view, and those of each entity in order.
  void expect_exactly_once(std::int32_t version = 1) {
    auto v = "view_version = " + std::to_string(version);
    EXPECT_EQ(handled_in_order(v), journal());
    EXPECT_EQ(out_of_order(v), "0");
  }

  std::string handled_in_order(const std::string& where) {
    return db.exec("select string_agg(seq_no::text, ' ' order by seq_no) from "
                   + view + " where " + where);
  }

  std::string out_of_order(const std::string& where) {
    return db.exec("select count(*) from (select version, lag(version) over "
                   "(partition by entity_id order by place) as before from "
                   + view + " where " + where
                   + ") as x where version <= before");
  }

  std::string journal() {
    return db.exec("select string_agg(seq_no::text, ' ' order by seq_no) from "
                   + table("event"));
  }

  std::optional<letter_kind> fate(const runner& who, std::uint64_t seq_no,
                                  std::int32_t version = 1) {
    return who->fate({"p", version, 0}, seq_no);
  }

  /// Puts the next event of a range away.
  void park(const runner& who, range_lease& lease) {
    auto x = read(who, lease, 1);
    put_away(*who, x, letter_kind::parked, "no");
    ASSERT_EQ(x.outcome, batch_outcome::committed) << x.error;
    lease = x.lease;
  }
};

/// What cannot be compared with EXPECT_THROW: fenced, and nothing else.
template <class F>
bool is_fenced(F&& f) {
  try {
    f();
    return false;
  } catch (const fenced&) {
    return true;
  }
}

template <class F>
bool loses_connection(F&& f) {
  try {
    f();
    return false;
  } catch (const connection_lost&) {
    return true;
  }
}

} // namespace

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

// -- commits ------------------------------------------------------------------

TEST_F(projection_store, commits_the_view_with_the_checkpoint) {
  declare();
  append("x", 3);
  auto a = connect();
  auto lease = take(a);
  auto one = step(2);
  gate inside;
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    inside.pass();
  };
  std::thread other{[&] { a->commit(lease, one); }};
  inside.wait();
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(handled(), "");
  inside.open();
  other.join();
  EXPECT_EQ(lease.seq_no, 2u);
  EXPECT_EQ(checkpoint(), 2u);
  EXPECT_EQ(handled(), "2");
}

TEST_F(projection_store, what_work_throws_leaves_nothing) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  auto one = step(1);
  one.letters = {{"thing", "x"s, 1, letter_kind::parked, "no"}};
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    throw std::out_of_range("my own");
  };
  EXPECT_THROW(a->commit(lease, one), std::out_of_range);
  one.work = [&](transaction& tx) {
    write(tx);
    throw 42;
  };
  EXPECT_THROW(a->commit(lease, one), int);
  EXPECT_EQ(lease.seq_no, 0u);
  EXPECT_FALSE(lease.parked);
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(handled(), "");
  EXPECT_EQ(letters(a), "");
  // The session is as good as before.
  auto good = step(1);
  a->commit(lease, good);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, a_failed_statement_cannot_be_swallowed) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  for (auto* sql : {"select 1 / 0", "commit", "savepoint s", "nonsense"}) {
    auto one = step(1);
    auto write = one.work;
    one.work = [&](transaction& tx) {
      write(tx);
      try {
        tx.exec(sql);
      } catch (const sql_error&) {
        // Nobody will notice.
      }
    };
    EXPECT_EQ(code_thrown_by([&] { a->commit(lease, one); }),
              errc::handler_failed)
      << sql;
  }
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(handled(), "");
}

TEST_F(projection_store, what_a_handler_throws_is_never_taken_for_the_range_s) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  // As a handler does that uses another journal.
  auto one = step(1);
  one.work = [](transaction&) { throw connection_lost(true, "the other one"); };
  EXPECT_EQ(code_thrown_by([&] { a->commit(lease, one); }),
            errc::handler_failed);
  one.work = [](transaction&) { throw fenced("the other one"); };
  EXPECT_EQ(code_thrown_by([&] { a->commit(lease, one); }),
            errc::handler_failed);
  auto good = step(1);
  a->commit(lease, good);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, an_old_owner_cannot_commit_what_it_has_written) {
  declare();
  append("x");
  auto a = connect();
  auto b = connect();
  auto old = take(a);
  gate inside;
  auto one = step(1);
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    inside.pass();
    write(tx);
  };
  auto late = false;
  std::thread other{[&] { late = is_fenced([&] { a->commit(old, one); }); }};
  inside.wait();
  declare_dead(a.id);
  auto lease = take(b);
  auto two = step(1);
  b->commit(lease, two);
  inside.open();
  other.join();
  EXPECT_TRUE(late);
  EXPECT_EQ(handled(), "1");
  EXPECT_EQ(checkpoint(), 1u);
  EXPECT_EQ(old.seq_no, 0u);
}

TEST_F(projection_store, every_change_from_outside_fences_an_open_transaction) {
  using change = std::function<void(projection_session&)>;
  std::pair<const char*, change> changes[] = {
    {"pause",
     [](projection_session& x) {
       x.pause("p", true);
       x.pause("p", false);
     }},
    {"reset", [](projection_session& x) { x.reset("p", {}, {}); }},
    {"skip", [](projection_session& x) { EXPECT_TRUE(x.skip("p", all(), 1)); }},
    {"drop", [](projection_session& x) { x.drop("p", 1); }},
    {"replay", [](projection_session& x) { x.replay("p", "thing", "x"s, {}); }},
    {"rescale", [](projection_session& x) { x.rescale("p", 3); }},
    {"finish_rescale",
     [](projection_session& x) {
       x.rescale("p", 3);
       EXPECT_TRUE(x.finish_rescale("p"));
     }},
    {"approach_swap",
     [](projection_session& x) {
       x.rebuild("p", {}, {});
       x.approach_swap("p");
     }},
    {"swap",
     [](projection_session& x) {
       x.rebuild("p", {}, {});
       EXPECT_TRUE(x.swap("p", {}));
     }},
  };
  append("x");
  for (auto& [name, make] : changes) {
    db.exec("delete from " + table("dead_letter"));
    db.exec("delete from " + table("projection_range"));
    db.exec("delete from " + table("projection"));
    declare();
    auto a = connect();
    auto old = take(a);
    gate inside;
    auto one = step(1);
    auto write = one.work;
    one.work = [&](transaction& tx) {
      write(tx);
      inside.pass();
    };
    auto late = false;
    std::thread other{[&] { late = is_fenced([&] { a->commit(old, one); }); }};
    inside.wait();
    make(*connect());
    inside.open();
    other.join();
    EXPECT_TRUE(late) << name;
    EXPECT_EQ(handled(), "") << name;
  }
}

TEST_F(projection_store, a_checkpoint_never_goes_back_or_past_the_barrier) {
  declare();
  append("x", 9);
  auto a = connect();
  auto lease = take(a);
  auto commit = [&](std::uint64_t up_to, bool with_work) {
    auto one = step(up_to);
    if (!with_work)
      one.work = nullptr;
    a->commit(lease, one);
  };
  commit(5, true);
  for (auto with_work : {true, false})
    EXPECT_TRUE(is_fenced([&] { commit(4, with_work); }));
  EXPECT_EQ(lease.seq_no, 5u);
  commit(6, false);
  EXPECT_EQ(checkpoint(), 6u);
  db.exec("update " + table("projection_range") + " set barrier = 8");
  lease = take(a);
  EXPECT_EQ(lease.barrier, 8u);
  for (auto with_work : {true, false})
    EXPECT_TRUE(is_fenced([&] { commit(9, with_work); }));
  commit(8, true);
  EXPECT_EQ(checkpoint(), 8u);
  EXPECT_EQ(handled(), "5 8");
}

TEST_F(projection_store, a_step_rests_on_the_checkpoint_that_it_began_with) {
  declare();
  append("x", 9);
  auto a = connect();
  auto lease = take(a);
  auto copy = lease;
  auto one = step(2);
  a->commit(lease, one);
  auto two = step(3);
  EXPECT_TRUE(is_fenced([&] { a->commit(copy, two); }));
  EXPECT_EQ(handled(), "2");
}

TEST_F(projection_store,
       idle_checkpoints_do_not_crowd_out_prepared_statements) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  for (auto i = 0; i < 150; ++i) {
    projection_step idle;
    idle.up_to = 1 + static_cast<std::uint64_t>(i);
    a->commit(lease, idle);
  }
  std::string prepared;
  for (auto i = 0; i < 3; ++i) {
    projection_step one;
    one.up_to = 151;
    one.work = [&](transaction& tx) {
      tx.exec("select 'mine' where $1 = 1", 1);
      prepared = *tx.exec("select count(*) from pg_prepared_statements where "
                          "statement like 'select ''mine''%'")[0][0];
    };
    a->commit(lease, one);
  }
  EXPECT_EQ(prepared, "1");
}

// -- broken connections -------------------------------------------------------

TEST_F(projection_store, a_connection_that_is_terminated_leaves_nothing) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  auto one = step(1);
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    auto pid = *tx.exec("select pg_backend_pid()")[0][0];
    db.exec("select pg_terminate_backend(" + pid + ")");
    try {
      write(tx);
    } catch (const connection_lost&) {
      // The handler does not get to decide.
      throw std::runtime_error("mine");
    }
  };
  EXPECT_TRUE(loses_connection([&] { a->commit(lease, one); }));
  EXPECT_EQ(handled(), "");
  // The same owner comes back over a new connection.
  a.session = store().connect_projections();
  lease = take(a);
  EXPECT_EQ(lease.seq_no, 0u);
  auto two = step(1);
  a->commit(lease, two);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, taking_the_range_again_tells_what_became_of_a_commit) {
  declare();
  append("x", 40);
  proxy link{server().socket_directory() / ".s.PGSQL.5432"};
  auto through = options;
  through.url = link.url(server().user());
  auto proxied = open_store(through);
  runner a{proxied->connect_projections()};
  heartbeat(a.id);
  auto lease = take(a);
  for (auto round = 0; lease.seq_no < 40; ++round) {
    auto one = step(lease.seq_no + 1);
    auto before = lease.seq_no;
    switch (round % 4) {
    case 0:
      link.cut_after_commit(match::sql("advance_range"));
      break;
    case 1:
      link.cut_before(match::sql("advance_range"));
      break;
    case 2:
      link.cut_in_flight(match::sql("advance_range"));
      break;
    default:
      link.cut_after_commit(match::sql("begin"));
    }
    EXPECT_TRUE(loses_connection([&] { a->commit(lease, one); }));
    EXPECT_TRUE(link.wait_until_fired());
    EXPECT_EQ(lease.seq_no, before);
    a.session = proxied->connect_projections();
    lease = take(a);
    // What was in flight may have arrived or not.
    if (round % 4 != 2) {
      EXPECT_EQ(lease.seq_no, before + (round % 4 == 0 ? 1 : 0));
    }
  }
  std::string all;
  for (auto i = 1; i <= 40; ++i)
    all += (i == 1 ? "" : " ") + std::to_string(i);
  EXPECT_EQ(handled(), all);
}

TEST_F(projection_store, a_checkpoint_alone_survives_a_lost_reply) {
  declare();
  append("x", 5);
  proxy link{server().socket_directory() / ".s.PGSQL.5432"};
  auto through = options;
  through.url = link.url(server().user());
  auto proxied = open_store(through);
  runner a{proxied->connect_projections()};
  heartbeat(a.id);
  auto lease = take(a);
  link.cut_after_commit(match::sql("advance_range"));
  projection_step idle;
  idle.up_to = 4;
  EXPECT_TRUE(loses_connection([&] { a->commit(lease, idle); }));
  a.session = proxied->connect_projections();
  EXPECT_EQ(take(a).seq_no, 4u);
}

// The commit arrives after somebody else has taken the range, as packets do.
TEST_F(projection_store, a_commit_that_arrives_late_is_refused) {
  declare();
  append("x");
  proxy link{server().socket_directory() / ".s.PGSQL.5432"};
  auto through = options;
  through.url = link.url(server().user());
  auto proxied = open_store(through);
  runner a{proxied->connect_projections()};
  heartbeat(a.id);
  auto b = connect();
  auto old = take(a);
  link.hold(match::sql("advance_range"));
  auto late = false;
  std::thread other{[&] {
    auto one = step(1);
    late = is_fenced([&] { a->commit(old, one); });
  }};
  EXPECT_TRUE(link.wait_until_fired());
  declare_dead(a.id);
  auto lease = take(b);
  EXPECT_EQ(lease.seq_no, 0u);
  link.release();
  other.join();
  EXPECT_TRUE(late);
  auto two = step(1);
  b->commit(lease, two);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, a_stopped_owner_does_not_keep_its_locks) {
  options.take_over = 2s;
  declare();
  append("x");
  db.exec("insert into " + view + " (seq_no) values (0)");
  auto a = connect();
  auto b = connect();
  auto update = [this](transaction& tx) {
    tx.exec("update " + view + " set seq_no = seq_no + 1");
  };
  auto old = take(a);
  gate inside;
  auto lost = false;
  std::thread other{[&] {
    projection_step one;
    one.up_to = 1;
    one.work = [&](transaction& tx) {
      update(tx);
      inside.pass();
      update(tx);
    };
    lost = loses_connection([&] { a->commit(old, one); });
  }};
  inside.wait();
  declare_dead(a.id);
  auto lease = take(b);
  projection_step two;
  two.up_to = 1;
  two.work = update;
  // The old owner stands still all the while.
  EXPECT_TRUE(wait_until([&] {
    try {
      b->commit(lease, two);
      return true;
    } catch (const sql_error& e) {
      return false; // the lock was not to be had yet
    }
  }));
  EXPECT_EQ(handled(), "1");
  inside.open();
  other.join();
  EXPECT_TRUE(lost);
  EXPECT_EQ(handled(), "1");
}

// -- reset --------------------------------------------------------------------

TEST_F(projection_store, a_reset_begins_anew_and_knows_what_is_replayed) {
  append("x", 3);
  auto a = connect();
  a->declare("p", 1, 1, from_seq_no{1});
  auto lease = take(a);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "2 3");
  a->reset("p", {}, [&](transaction& tx, std::int32_t version) {
    EXPECT_EQ(version, 1);
    tx.exec("delete from " + view);
  });
  EXPECT_EQ(handled(), "");
  append("x");
  lease = take(a);
  EXPECT_EQ(lease.seq_no, 1u);
  EXPECT_EQ(lease.mark, 3u);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "2 3 4");
  EXPECT_EQ(handled("replayed"), "2 3");
}

TEST_F(projection_store, the_mark_stays_when_a_reset_comes_before_the_end) {
  append("x", 5);
  declare();
  auto a = connect();
  auto lease = take(a);
  run(a, lease, writing_handler());
  a->reset("p", {}, {});
  lease = take(a);
  run(a, lease, writing_handler(), 2);
  a->reset("p", from_seq_no{4}, {});
  lease = take(a);
  EXPECT_EQ(lease.seq_no, 4u);
  EXPECT_EQ(lease.mark, 5u);
}

TEST_F(projection_store, a_reset_may_begin_elsewhere) {
  append("x", 3);
  declare();
  auto a = connect();
  a->reset("p", from_now{}, {});
  EXPECT_EQ(checkpoint(), 3u);
  timestamp at{1577836800s};
  a->reset("p", from_time{at}, {});
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(a->status("p").since, at);
  a->reset("p", from_seq_no{2}, {});
  EXPECT_EQ(checkpoint(), 2u);
  EXPECT_EQ(a->status("p").since, std::nullopt);
  // From now on it begins there.
  a->reset("p", {}, {});
  EXPECT_EQ(checkpoint(), 2u);
  EXPECT_EQ(code_thrown_by([&] { a->reset("p", from_seq_no{4}, {}); }),
            errc::invalid_options);
  EXPECT_EQ(checkpoint(), 2u);
}

TEST_F(projection_store, a_reset_forgets_dead_letters_and_errors) {
  append("x", 3);
  declare();
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  run(a, lease, writing_handler());
  a->report(lease, "why", 3, true);
  EXPECT_EQ(letters(a), "1 parked, 2 behind, 3 behind");
  a->reset("p", {}, {});
  EXPECT_EQ(letters(a), "");
  EXPECT_FALSE(a->status("p").ranges[0].halted);
  lease = take(a);
  EXPECT_FALSE(lease.parked);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "1 2 3");
}

TEST_F(projection_store, a_reset_whose_hook_throws_leaves_everything) {
  append("x", 3);
  declare();
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  EXPECT_THROW(a->reset("p", from_now{},
                        [&](transaction& tx, std::int32_t) {
                          tx.exec("drop table " + view);
                          throw std::out_of_range("mine");
                        }),
               std::out_of_range);
  EXPECT_EQ(letters(a), "1 parked");
  run(a, lease,
      event_function{[&](auto& x, auto& tx, auto&) { write(x, tx); }});
  EXPECT_EQ(letters(a), "1 parked, 2 behind, 3 behind");
}

// The reset has fenced the range and waits for the view; the handler has the
// view and waits for the range.
TEST_F(projection_store, a_reset_that_meets_a_handler_gets_through) {
  append("x");
  declare();
  db.exec("insert into " + view + " (seq_no) values (0)");
  for (auto round = 0; round < 3; ++round) {
    auto a = connect();
    auto lease = take(a);
    gate inside;
    std::atomic<bool> fenced_off{false};
    std::thread other{[&] {
      auto x = read(a, lease);
      event_function handler{[&, first = std::make_shared<bool>(true)](
                               auto&, transaction& tx, auto&) {
        tx.exec("update " + view + " set seq_no = -1");
        if (std::exchange(*first, false))
          inside.pass();
      }};
      handle_batch(*a, handler, x, false, never);
      fenced_off = x.outcome == batch_outcome::fenced
                   || x.outcome == batch_outcome::obstructed;
    }};
    inside.wait();
    auto admin = connect();
    std::thread resetting{[&] {
      admin->reset("p", {}, [&](transaction& tx, std::int32_t) {
        tx.exec("update " + view + " set seq_no = 100");
      });
    }};
    EXPECT_TRUE(wait_for_blocked());
    inside.open();
    resetting.join();
    other.join();
    EXPECT_EQ(handled(), "100");
    EXPECT_EQ(checkpoint(), 0u);
    declare_dead(a.id);
  }
}

// -- skip ---------------------------------------------------------------------

TEST_F(projection_store, skips_the_next_event_and_no_other) {
  append("x", 3);
  declare();
  auto a = connect();
  EXPECT_FALSE(a->skip("p", all(), 2));
  EXPECT_FALSE(a->skip("p", all(), 4));
  EXPECT_FALSE(a->skip("p", all(), 0));
  EXPECT_TRUE(a->skip("p", all(), 1));
  EXPECT_FALSE(a->skip("p", all(), 1));
  EXPECT_EQ(checkpoint(), 1u);
  EXPECT_EQ(fate(a, 1), letter_kind::skipped);
  EXPECT_EQ(fate(a, 2), std::nullopt);
  auto lease = take(a);
  EXPECT_FALSE(lease.parked);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "2 3");
}

TEST_F(projection_store, skips_what_passes_the_filter) {
  append("x");
  append("g", 1, "gadget");
  append("x");
  declare();
  auto a = connect();
  event_filter gadgets{.types = {"gadget"}};
  EXPECT_FALSE(a->skip("p", gadgets, 1));
  EXPECT_TRUE(a->skip("p", gadgets, 2));
  EXPECT_EQ(a->letters("p", 0, 10).at(0).type_name, "gadget");
}

TEST_F(projection_store, a_halted_range_runs_again_when_its_event_is_skipped) {
  append("x", 2);
  declare();
  auto a = connect();
  auto lease = take(a);
  a->report(lease, "poison", 1, true);
  EXPECT_TRUE(a->skip("p", all(), 1));
  EXPECT_FALSE(a->status("p").ranges[0].halted);
  EXPECT_EQ(a->status("p").ranges[0].error, "");
  EXPECT_TRUE(try_take(a));
}

TEST_F(projection_store, skips_nothing_above_a_frontier_that_is_held) {
  append("x");
  declare();
  auto a = connect();
  auto lease = take(a);
  run(a, lease, writing_handler());
  db.exec("begin");
  auto held = std::stoull(db.exec(raw_append("late")));
  auto next = append("y");
  EXPECT_FALSE(a->skip("p", all(), next));
  db.exec("commit");
  EXPECT_FALSE(a->skip("p", all(), next));
  EXPECT_TRUE(a->skip("p", all(), held));
  EXPECT_TRUE(a->skip("p", all(), next));
}

TEST_F(projection_store, a_skip_goes_to_the_range_of_the_event) {
  declare(2);
  std::string low;
  std::string high;
  for (auto i = 0; low.empty() || high.empty(); ++i) {
    auto id = std::to_string(i);
    (slice_of(id) < 512 ? low : high) = id;
  }
  append(low);
  append(high);
  append(low);
  auto a = connect();
  EXPECT_TRUE(a->skip("p", all(), 2));
  EXPECT_EQ(ranges(a), "0-511@0 512-1023@2");
}

// -- lag ----------------------------------------------------------------------

TEST_F(projection_store, tells_how_much_waits) {
  auto a = connect();
  auto nothing = a->lag(all(), 0);
  EXPECT_EQ(nothing.events, 0u);
  EXPECT_FALSE(nothing.more);
  EXPECT_EQ(nothing.age, 0us);
  append("x", 3);
  append("g", 2, "gadget");
  auto some = a->lag(all(), 1);
  EXPECT_EQ(some.events, 4u);
  EXPECT_FALSE(some.more);
  EXPECT_GT(some.age, 0us);
  EXPECT_EQ(a->lag({.types = {"gadget"}}, 0).events, 2u);
  EXPECT_EQ(a->lag(all(), 5).events, 0u);
  auto slice = slice_of("x"s);
  event_filter only{.types = {"thing", "gadget"}, .slices = {slice, slice}};
  EXPECT_EQ(a->lag(only, 0).events, slice_of("g"s) == slice ? 5u : 3u);
  event_filter none{.types = {"thing"}, .names = {"other"}};
  EXPECT_EQ(a->lag(none, 0).events, 0u);
  EXPECT_EQ(a->lag(none, 0).age, 0us);
}

TEST_F(projection_store, counts_up_to_ten_thousand) {
  append("x", 9'999);
  auto a = connect();
  event_filter slice{.types = {"thing"}, .slices = {0, 1022}};
  if (slice_of("x"s) == 1023)
    slice.slices = {1, 1023};
  for (auto& filter : {all(), slice}) {
    EXPECT_EQ(a->lag(filter, 0).events, 9'999u);
    EXPECT_FALSE(a->lag(filter, 0).more);
  }
  append("x");
  for (auto& filter : {all(), slice}) {
    EXPECT_EQ(a->lag(filter, 0).events, 10'000u);
    EXPECT_FALSE(a->lag(filter, 0).more);
  }
  append("x");
  for (auto& filter : {all(), slice}) {
    EXPECT_EQ(a->lag(filter, 0).events, 10'000u);
    EXPECT_TRUE(a->lag(filter, 0).more);
    EXPECT_EQ(a->lag(filter, 1).events, 10'000u);
    EXPECT_FALSE(a->lag(filter, 1).more);
  }
}

TEST_F(projection_store, the_age_is_that_of_the_oldest_event_that_waits) {
  append("x", 2);
  db.exec("set evented.allow_change = 'on'");
  db.exec("update " + table("event")
          + " set created_at = now() - interval '1 hour' where seq_no = 1");
  auto a = connect();
  EXPECT_GT(a->lag(all(), 0).age, 59min);
  EXPECT_LT(a->lag(all(), 1).age, 59min);
  // A clock that was set back.
  db.exec("update " + table("event")
          + " set created_at = now() + interval '1 hour' where seq_no = 2");
  EXPECT_GT(a->lag(all(), 1).age, 0us);
}

// -- who holds the frontier ---------------------------------------------------

TEST_F(projection_store, tells_who_holds_the_frontier_back) {
  auto a = connect();
  EXPECT_TRUE(a->frontier_holders().empty());
  auto pid = db.exec("select pg_backend_pid()");
  db.exec("begin");
  db.exec(raw_append("late"));
  raw_connection second;
  second.exec("begin");
  second.exec(raw_append("later"));
  auto found = a->frontier_holders();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(std::to_string(found[0].pid), pid);
  EXPECT_EQ(found[0].state, "idle in transaction");
  EXPECT_NE(found[0].query.find("append"), std::string::npos);
  EXPECT_GE(found[0].age, found[1].age);
  db.exec("rollback");
  second.exec("rollback");
  EXPECT_TRUE(a->frontier_holders().empty());
}

TEST(projection_store_alone, finds_a_prepared_transaction_at_the_frontier) {
  dev::postgres own{{.directory = {},
                     .fsync = false,
                     .settings = {{"max_prepared_transactions", "2"}}}};
  journal_options options;
  options.url = own.url();
  options.ids = id_kind::text;
  auto store = open_store(options);
  raw_connection db{own.url()};
  db.exec("begin");
  db.exec("select evented.hold_frontier()");
  db.exec("prepare transaction 'forgotten'");
  auto found = store->connect_projections()->frontier_holders();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].pid, 0);
  EXPECT_EQ(found[0].query, "forgotten");
  EXPECT_EQ(found[0].state, "prepared transaction");
  db.exec("rollback prepared 'forgotten'");
  EXPECT_TRUE(store->connect_projections()->frontier_holders().empty());
}

// -- rescale ------------------------------------------------------------------

TEST_F(projection_store, a_rescale_brings_ranges_together_and_loses_nothing) {
  declare(4);
  for (auto i = 0; i < 40; ++i)
    append("e" + std::to_string(i % 10), 1 + i % 3);
  auto a = connect();
  // Two ranges are ahead, one of them has been reset with the others before.
  for (std::uint16_t first : {0, 512}) {
    auto lease = take(a, first);
    auto x = read(a, lease, first == 0 ? 4 : 9);
    handle_batch(*a, writing_handler(), x, false, never);
    ASSERT_EQ(x.outcome, batch_outcome::committed);
  }
  auto zombie = take(a, 256);
  a->rescale("p", 8);
  EXPECT_EQ(a->status("p").rescale_to, 8);
  EXPECT_EQ(code_thrown_by([&] { a->rescale("p", 2); }), errc::not_now);
  EXPECT_EQ(code_thrown_by([&] { a->rebuild("p", {}, {}); }), errc::not_now);
  EXPECT_EQ(code_thrown_by([&] { a->reset("p", {}, {}); }), errc::not_now);
  EXPECT_FALSE(a->finish_rescale("p"));
  run_all(a);
  EXPECT_TRUE(a->finish_rescale("p"));
  EXPECT_TRUE(a->finish_rescale("p"));
  EXPECT_EQ(partition(a->status("p")), 8u);
  EXPECT_EQ(a->status("p").rescale_to, std::nullopt);
  auto late = step(zombie.seq_no + 1);
  EXPECT_TRUE(is_fenced([&] { a->commit(zombie, late); }));
  auto lease = take(a, 128);
  run(a, lease, writing_handler());
  for (auto i = 0; i < 20; ++i)
    append("e" + std::to_string(i % 10));
  a->rescale("p", 2);
  run_all(a);
  EXPECT_TRUE(a->finish_rescale("p"));
  EXPECT_EQ(partition(a->status("p")), 2u);
  run_all(a);
  expect_exactly_once();
}

TEST_F(projection_store,
       a_rescale_waits_for_an_open_transaction_and_fences_it) {
  declare(2);
  append("x");
  auto a = connect();
  auto lease = take(a);
  db.exec("begin");
  db.exec("select " + table("advance_range") + "('p', 1, 0, "
          + std::to_string(lease.epoch) + ", 0, 1)");
  auto admin = connect();
  std::thread other{[&] { admin->rescale("p", 4); }};
  EXPECT_TRUE(wait_for_blocked());
  db.exec("commit");
  other.join();
  EXPECT_EQ(take(a, 512).barrier, 1u);
  EXPECT_EQ(ranges(a), "0-511@1 512-1023@0");
}

TEST_F(projection_store, a_rescale_does_not_forget_what_is_replayed) {
  declare(2);
  append("x", 3);
  append("y", 3);
  auto a = connect();
  run_all(a);
  a->reset("p", {}, [&](transaction& tx, std::int32_t) {
    tx.exec("delete from " + view);
  });
  append("x", 3);
  append("y", 3);
  a->rescale("p", 3);
  // The barrier lies at the mark.
  run_all(a);
  EXPECT_TRUE(a->finish_rescale("p"));
  EXPECT_EQ(handled_in_order("replayed"), "1 2 3 4 5 6");
  run_all(a);
  expect_exactly_once();
  EXPECT_EQ(handled_in_order("replayed"), "1 2 3 4 5 6");
}

TEST_F(projection_store, a_rescale_keeps_dead_letters) {
  declare(1);
  append("x", 2);
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  run(a, lease, writing_handler());
  a->rescale("p", 2);
  EXPECT_TRUE(a->finish_rescale("p"));
  append("x");
  run_all(a);
  EXPECT_EQ(letters(a), "1 parked, 2 behind, 3 behind");
}

// -- rebuild ------------------------------------------------------------------

TEST_F(projection_store, a_rebuild_swaps_views_without_repeating_effects) {
  declare(2);
  append("x", 3);
  append("y", 3);
  auto a = connect();
  run_all(a);
  append("x");
  EXPECT_EQ(a->rebuild("p", 2,
                       [&](transaction& tx, std::int32_t version) {
                         EXPECT_EQ(version, 2);
                         tx.exec("create table " + table("view_2") + " ()");
                       }),
            2);
  EXPECT_EQ(a->status("p").building, 2);
  EXPECT_EQ(code_thrown_by([&] { a->rebuild("p", {}, {}); }), errc::not_now);
  EXPECT_EQ(code_thrown_by([&] { a->rescale("p", 3); }), errc::not_now);
  EXPECT_EQ(code_thrown_by([&] { a->reset("p", {}, {}); }), errc::not_now);
  EXPECT_FALSE(a->swap("p", {}));
  // The live version goes on while the next one catches up.
  run_all(a);
  a->approach_swap("p");
  append("y");
  run_all(a);
  EXPECT_EQ(handled_in_order("view_version = 1"), "1 2 3 4 5 6 7");
  EXPECT_FALSE(a->swap("p", {}));
  // Another revision of the handler builds it, as far as its counterpart.
  for (auto& x : a->status("p").ranges) {
    if (x.key.version != 2)
      continue;
    EXPECT_EQ(x.revision, 2);
    EXPECT_FALSE(a->acquire(x.key, 1, a.id));
    auto lease = a->acquire(x.key, 2, a.id);
    ASSERT_TRUE(lease);
    auto batch = read(a, *lease);
    std::erase_if(batch.entries, [](auto& e) { return e.event.seq_no > 7; });
    batch.up_to = 7;
    EXPECT_FALSE(a->swap("p", {}));
    handle_batch(*a, writing_handler(), batch, false, never);
    ASSERT_EQ(batch.outcome, batch_outcome::committed) << batch.error;
  }
  EXPECT_EQ(handled_in_order("view_version = 2 and replayed"), "1 2 3 4 5 6 7");
  auto zombie = a->acquire({"p", 2, 0}, 2, a.id);
  auto swapped = std::pair{0, 0};
  EXPECT_TRUE(
    a->swap("p", [&](transaction& tx, std::int32_t from, std::int32_t to) {
      swapped = {from, to};
      tx.exec("drop table " + table("view_2"));
    }));
  EXPECT_EQ(swapped, std::pair(1, 2));
  EXPECT_FALSE(a->swap("p", {}));
  auto late = step(8);
  EXPECT_TRUE(is_fenced([&] { a->commit(*zombie, late); }));
  auto found = a->status("p");
  EXPECT_EQ(found.version, 2);
  EXPECT_EQ(found.building, std::nullopt);
  EXPECT_EQ(partition(found), 2u);
  for (auto& x : found.ranges) {
    auto lease = a->acquire(x.key, 2, a.id);
    ASSERT_TRUE(lease);
    run(a, *lease, writing_handler());
  }
  expect_exactly_once(2);
  EXPECT_EQ(handled_in_order("view_version = 2 and replayed"), "1 2 3 4 5 6 7");
}

TEST_F(projection_store, a_hook_that_throws_leaves_both_versions_as_they_were) {
  declare();
  append("x");
  auto a = connect();
  auto thrower = [](transaction&, auto...) { throw std::out_of_range("mine"); };
  EXPECT_THROW(a->rebuild("p", {}, thrower), std::out_of_range);
  EXPECT_EQ(a->status("p").building, std::nullopt);
  EXPECT_EQ(a->rebuild("p", {}, {}), 2);
  EXPECT_THROW(a->swap("p", thrower), std::out_of_range);
  EXPECT_EQ(a->status("p").version, 1);
  EXPECT_EQ(a->status("p").building, 2);
  EXPECT_EQ(a->status("p").ranges.size(), 2u);
  // What would have been swapped is still run by who ran it.
  EXPECT_TRUE(a->swap("p", {}));
  EXPECT_EQ(a->status("p").version, 2);
}

TEST_F(projection_store, a_rebuild_goes_on_where_a_crash_has_left_it) {
  declare();
  append("x", 4);
  {
    auto a = connect();
    run_all(a);
    a->rebuild("p", {}, {});
    auto lease = take(a, 0, 2);
    auto x = read(a, lease, 2);
    handle_batch(*a, writing_handler(), x, false, never);
    a->approach_swap("p");
    declare_dead(a.id);
  }
  auto b = connect();
  EXPECT_EQ(b->status("p").building, 2);
  b->approach_swap("p");
  auto lease = take(b, 0, 2);
  EXPECT_EQ(lease.seq_no, 2u);
  run(b, lease, writing_handler());
  EXPECT_TRUE(b->swap("p", {}));
  expect_exactly_once(2);
}

TEST_F(projection_store, a_second_rebuild_begins_with_an_empty_slate) {
  declare();
  append("x", 2);
  auto a = connect();
  run_all(a);
  a->rebuild("p", {}, {});
  auto lease = take(a, 0, 2);
  park(a, lease);
  run(a, lease, writing_handler());
  EXPECT_EQ(letters(a), "");
  EXPECT_EQ(fate(a, 1, 2), letter_kind::parked);
  EXPECT_TRUE(a->swap("p", {}));
  EXPECT_EQ(letters(a), "1 parked, 2 behind");
  EXPECT_EQ(a->rebuild("p", {}, {}), 3);
  lease = take(a, 0, 3);
  EXPECT_FALSE(lease.parked);
  run(a, lease, writing_handler());
  EXPECT_TRUE(a->swap("p", {}));
  EXPECT_EQ(letters(a), "");
  expect_exactly_once(3);
}

// -- dead letters -------------------------------------------------------------

TEST_F(projection_store, replays_the_letters_of_one_entity_in_order) {
  declare();
  append("x", 2);
  append("y");
  append("x");
  append("x", 1, "gadget");
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  run(a, lease, writing_handler());
  EXPECT_EQ(handled(), "3 5");
  EXPECT_EQ(letters(a), "1 parked, 2 behind, 4 behind");
  auto found = a->letters("p", 1, 1);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].seq_no, 2u);
  EXPECT_EQ(a->replay("p", "gadget", "x"s, {}), 0u);
  EXPECT_EQ(a->replay("p", "thing", "y"s, {}), 0u);
  EXPECT_EQ(a->replay("p", "thing", "x"s,
                      [&](const journal_entry& x, transaction& tx) {
                        EXPECT_EQ(x.type_name, "thing");
                        EXPECT_EQ(x.event.name, "happened");
                        EXPECT_EQ(from_json<happened>(x.event.payload).n, 1);
                        write(x, tx);
                      }),
            3u);
  EXPECT_EQ(handled(), "3 5 1 2 4");
  EXPECT_EQ(letters(a), "");
  append("x");
  lease = take(a);
  EXPECT_FALSE(lease.parked);
  run(a, lease, writing_handler());
  expect_exactly_once();
}

TEST_F(projection_store, a_replay_that_fails_keeps_all_letters) {
  declare();
  append("x", 3);
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  run(a, lease, writing_handler());
  EXPECT_THROW(a->replay("p", "thing", "x"s,
                         [&](const journal_entry& x, transaction& tx) {
                           write(x, tx);
                           if (x.event.seq_no == 2)
                             throw std::out_of_range("mine");
                         }),
               std::out_of_range);
  EXPECT_EQ(handled(), "");
  EXPECT_EQ(letters(a), "1 parked, 2 behind, 3 behind");
  append("x");
  lease = take(a);
  EXPECT_TRUE(lease.parked);
  run(a, lease, writing_handler());
  EXPECT_EQ(letters(a), "1 parked, 2 behind, 3 behind, 4 behind");
}

TEST_F(projection_store, a_replay_leaves_alone_what_was_skipped) {
  declare();
  append("x", 2);
  auto a = connect();
  a->skip("p", all(), 1);
  auto lease = take(a);
  park(a, lease);
  EXPECT_EQ(
    a->replay("p", "thing", "x"s, [&](auto& x, auto& tx) { write(x, tx); }),
    1u);
  EXPECT_EQ(handled(), "2");
  EXPECT_EQ(letters(a), "1 skipped");
}

// A runner has put one more event behind, in a transaction that is still open;
// then the letters are replayed. The event must not stay behind nothing.
TEST_F(projection_store, nothing_is_left_behind_letters_that_are_gone) {
  for (auto by_drop : {false, true}) {
    auto id = by_drop ? "y"s : "x"s;
    auto first = append(id, 2) - 1;
    store().connect_projections()->declare("p", 1, 1, from_beginning{});
    auto a = connect();
    auto lease = take(a);
    while (lease.seq_no < first)
      park(a, lease);
    auto other_entity = append("z" + id);
    gate inside;
    batch_outcome late{};
    std::thread other{[&] {
      auto x = read(a, lease);
      event_function handler{[&](auto& e, transaction& tx, auto&) {
        write(e, tx);
        inside.pass();
      }};
      handle_batch(*a, handler, x, false, never);
      late = x.outcome;
    }};
    inside.wait();
    auto admin = connect();
    if (by_drop) {
      EXPECT_TRUE(admin->drop("p", first));
      EXPECT_FALSE(admin->drop("p", first));
    } else {
      EXPECT_EQ(admin->replay("p", "thing", id,
                              [&](auto& x, auto& tx) { write(x, tx); }),
                1u);
    }
    inside.open();
    other.join();
    EXPECT_EQ(late, batch_outcome::fenced);
    EXPECT_EQ(letters(a), "");
    lease = take(a);
    EXPECT_FALSE(lease.parked);
    run(a, lease, writing_handler());
    EXPECT_EQ(checkpoint(), other_entity);
    EXPECT_EQ(letters(a), "");
    a->release(lease);
  }
  EXPECT_EQ(handled_in_order("true"), "1 2 3 5 6");
}

TEST_F(projection_store, a_replay_sees_the_letter_whose_commit_it_waits_for) {
  declare();
  append("x", 2);
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  db.exec("begin");
  db.exec(
    "insert into " + table("dead_letter")
    + " (name, version, seq_no, type_name, entity_id, slice, kind, error) "
      "values ('p', 1, 2, 'thing', 'x', 0, 'behind', '')");
  db.exec("select " + table("advance_range") + "('p', 1, 0, "
          + std::to_string(lease.epoch) + ", 1, 2)");
  auto admin = connect();
  std::size_t count = 0;
  std::thread other{[&] {
    count = admin->replay("p", "thing", "x"s,
                          [&](auto& x, auto& tx) { write(x, tx); });
  }};
  EXPECT_TRUE(wait_for_blocked());
  db.exec("commit");
  other.join();
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(handled(), "1 2");
}

TEST_F(projection_store, dropping_one_letter_keeps_those_behind_it) {
  declare();
  append("x", 2);
  auto a = connect();
  auto lease = take(a);
  park(a, lease);
  run(a, lease, writing_handler());
  EXPECT_TRUE(a->drop("p", 1));
  EXPECT_EQ(fate(a, 1), std::nullopt);
  append("x");
  lease = take(a);
  run(a, lease, writing_handler());
  EXPECT_EQ(letters(a), "2 behind, 3 behind");
  EXPECT_EQ(
    a->replay("p", "thing", "x"s, [&](auto& x, auto& tx) { write(x, tx); }),
    2u);
  EXPECT_EQ(handled(), "2 3");
}

TEST_F(projection_store, tells_the_fate_of_each_event) {
  declare();
  append("x", 4);
  auto a = connect();
  a->skip("p", all(), 1);
  auto lease = take(a);
  auto one = step(2);
  a->commit(lease, one);
  park(a, lease);
  run(a, lease, writing_handler());
  EXPECT_EQ(fate(a, 1), letter_kind::skipped);
  EXPECT_EQ(fate(a, 2), std::nullopt);
  EXPECT_EQ(fate(a, 3), letter_kind::parked);
  EXPECT_EQ(fate(a, 4), letter_kind::behind);
  EXPECT_EQ(fate(a, 5), std::nullopt);
  EXPECT_EQ(fate(a, 3, 2), std::nullopt);
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
