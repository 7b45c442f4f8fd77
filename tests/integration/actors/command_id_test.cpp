// Commands with an ID take effect once, and commands that expect a version.

#include "support/journals.hpp"
#include "support/wallet.hpp"

#include <gtest/gtest.h>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class command_ids : public testing::TestWithParam<const char*> {
protected:
  command_ids() {
    if (GetParam() == "postgres"s)
      options = fresh_journal();
    options.ids = id_kind::bigint;
    store = GetParam() == "postgres"s ? open_store(options)
                                      : make_memory_store(options);
    here = std::make_unique<wallet_process>(store);
    region = here->spawn();
  }

  std::size_t events(std::int64_t id) {
    load_request what{"wallet", id, 0};
    return store->connect()->load({&what, 1}, 1000)[0].events.size();
  }

  journal_options options;
  std::shared_ptr<evented::store> store;
  std::unique_ptr<wallet_process> here;
  caf::actor region;
};

TEST_P(command_ids, the_same_one_twice_is_one_effect_and_one_answer) {
  EXPECT_EQ(here->ask(region, 1, put{5}, command_id{"a"}), "ok@1");
  auto first = here->last();
  EXPECT_EQ(here->ask(region, 1, put{7}), "ok@2");
  EXPECT_EQ(here->ask(region, 1, put{5}, command_id{"a"}), "ok@1");
  EXPECT_EQ(here->last(), first);
  EXPECT_EQ(here->query(region, 1), "12");
  EXPECT_EQ(events(1), 2u);
}

TEST_P(command_ids, a_reply_is_the_one_of_the_first_time) {
  here->ask(region, 1, put{10});
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"a"}), "ok@2=6");
  here->ask(region, 1, put{10});
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"a"}), "ok@2=6");
  EXPECT_EQ(here->query(region, 1), "16");
}

TEST_P(command_ids, a_rejection_is_remembered_although_it_would_pass_now) {
  here->ask(region, 1, put{1});
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"a"}), "short_of:1");
  here->ask(region, 1, put{10});
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"a"}), "short_of:1");
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"b"}), "ok@3=7");
}

TEST_P(command_ids, what_would_be_rejected_now_was_accepted_then) {
  here->ask(region, 1, put{4});
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"a"}), "ok@2=0");
  EXPECT_EQ(here->ask_back(region, 1, take{4}, command_id{"a"}), "ok@2=0");
}

TEST_P(command_ids, another_command_under_a_used_one_is_an_error) {
  here->ask(region, 1, put{5}, command_id{"a"});
  EXPECT_EQ(here->ask(region, 1, put{6}, command_id{"a"}), "used_command_id");
  EXPECT_EQ(here->ask_back(region, 1, take{5}, command_id{"a"}),
            "used_command_id");
  EXPECT_NE(text_of(here->error()).find("\"a\""), std::string::npos);
  EXPECT_EQ(here->query(region, 1), "5");
  // Another entity has its own.
  EXPECT_EQ(here->ask(region, 2, put{6}, command_id{"a"}), "ok@1");
}

TEST_P(command_ids, a_failed_handler_is_not_remembered) {
  EXPECT_EQ(here->ask(region, 1, trip{}, command_id{"a"}), "handler_failed");
  EXPECT_EQ(here->ask(region, 1, put{1}, command_id{"a"}), "ok@1");
  EXPECT_EQ(here->ask(region, 1, trip{}, command_id{"a"}), "used_command_id");
}

TEST_P(command_ids, many_at_once_are_one) {
  std::vector<decltype(here->send(region, 1, put{1}, command_id{"a"}))> all;
  for (auto i = 0; i < 100; ++i) {
    all.push_back(here->send(region, 1, put{1}, command_id{"a"}));
    all.push_back(here->send(region, 1, put{100}));
  }
  auto first = here->receive(std::move(all[0]));
  std::size_t others = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    auto found = here->receive(std::move(all[i]));
    if (i % 2 == 0)
      EXPECT_EQ(found, first);
    else
      others += found.starts_with("ok@") ? 1 : 0;
  }
  EXPECT_EQ(others, 100u);
  EXPECT_EQ(here->query(region, 1), "10001");
  EXPECT_EQ(events(1), 101u);
}

TEST_P(command_ids, hold_after_the_entity_has_slept) {
  here->ask(region, 1, put{5}, command_id{"a"});
  // A region of its own knows nothing of the first one's memory.
  auto other = here->spawn();
  EXPECT_EQ(here->ask(other, 1, put{5}, command_id{"a"}), "ok@1");
  EXPECT_EQ(here->query(other, 1), "5");
}

TEST_P(command_ids, hold_on_another_node) {
  wallet_process there{store};
  auto other = there.spawn();
  EXPECT_EQ(there.query(other, 1), "0");
  for (auto i = 0; i < 20; ++i) {
    auto id = command_id{std::to_string(i)};
    // Both know of the entity, and one of them is behind.
    EXPECT_EQ(here->ask(region, 1, put{1}, id),
              there.ask(other, 1, put{1}, id));
    EXPECT_EQ(here->last(), there.last());
  }
  EXPECT_EQ(there.query<get_true_total>(other, 1), "20");
  EXPECT_EQ(here->query<get_true_total>(region, 1), "20");
}

