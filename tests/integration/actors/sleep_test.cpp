// Entities are put to sleep and wake up again, and snapshots shorten the way.

#include "support/gated_store.hpp"
#include "support/journals.hpp"
#include "support/log_lines.hpp"
#include "support/wallet.hpp"

#include <gtest/gtest.h>

#include <deque>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class sleeping : public testing::TestWithParam<const char*> {
protected:
  sleeping() {
    log_lines::instance().clear();
    if (on_postgres())
      options = fresh_journal();
    options.ids = id_kind::bigint;
    store = on_postgres() ? open_store(options) : make_memory_store(options);
    here = std::make_unique<wallet_process>(store);
  }

  static bool on_postgres() { return GetParam() == "postgres"s; }

  stored_snapshot newest(std::int64_t id) {
    load_request what{"wallet", id, 0, true};
    auto found = store->connect()->load({&what, 1}, 1000)[0];
    return found.snapshot.value_or(stored_snapshot{});
  }

  bool has_snapshot(std::int64_t id, std::uint64_t version) {
    return wait_until([&] { return newest(id).version == version; });
  }

  /// Returns how many events it takes to wake up a wallet.
  template <class E = wallet>
  std::uint64_t events_to_wake(std::int64_t id,
                               const entity_options<E>& how = {}) {
    wallet_process other{store};
    auto before = E::all_applied.load();
    other.query(other.spawn(how), id);
    return E::all_applied.load() - before;
  }

  journal_options options;
  std::shared_ptr<evented::store> store;
  std::unique_ptr<wallet_process> here;
};

// -- passivation --------------------------------------------------------------

TEST_P(sleeping, an_idle_entity_is_put_to_sleep_and_wakes_up) {
  entity_options<wallet> how;
  how.idle_timeout = 40ms;
  auto region = here->spawn(how);
  EXPECT_EQ(here->ask(region, 1, put{5}), "ok@1");
  EXPECT_TRUE(wait_until([&] { return here->actors(region) == 0; }));
  auto applied = wallet::all_applied.load();
  EXPECT_EQ(here->ask_back(region, 1, take{2}), "ok@2=3");
  // Rebuilt, then applied to both states.
  EXPECT_EQ(wallet::all_applied.load() - applied, 3u);
}

TEST_P(sleeping, one_in_use_stays_awake) {
  entity_options<wallet> how;
  how.idle_timeout = 400ms;
  auto region = here->spawn(how);
  here->ask(region, 1, put{1});
  here->ask(region, 2, put{1});
  auto applied = wallet::all_applied.load();
  auto n = 0;
  // For three times as long, by the clock that puts the other one to sleep.
  const auto end = std::chrono::steady_clock::now() + 1200ms;
  while (std::chrono::steady_clock::now() < end) {
    ASSERT_EQ(here->query(region, 1), "1");
    ++n;
  }
  if (n > 12) {
    // It was asked often enough never to be idle for that long, or the machine
    // stood still.
    EXPECT_LE(wallet::all_applied.load() - applied, 2u);
  }
  EXPECT_EQ(here->query(region, 2), "1");
}

TEST_P(sleeping, never_means_never) {
  entity_options<wallet> how;
  how.idle_timeout = 0ms;
  auto region = here->spawn(how);
  here->ask(region, 1, put{1});
  auto applied = wallet::all_applied.load();
  EXPECT_FALSE(wait_until(
    [&] {
      here->query(region, 1);
      return wallet::all_applied.load() != applied;
    },
    300ms));
}

TEST_P(sleeping, the_least_recently_used_go_first) {
  entity_options<wallet> how;
  how.max_awake = 2;
  auto region = here->spawn(how);
  for (auto id : {1, 2})
    here->ask(region, id, put{1});
  here->query(region, 1);
  here->ask(region, 3, put{1});
  auto applied = wallet::all_applied.load();
  EXPECT_EQ(here->query(region, 1), "1");
  EXPECT_EQ(here->query(region, 3), "1");
  EXPECT_EQ(wallet::all_applied.load(), applied);
  EXPECT_EQ(here->query(region, 2), "1");
  EXPECT_GT(wallet::all_applied.load(), applied);
}

TEST_P(sleeping, many_are_touched_with_few_awake) {
  constexpr auto ids = 3000;
  constexpr auto limit = 50;
  entity_options<wallet> how;
  how.max_awake = limit;
  auto region = here->spawn(how);
  std::size_t most = 0;
  std::deque<decltype(here->send(region, 1, put{1}))> open;
  auto receive = [&] {
    EXPECT_TRUE(here->receive(std::move(open.front())).starts_with("ok@1"));
    open.pop_front();
  };
  for (auto id = 0; id < ids; ++id) {
    open.push_back(here->send(region, id, put{1}));
    if (open.size() == 32)
      receive();
    most = std::max(most, here->actors(region));
  }
  while (!open.empty())
    receive();
  // Those that are asked, and those on their way out.
  EXPECT_LE(most, 4 * limit);
  EXPECT_TRUE(wait_until([&] { return here->actors(region) <= limit; }));
}

