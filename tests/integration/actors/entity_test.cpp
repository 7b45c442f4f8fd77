// What an entity promises its senders, on a journal in memory and on
// PostgreSQL.

#include "support/bank.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

using namespace evented;
using namespace evented::test;

namespace {

enum class where { memory, postgres };

class entity_contract : public ::testing::TestWithParam<where> {
protected:
  entity_contract() : store_(open()), journal_(bank_.sys(), store_) {
    // nop
  }

  static std::shared_ptr<store> open() {
    auto options = fresh_journal();
    // Listeners of these tests wait for something; no machine is that slow.
    options.statement_timeout = std::chrono::seconds{30};
    options.listener_timeout = std::chrono::seconds{30};
    return GetParam() == where::memory ? make_memory_store(options)
                                       : open_store(options);
  }

  caf::actor accounts(const entity_options<account>& options = {}) {
    return spawn_entities<account>(bank_.sys(), journal_, options);
  }

  /// A region of another process: with its own actors, on the same store.
  caf::actor other_accounts(const entity_options<account>& options = {}) {
    return spawn_entities<account>(bank_.sys(), journal{bank_.sys(), store_},
                                   options);
  }

  bank bank_;
  std::shared_ptr<store> store_;
  journal journal_;
  uuid id_ = uuid::v4();
};

} // namespace

TEST_P(entity_contract, answers_the_version_and_the_sequence_number) {
  auto region = accounts();
  auto first = bank_.ask(region, id_, deposit{10});
  ASSERT_TRUE(first.ok) << first.text();
  EXPECT_EQ(first.where.version, 1u);
  auto second = bank_.ask(region, id_, deposit_all{{1, 2, 3}});
  ASSERT_TRUE(second.ok) << second.text();
  EXPECT_EQ(second.where.version, 4u);
  EXPECT_EQ(second.where.seq_no, first.where.seq_no + 3);
  EXPECT_EQ(history(journal_, id_),
            "1@deposited 2@deposited 3@deposited 4@deposited");
}

TEST_P(entity_contract, stores_nothing_for_a_rejection) {
  auto region = accounts();
  EXPECT_TRUE(bank_.ask(region, id_, deposit{10}).ok);
  auto refused = bank_.ask(region, id_, withdraw{11});
  ASSERT_EQ(refused.code(), errc::rejected);
  auto why = rejection<insufficient>(refused.err);
  ASSERT_TRUE(why.has_value());
  EXPECT_EQ(why->balance, 10u);
  EXPECT_FALSE(rejection<test::refused>(refused.err).has_value());
  EXPECT_EQ(history(journal_, id_), "1@deposited");
}

TEST_P(entity_contract, answers_an_accept_without_events_with_the_version) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{10});
  auto empty = bank_.ask(region, id_, deposit_all{});
  ASSERT_TRUE(empty.ok) << empty.text();
  EXPECT_EQ(empty.where.version, 1u);
  EXPECT_EQ(empty.where.seq_no, 0u);
}

TEST_P(entity_contract, replies_from_the_new_state) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{10});
  bank_.ask(region, id_, withdraw{3});
  EXPECT_EQ(bank_.balance(region, id_), 7u);
}

TEST_P(entity_contract, runs_an_effect_on_the_new_state_before_it_answers) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{10});
  EXPECT_EQ(seen_by_effect, 10u);
  bank_.ask(region, id_, deposit{5});
  EXPECT_EQ(seen_by_effect, 15u);
}

TEST_P(entity_contract, runs_no_effect_of_a_command_that_was_not_stored) {
  entity_options<account> options;
  options.listener([](const committing<account>&, transaction&) {
    throw std::runtime_error("no");
  });
  seen_by_effect = 0;
  EXPECT_EQ(bank_.ask(accounts(options), id_, deposit{10}).code(),
            errc::listener_failed);
  EXPECT_EQ(seen_by_effect, 0u);
}