TEST_P(command_ids, bad_ones_are_refused) {
  for (auto& bad : {""s, std::string(201, 'x'), "\xff"s})
    EXPECT_EQ(here->ask(region, 1, put{1}, command_id{bad}), "invalid_id");
  EXPECT_EQ(here->query(region, 1), "0");
}

TEST_P(command_ids, are_forgotten_in_time) {
  entity_options<wallet> short_memory;
  short_memory.remember_commands = 1h;
  auto forgetful = here->spawn(short_memory);
  EXPECT_EQ(here->ask(forgetful, 1, put{1}, command_id{"a"}), "ok@1");
  if (GetParam() == "postgres"s) {
    sql(here->journal(), "update " + options.schema
                           + ".command set created_at = now() - interval '61 "
                             "minutes'");
    EXPECT_TRUE(wait_until([&] {
      return sql(here->journal(),
                 "select count(*) from " + options.schema + ".command")[0][0]
             == "0";
    }));
    EXPECT_EQ(here->ask(forgetful, 1, put{1}, command_id{"a"}), "ok@2");
  }
}

// -- expect -------------------------------------------------------------------

TEST_P(command_ids, a_command_may_expect_a_version) {
  EXPECT_EQ(here->ask(region, 1, put{5}, expect{0}), "ok@1");
  EXPECT_EQ(here->ask(region, 1, put{5}, expect{0}), "unexpected_version");
  EXPECT_EQ(actual_version(here->error()), 1u);
  EXPECT_EQ(here->ask(region, 1, put{5}, expect{2}), "unexpected_version");
  EXPECT_NE(text_of(here->error()).find("version 2 was expected"),
            std::string::npos);
  EXPECT_EQ(here->ask(region, 1, put{5}, expect{1}), "ok@2");
  EXPECT_EQ(here->query(region, 1), "10");
}

TEST_P(command_ids, what_is_expected_is_the_journals_version) {
  wallet_process there{store};
  auto other = there.spawn();
  EXPECT_EQ(there.query(other, 1), "0");
  EXPECT_EQ(here->ask(region, 1, put{5}), "ok@1");
  // The other one's memory says 0, and it is not asked.
  EXPECT_EQ(there.ask(other, 1, put{5}, expect{1}), "ok@2");
  EXPECT_EQ(here->ask(region, 1, put{5}, expect{1}), "unexpected_version");
  EXPECT_EQ(actual_version(here->error()), 2u);
}

TEST_P(command_ids, an_id_goes_before_an_expectation) {
  envelope both{.id = "a", .expected_version = 0};
  EXPECT_EQ(here->ask(region, 1, put{5}, both), "ok@1");
  EXPECT_EQ(here->ask(region, 1, put{5}, both), "ok@1");
  EXPECT_EQ(here->query(region, 1), "5");
  EXPECT_EQ(here->ask(region, 1, put{5}, envelope{}), "ok@2");
}

TEST_P(command_ids, a_trace_is_stored_with_the_events) {
  envelope traced{.correlation_id = "order \"17\"",
                  .causation_id = "click",
                  .traceparent
                  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
  here->ask(region, 1, put{5}, traced);
  load_request what{"wallet", std::int64_t{1}, 0};
  auto found = store->connect()->load({&what, 1}, 10)[0].events;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(
    trace_of(found[0].metadata),
    (trace{traced.correlation_id, traced.causation_id, traced.traceparent}));
}

// -- queries ------------------------------------------------------------------

TEST_P(command_ids, queries_are_answered_in_order_and_store_nothing) {
  EXPECT_EQ(here->query(region, 1), "0");
  auto first = here->send(region, 1, put{1});
  auto second = here->send(region, 1, get_total{});
  auto third = here->send(region, 1, put{2});
  auto fourth = here->send(region, 1, get_true_total{});
  EXPECT_EQ(here->receive(std::move(first)), "ok@1");
  std::uint64_t seen = 0;
  auto fail = [](const caf::error&) { ADD_FAILURE(); };
  second.receive([&](std::uint64_t x) { seen = x; }, fail);
  EXPECT_EQ(seen, 1u);
  EXPECT_EQ(here->receive(std::move(third)), "ok@2");
  fourth.receive([&](std::uint64_t x) { seen = x; }, fail);
  EXPECT_EQ(seen, 3u);
  EXPECT_EQ(events(1), 2u);
}

TEST_P(command_ids, a_query_says_what_it_trusts) {
  wallet_process there{store};
  auto other = there.spawn();
  EXPECT_EQ(there.query(other, 1), "0");
  here->ask(region, 1, put{5});
  EXPECT_EQ(there.query<get_total>(other, 1), "0");
  EXPECT_EQ(there.query<get_true_total>(other, 1), "5");
}

TEST_P(command_ids, a_query_takes_nothing_behind_it) {
  EXPECT_EQ(here->ask(region, 1, get_total{}, command_id{"a"}),
            "unknown_command");
  EXPECT_EQ(here->ask(region, 1, put{1}, std::uint64_t{7}), "unknown_command");
}

INSTANTIATE_TEST_SUITE_P(stores, command_ids,
                         testing::Values("memory", "postgres"),
                         [](auto& x) { return x.param; });

} // namespace