TEST_P(sleeping, big_ones_make_room) {
  entity_options<wallet> how;
  how.max_bytes = 10'000'000;
  auto region = here->spawn(how);
  // A wallet takes as many bytes as it holds, twice.
  for (auto id : {1, 2, 3, 4, 5, 6})
    EXPECT_EQ(here->ask(region, id, put{2'000'000}), "ok@1");
  auto applied = wallet::all_applied.load();
  EXPECT_EQ(here->query(region, 6), "2000000");
  EXPECT_EQ(wallet::all_applied.load(), applied);
  EXPECT_EQ(here->query(region, 1), "2000000");
  EXPECT_GT(wallet::all_applied.load(), applied);
  // One that is too big for the limit has to live all the same.
  EXPECT_EQ(here->ask(region, 7, put{50'000'000}), "ok@1");
  EXPECT_EQ(here->query(region, 7), "50000000");
}

TEST_P(sleeping, loses_and_reorders_nothing) {
  entity_options<wallet> how;
  how.idle_timeout = 1ms;
  how.max_awake = 1;
  auto region = here->spawn(how);
  constexpr auto rounds = 300;
  std::vector<decltype(here->send(region, 1, put{1}))> sent;
  for (auto i = 0; i < rounds; ++i)
    for (auto id : {1, 2, 3})
      sent.push_back(here->send(region, id, put{1}));
  for (std::size_t i = 0; i < sent.size(); ++i)
    EXPECT_EQ(here->receive(std::move(sent[i])),
              "ok@" + std::to_string(i / 3 + 1));
}

TEST_P(sleeping, what_comes_before_it_has_fallen_asleep_goes_to_its_successor) {
  auto at = std::make_shared<load_gate>();
  wallet_process there{std::make_shared<gated_store>(store, at)};
  entity_options<wallet> how;
  how.max_awake = 1;
  auto region = there.spawn(how);
  ASSERT_EQ(there.ask(region, 1, put{1}), "ok@1");
  at->closed_to_appends = true;
  auto first = there.send(region, 1, put{1});
  EXPECT_TRUE(wait_until([&] { return at->appends_held_back > 0; }));
  // This one takes its place, so it has to go once that is stored.
  EXPECT_EQ(there.query(region, 2), "0");
  auto second = there.send(region, 1, put{1});
  auto third = there.send(region, 1, put{1}, expect{3});
  // The region has both of them before it answers.
  EXPECT_EQ(there.state(region).falling_asleep, 1u);
  at->closed_to_appends = false;
  EXPECT_EQ(there.receive(std::move(first)), "ok@2");
  EXPECT_EQ(there.receive(std::move(second)), "ok@3");
  EXPECT_EQ(there.receive(std::move(third)), "ok@4");
}

TEST_P(sleeping, command_ids_outlive_it) {
  entity_options<wallet> how;
  how.max_awake = 1;
  auto region = here->spawn(how);
  EXPECT_EQ(here->ask(region, 1, put{5}, command_id{"a"}), "ok@1");
  EXPECT_EQ(here->ask(region, 2, put{5}, command_id{"a"}), "ok@1");
  EXPECT_EQ(here->ask(region, 1, put{5}, command_id{"a"}), "ok@1");
  EXPECT_EQ(here->query(region, 1), "5");
}

TEST_P(sleeping, bad_limits_are_refused) {
  entity_options<wallet> how;
  how.idle_timeout = -1ms;
  EXPECT_THROW(here->spawn(how), error);
  entity_options<wallet> none;
  none.snapshots({.every = 1, .keep = 0});
  EXPECT_THROW(here->spawn(none), error);
}

// -- snapshots ----------------------------------------------------------------

TEST_P(sleeping, a_snapshot_every_so_many_events) {
  entity_options<wallet> how;
  how.snapshots({.every = 5});
  auto region = here->spawn(how);
  for (auto i = 0; i < 4; ++i)
    here->ask(region, 1, put{1});
  EXPECT_EQ(newest(1).version, 0u);
  here->ask(region, 1, put{1});
  EXPECT_TRUE(has_snapshot(1, 5));
  EXPECT_EQ(from_json<wallet>(newest(1).state).total, 5u);
  here->ask(region, 1, put{1});
  EXPECT_EQ(events_to_wake(1, how), 1u);
  EXPECT_EQ(events_to_wake(1), 6u);
}

TEST_P(sleeping, a_snapshot_when_the_state_asks_for_it) {
  entity_options<wallet> how;
  how.snapshots({.when = [](const wallet& x, std::uint64_t version) {
    return x.total % 10 == 0 && version > 1;
  }});
  auto region = here->spawn(how);
  here->ask(region, 1, put{10});
  here->ask(region, 1, put{5});
  here->ask(region, 1, put{5});
  EXPECT_TRUE(has_snapshot(1, 3));
}