TEST_P(entity_contract, rebuilds_the_state_from_the_journal) {
  {
    auto region = accounts();
    for (auto i = 0; i < 5; ++i)
      bank_.ask(region, id_, deposit{2});
    bank_.ask(region, id_, withdraw{1});
  }
  auto region = accounts();
  EXPECT_EQ(bank_.balance(region, id_), 9u);
  auto next = bank_.ask(region, id_, deposit{1});
  ASSERT_TRUE(next.ok) << next.text();
  EXPECT_EQ(next.where.version, 7u);
}

TEST_P(entity_contract, loads_a_history_that_is_longer_than_one_chunk) {
  constexpr std::uint64_t count = 10'000;
  {
    auto region = accounts();
    auto done = bank_.ask(region, id_,
                          deposit_all{std::vector<std::uint64_t>(count, 1)});
    ASSERT_TRUE(done.ok) << done.text();
  }
  EXPECT_EQ(bank_.balance(accounts(), id_), count);
}

TEST_P(entity_contract, answers_in_the_order_of_the_commands) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{5});
  auto answers = bank_.ask_all(region, id_, std::vector<withdraw>(8, {1}));
  std::string story;
  for (auto& x : answers)
    story += render(x) + " ";
  EXPECT_EQ(story, "accepted@2 accepted@3 accepted@4 accepted@5 accepted@6 "
                   "insufficient:0 insufficient:0 insufficient:0 ");
}

TEST_P(entity_contract, refuses_what_is_no_command) {
  auto region = accounts();
  EXPECT_EQ(bank_.ask(region, id_, stranger{}).code(), errc::unknown_command);
  EXPECT_EQ(bank_.ask(region, std::string{"x"}, stranger{}).code(),
            errc::unknown_command);
  EXPECT_EQ(history(journal_, id_), "");
}

TEST_P(entity_contract, refuses_an_id_of_the_wrong_kind) {
  auto region = accounts();
  EXPECT_EQ(bank_.ask(region, std::string{"x"}, deposit{1}).code(),
            errc::invalid_id);
  EXPECT_EQ(bank_.ask(region, std::int64_t{1}, deposit{1}).code(),
            errc::invalid_id);
}

TEST_P(entity_contract, survives_a_handler_that_throws) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{5});
  auto answer = bank_.ask(region, id_, explode{"kaboom"});
  EXPECT_EQ(answer.code(), errc::handler_failed);
  EXPECT_NE(answer.text().find("kaboom"), std::string::npos) << answer.text();
  EXPECT_EQ(bank_.balance(region, id_), 5u);
}

TEST_P(entity_contract, stores_no_event_on_which_apply_throws) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{5});
  auto answer = bank_.ask(region, id_, poison{});
  EXPECT_EQ(answer.code(), errc::handler_failed) << answer.text();
  EXPECT_EQ(bank_.balance(region, id_), 5u) << "half of the command is applied";
  EXPECT_EQ(history(journal_, id_), "1@deposited");
}

TEST_P(entity_contract, refuses_what_the_database_cannot_hold) {
  auto region = accounts();
  EXPECT_EQ(bank_.ask(region, id_, write_nan{}).code(), errc::invalid_event);
  EXPECT_EQ(bank_.ask(region, id_, write_note{std::string("a\0b", 3)}).code(),
            errc::invalid_event);
  EXPECT_EQ(bank_.ask(region, id_, write_note{"\xff"}).code(),
            errc::invalid_event);
  auto large = bank_.ask(region, id_, write_note{std::string(10'000'000, 'x')});
  EXPECT_EQ(large.code(), errc::invalid_event);
  EXPECT_NE(large.text().find("max_event_bytes"), std::string::npos);
  EXPECT_EQ(history(journal_, id_), "");
  EXPECT_EQ(bank_.balance(region, id_), 0u);
}

TEST_P(entity_contract, keeps_entities_apart) {
  auto region = accounts();
  auto other = uuid::v4();
  bank_.ask(region, id_, deposit{1});
  bank_.ask(region, other, deposit{2});
  EXPECT_EQ(bank_.balance(region, id_), 1u);
  EXPECT_EQ(bank_.balance(region, other), 2u);
}

