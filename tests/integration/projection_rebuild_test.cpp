// Projections against the database: other numbers of ranges, and other versions
// of the view.

#include "support/projection_store.hpp"

using namespace std::literals;

using namespace evented;
using namespace evented::test;

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