TEST_P(sleeping, a_snapshot_before_sleep) {
  entity_options<wallet> how;
  how.max_awake = 1;
  how.snapshots({.when_put_to_sleep = true});
  auto region = here->spawn(how);
  here->ask(region, 1, put{10});
  here->ask(region, 1, put{10});
  EXPECT_EQ(newest(1).version, 0u);
  here->query(region, 2);
  EXPECT_TRUE(has_snapshot(1, 2));
  auto applied = wallet::all_applied.load();
  EXPECT_EQ(here->query(region, 1), "20");
  EXPECT_EQ(wallet::all_applied.load(), applied);
}

TEST_P(sleeping, a_snapshot_of_another_shape_is_not_trusted) {
  using newer = basic_wallet<2>;
  entity_options<wallet> how;
  how.snapshots({.every = 3});
  auto region = here->spawn(how);
  for (auto id : {1, 2, 3})
    for (auto i = 0; i < 3; ++i)
      here->ask(region, id, put{1});
  for (auto id : {1, 2, 3})
    ASSERT_TRUE(has_snapshot(id, 3));
  entity_options<newer> after;
  after.snapshots({.every = 3});
  wallet_process there{store};
  auto upgraded = there.spawn<newer>(after);
  for (auto id : {1, 2, 3})
    EXPECT_EQ(there.query(upgraded, id), "3");
  EXPECT_EQ(log_lines::instance().count("is of no use"), 1u);
  EXPECT_EQ(log_lines::instance().count(
              "holds snapshots of the shapes 1, and this program reads 2"),
            1u);
  // It has written one of its own at once, as there was none.
  EXPECT_TRUE(wait_until([&] { return newest(1).schema_version == 2; }));
  EXPECT_EQ(events_to_wake(1, after), 0u);
  // And the old program falls back in turn.
  EXPECT_EQ(events_to_wake(1, how), 3u);
}

TEST_P(sleeping, a_corrupt_snapshot_falls_back_to_the_events) {
  entity_options<wallet> how;
  how.snapshots({.every = 100});
  {
    wallet_process before{store};
    auto region = before.spawn(how);
    for (auto i = 0; i < 3; ++i)
      before.ask(region, 1, put{1});
  }
  new_snapshot bad{"wallet", std::int64_t{1}, 3, 1, R"({"t0tal": 7})", 3};
  store->connect()->save_snapshots({&bad, 1}, 1);
  auto region = here->spawn(how);
  EXPECT_EQ(here->query(region, 1), "3");
  EXPECT_EQ(log_lines::instance().count("is of no use"), 1u);
  EXPECT_EQ(here->ask(region, 1, put{1}), "ok@4");
}

TEST_P(sleeping, without_snapshots_nothing_changes) {
  entity_options<wallet> how;
  how.snapshots({.every = 2});
  auto region = here->spawn(how);
  for (auto i = 0; i < 9; ++i)
    here->ask(region, 1, put{1});
  ASSERT_TRUE(wait_until([&] { return newest(1).version > 0; }));
  EXPECT_EQ(events_to_wake(1), 9u);
  wallet_process there{store};
  EXPECT_EQ(there.query(there.spawn(), 1), "9");
  EXPECT_EQ(there.query(there.spawn(how), 1), "9");
}

INSTANTIATE_TEST_SUITE_P(stores, sleeping,
                         testing::Values("memory", "postgres"),
                         [](auto& x) { return x.param; });

// -- with an operator's hand --------------------------------------------------

class trimmed : public sleeping {
protected:
  trimmed() {
    how.snapshots({.every = 5});
    auto region = here->spawn(how);
    for (auto i = 0; i < 6; ++i)
      here->ask(region, 1, put{1});
    EXPECT_TRUE(has_snapshot(1, 5));
    sql(here->journal(),
        "select " + options.schema + ".trim_entity('wallet', 1, 5)");
  }

  entity_options<wallet> how;
};

TEST_P(trimmed, an_entity_lives_on_from_its_snapshot) {
  wallet_process there{store};
  auto region = there.spawn(how);
  EXPECT_EQ(there.query(region, 1), "6");
  EXPECT_EQ(there.ask(region, 1, put{1}), "ok@7");
  // Also where snapshots were switched off.
  EXPECT_EQ(there.query(there.spawn(), 1), "7");
}

TEST_P(trimmed, without_a_snapshot_it_says_so) {
  sql(here->journal(), "delete from " + options.schema + ".snapshot");
  wallet_process there{store};
  EXPECT_EQ(there.query(there.spawn(how), 1), "corrupt_event");
  EXPECT_NE(text_of(there.error()).find("up to version 5 were trimmed"),
            std::string::npos);
}

TEST_P(trimmed, an_archived_entity_answers_so) {
  sql(here->journal(), "update " + options.schema
                         + ".horizon set archived = "
                           "true");
  wallet_process there{store};
  EXPECT_EQ(there.ask(there.spawn(how), 1, put{1}), "archived");
}

INSTANTIATE_TEST_SUITE_P(stores, trimmed, testing::Values("postgres"),
                         [](auto& x) { return x.param; });

} // namespace