TEST_P(entity_contract, heals_a_conflict_with_another_process) {
  auto here = accounts();
  auto there = other_accounts();
  bank_.ask(here, id_, deposit{1});
  bank_.ask(there, id_, deposit{2});
  auto answer = bank_.ask(here, id_, deposit{4});
  ASSERT_TRUE(answer.ok) << answer.text();
  EXPECT_EQ(answer.where.version, 3u);
  EXPECT_EQ(bank_.balance(here, id_), 7u);
  EXPECT_EQ(bank_.balance(there, id_), 7u);
}

TEST_P(entity_contract, rejects_nothing_on_stale_memory) {
  auto here = accounts();
  auto there = other_accounts();
  EXPECT_EQ(bank_.balance(there, id_), 0u);
  for (auto i = 0; i < 20; ++i) {
    ASSERT_TRUE(bank_.ask(here, id_, deposit{1}).ok);
    auto answer = bank_.ask(there, id_, withdraw{1});
    ASSERT_TRUE(answer.ok) << render(answer) << " in round " << i;
  }
}

TEST_P(entity_contract, may_reject_on_memory_where_asked_to) {
  entity_options<account> options;
  options.confirm = confirm::memory;
  auto here = accounts();
  auto there = other_accounts(options);
  EXPECT_EQ(bank_.balance(there, id_), 0u);
  ASSERT_TRUE(bank_.ask(here, id_, deposit{1}).ok);
  EXPECT_EQ(render(bank_.ask(there, id_, withdraw{1})), "insufficient:0");
}

TEST_P(entity_contract, answers_overloaded_once_the_queue_is_full) {
  entity_options<account> options;
  options.max_queue = 3;
  std::atomic<bool> release{false};
  options.listener([&](const committing<account>&, transaction&) {
    EXPECT_TRUE(wait_until([&] { return release.load(); }));
  });
  auto region = accounts(options);
  auto answers = std::async(std::launch::async, [&] {
    caf::scoped_actor self{bank_.sys()};
    std::vector<std::string> result;
    std::vector<decltype(self->request(region, std::chrono::seconds{30}, id_,
                                       deposit{1}))>
      pending;
    for (auto i = 0; i < 6; ++i)
      pending.push_back(
        self->request(region, std::chrono::seconds{30}, id_, deposit{1}));
    // The last answers come at once; the first wait for the listener.
    for (auto i = pending.size(); i-- > 0;)
      pending[i].receive([&](const accepted&) { result.push_back("accepted"); },
                         [&](const caf::error& err) {
                           result.push_back(
                             std::string{to_string(code_of(err))});
                           if (i == 3)
                             release = true;
                         });
    return result;
  });
  EXPECT_EQ(answers.get(),
            (std::vector<std::string>{"overloaded", "overloaded", "overloaded",
                                      "accepted", "accepted", "accepted"}));
}

TEST_P(entity_contract, stores_the_batch_mates_of_a_vetoed_command) {
  entity_options<account> options;
  options.listener(
    [](const committing<account>& x, transaction&) -> verdict<refused> {
      auto* e = x.as<deposited>();
      if (e != nullptr && e->amount == 4)
        return reject(refused{"no four"});
      return pass{};
    });
  auto region = accounts(options);
  // While the first append is under way, the others queue up for the next.
  std::vector<deposit> cmds;
  for (std::uint64_t i = 1; i <= 10; ++i)
    cmds.push_back({i});
  std::string story;
  for (auto& x : bank_.ask_all(region, id_, cmds))
    story += render(x) + " ";
  EXPECT_EQ(story,
            "accepted@1 accepted@2 accepted@3 refused:no four accepted@4 "
            "accepted@5 accepted@6 accepted@7 accepted@8 accepted@9 ");
  EXPECT_EQ(bank_.balance(region, id_), 55u - 4u);
}

