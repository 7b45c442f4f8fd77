// Projections against the database: resets, skips, and how far they are behind.

#include "support/projection_store.hpp"

using namespace std::literals;

using namespace evented;
using namespace evented::test;

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
