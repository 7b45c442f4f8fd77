// Projections against the database: what was put away, and what becomes of it.

#include "support/projection_store.hpp"

using namespace std::literals;

using namespace evented;
using namespace evented::test;

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