TEST_P(entity_contract, decides_anew_without_the_vetoed_command) {
  entity_options<account> options;
  options.listener(
    [](const committing<account>& x, transaction&) -> verdict<refused> {
      auto* e = x.as<deposited>();
      if (e != nullptr && e->amount == 100)
        return reject(refused{"too much"});
      return pass{};
    });
  auto region = accounts(options);
  bank_.ask(region, id_, deposit{5});
  bank_.self()->send(region, id_, deposit{1});
  bank_.self()->send(region, id_, deposit{100});
  // Decided on 106 at first, and on 6 once the deposit was vetoed.
  EXPECT_EQ(render(bank_.ask(region, id_, withdraw{50})), "insufficient:6");
}

TEST_P(entity_contract, stores_nothing_of_a_command_whose_listener_throws) {
  entity_options<account> options;
  options.listener([](const committing<account>& x, transaction&) {
    auto* e = x.as<deposited>();
    if (e != nullptr && e->amount == 13)
      throw std::runtime_error("bad luck");
  });
  auto region = accounts(options);
  auto other = uuid::v4();
  bank_.self()->send(region, other, deposit{1});
  auto answer = bank_.ask(region, id_, deposit_all{{1, 13, 2}});
  EXPECT_EQ(answer.code(), errc::listener_failed);
  EXPECT_NE(answer.text().find("bad luck"), std::string::npos) << answer.text();
  EXPECT_EQ(history(journal_, id_), "");
  EXPECT_EQ(bank_.balance(region, other), 1u);
  EXPECT_TRUE(bank_.ask(region, id_, deposit{1}).ok);
}

TEST_P(entity_contract, shows_the_listener_where_an_event_stands) {
  entity_options<account> options;
  std::mutex mutex;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  std::string metadata;
  options.listener([&](const committing<account>& x, transaction&) {
    std::lock_guard guard{mutex};
    EXPECT_EQ(x.id, id_);
    seen.emplace_back(x.version, x.seq_no);
    metadata = x.metadata;
  });
  auto region = accounts(options);
  auto answer = bank_.ask(region, id_, deposit_all{{1, 2}});
  auto last = bank_.ask(region, id_, deposit{1});
  ASSERT_TRUE(answer.ok && last.ok);
  EXPECT_EQ(seen, (std::vector<std::pair<std::uint64_t, std::uint64_t>>{
                    {1, answer.where.seq_no - 1},
                    {2, answer.where.seq_no},
                    {3, last.where.seq_no}}));
  EXPECT_EQ(metadata, R"({"who":"test"})");
}

TEST_P(entity_contract, answers_everything_when_it_shuts_down) {
  auto region = accounts();
  auto* self = &bank_.self();
  using handle = decltype((*self)->request(region, std::chrono::seconds{30},
                                           id_, deposit{1}));
  std::vector<handle> pending;
  for (auto i = 0; i < 200; ++i)
    pending.push_back((*self)->request(region, std::chrono::seconds{30},
                                       uuid::v4(), deposit{1}));
  caf::anon_send_exit(region, caf::exit_reason::user_shutdown);
  region = nullptr;
  auto answered = 0;
  for (auto& x : pending)
    x.receive([&](const accepted&) { ++answered; },
              [&](const caf::error& err) {
                // What was still in the region's mailbox, CAF answers.
                EXPECT_TRUE(
                  is(err, errc::shutting_down)
                  || err == caf::make_error(caf::sec::request_receiver_down))
                  << render(bank_.sys(), err);
                ++answered;
              });
  EXPECT_EQ(answered, 200);
}

TEST_P(entity_contract, answers_a_plain_send_with_a_plain_message) {
  // As every actor of CAF does.
  auto region = accounts();
  bank_.self()->send(region, id_, deposit{3});
  accepted answer;
  bank_.self()->receive([&](const accepted& x) { answer = x; });
  EXPECT_EQ(answer.version, 1u);
}

INSTANTIATE_TEST_SUITE_P(journals, entity_contract,
                         ::testing::Values(where::memory, where::postgres),
                         [](const auto& x) {
                           return x.param == where::memory ? "memory"
                                                           : "postgres";
                         });
