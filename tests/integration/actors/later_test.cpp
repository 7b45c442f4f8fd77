// Handlers that ask another actor before they decide.

#include "support/gated_store.hpp"
#include "support/journals.hpp"
#include "support/tills.hpp"

#include <gtest/gtest.h>

#include <map>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class asking : public testing::TestWithParam<const char*> {
protected:
  asking() {
    if (GetParam() == "postgres"s)
      options = fresh_journal();
    options.ids = id_kind::bigint;
    store = GetParam() == "postgres"s ? open_store(options)
                                      : make_memory_store(options);
    here = std::make_unique<till_process>(store);
    clerk = spawn_clerk(here->sys(), state);
    how.target("rates", clerk);
    region = here->spawn<till>(how);
    till::decided = 0;
  }

  ~asking() override {
    caf::anon_send_exit(clerk, caf::exit_reason::user_shutdown);
  }

  /// Waits until the clerk was asked so often.
  [[nodiscard]] bool asked(std::size_t times) {
    return wait_until([&] { return state->asked >= times; });
  }

  template <class T>
  void tell(T answer) {
    seam::anon_send(clerk, std::move(answer));
  }

  /// Waits for the answer to a `sell`.
  template <class Handle>
  std::string sold(Handle handle) {
    std::string result;
    handle.receive(
      [&](const accepted& a, std::uint64_t total) {
        result
          = "ok@" + std::to_string(a.version) + "=" + std::to_string(total);
      },
      [&](const caf::error& err) {
        text = text_of(err);
        auto why = rejection<short_of>(err);
        result = why ? "short_of:" + std::to_string(why->has)
                     : std::string{to_string(code_of(err))};
      });
    return result;
  }

  journal_options options;
  std::shared_ptr<evented::store> store;
  std::shared_ptr<clerk_state> state = std::make_shared<clerk_state>();
  std::unique_ptr<till_process> here;
  caf::actor clerk;
  entity_options<till> how;
  caf::actor region;
  /// What the last error said.
  std::string text;
};

TEST_P(asking, decides_with_the_answer) {
  auto first = here->send(region, 1, sell{1});
  ASSERT_TRUE(asked(1));
  tell(std::uint64_t{300});
  EXPECT_EQ(sold(std::move(first)), "ok@1=300");
  auto second = here->send(region, 1, sell{1});
  ASSERT_TRUE(asked(2));
  tell(std::uint64_t{701});
  EXPECT_EQ(sold(std::move(second)), "short_of:300");
  EXPECT_EQ(here->query(region, 1), "300");
}

TEST_P(asking, what_comes_later_waits_and_others_do_not) {
  auto first = here->send(region, 1, sell{1});
  auto second = here->send(region, 1, book{5});
  auto third = here->send(region, 1, get_total{});
  auto fourth = here->send(region, 1, sell{2});
  auto fifth = here->send(region, 1, book{6});
  ASSERT_TRUE(asked(1));
  EXPECT_EQ(here->ask(region, 2, book{1}), "ok@1");
  EXPECT_EQ(state->asked, 1u);
  tell(std::uint64_t{100});
  EXPECT_EQ(sold(std::move(first)), "ok@1=100");
  EXPECT_EQ(here->receive(std::move(second)), "ok@2");
  std::uint64_t seen = 0;
  third.receive([&](std::uint64_t x) { seen = x; },
                [](const caf::error&) { ADD_FAILURE(); });
  EXPECT_EQ(seen, 105u);
  ASSERT_TRUE(asked(2));
  tell(std::uint64_t{200});
  EXPECT_EQ(sold(std::move(fourth)), "ok@3=305");
  EXPECT_EQ(here->receive(std::move(fifth)), "ok@4");
}

TEST_P(asking, need_not_be) {
  EXPECT_EQ(here->ask(region, 1, sell_oddly{false}), "ok@1");
  EXPECT_EQ(here->query(region, 1), "7");
  EXPECT_EQ(state->asked, 0u);
}

TEST_P(asking, the_context_is_that_of_the_decision) {
  here->ask(region, 1, book{1});
  entity_options<till> quick;
  auto prompt = [](caf::event_based_actor*, std::uint64_t rate) {
    return caf::behavior{[rate](const get_rate&) { return rate; }};
  };
  quick.target("rates", here->sys().spawn(prompt, std::uint64_t{40}));
  auto other = here->spawn<till>(quick);
  EXPECT_EQ(here->ask(other, 1, sell_quickly{1}), "ok@2");
  EXPECT_EQ(here->query(other, 1), "42");
}

TEST_P(asking, an_error_is_the_handlers) {
  auto first = here->send(region, 1, sell{1});
  auto second = here->send(region, 1, book{5});
  ASSERT_TRUE(asked(1));
  tell("no rates on Sundays"s);
  EXPECT_EQ(sold(std::move(first)), "handler_failed");
  EXPECT_NE(text.find("no rates on Sundays"), std::string::npos) << text;
  EXPECT_EQ(here->receive(std::move(second)), "ok@1");
}

TEST_P(asking, an_exception_after_the_answer_is_the_handlers) {
  auto first = here->send(region, 1, sell_badly{});
  ASSERT_TRUE(asked(1));
  tell(std::uint64_t{1});
  EXPECT_EQ(here->receive(std::move(first)), "handler_failed");
  EXPECT_NE(text_of(here->error()).find("slipped"), std::string::npos);
  EXPECT_EQ(here->ask(region, 1, book{5}), "ok@1");
}

TEST_P(asking, nobody_fails) {
  EXPECT_EQ(here->ask(region, 1, sell_oddly{true}), "handler_failed");
  EXPECT_NE(text_of(here->error()).find("\"nobody\""), std::string::npos);
  EXPECT_EQ(here->ask(region, 1, book{5}), "ok@1");
}

TEST_P(asking, takes_no_longer_than_it_may) {
  EXPECT_EQ(here->ask(region, 1, sell_quickly{1}), "handler_failed");
  EXPECT_EQ(here->ask(region, 1, book{5}), "ok@1");
}

TEST_P(asking, takes_no_longer_than_the_command) {
  // Also for the commands that follow, on a machine that has more to do.
  how.command_timeout = 2s;
  auto other = here->spawn<till>(how);
  auto first = here->send(other, 1, sell{1});
  EXPECT_EQ(sold(std::move(first)), "unavailable");
  EXPECT_NE(text.find("did not answer in time"), std::string::npos) << text;
  // The answer comes too late.
  tell(std::uint64_t{100});
  EXPECT_EQ(here->ask(other, 1, book{5}), "ok@1");
  EXPECT_EQ(here->query(other, 1), "5");
}

TEST_P(asking, once_suffices_after_a_conflict) {
  till_process there{store};
  auto other = there.spawn<till>();
  auto first = here->send(region, 1, sell{1});
  ASSERT_TRUE(asked(1));
  EXPECT_EQ(there.ask(other, 1, book{600}), "ok@1");
  tell(std::uint64_t{400});
  EXPECT_EQ(sold(std::move(first)), "ok@2=1000");
  EXPECT_EQ(state->asked, 1u);
  EXPECT_EQ(till::decided, 2);
}

TEST_P(asking, decides_on_the_state_of_that_time) {
  till_process there{store};
  auto other = there.spawn<till>();
  auto first = here->send(region, 1, sell{1});
  ASSERT_TRUE(asked(1));
  EXPECT_EQ(there.ask(other, 1, book{601}), "ok@1");
  tell(std::uint64_t{400});
  // The rejection is checked against the journal, as all are.
  EXPECT_EQ(sold(std::move(first)), "short_of:601");
}

TEST_P(asking, rejects_nothing_on_what_was_read_before_the_answer) {
  till_process there{store};
  auto other = there.spawn<till>();
  auto first = here->send(region, 1, sell{1});
  ASSERT_TRUE(asked(1));
  // Who answers may know of this.
  EXPECT_EQ(there.ask(other, 1, book{600}), "ok@1");
  tell(std::uint64_t{1200});
  EXPECT_EQ(sold(std::move(first)), "short_of:600");
}

TEST_P(asking, nor_on_what_was_read_while_it_asked) {
  auto at = std::make_shared<load_gate>();
  till_process slow{std::make_shared<gated_store>(store, at)};
  auto cold = slow.spawn<till>(how);
  till_process there{store};
  auto other = there.spawn<till>();
  // Both wait for the same load, so that the first is under way while the second
  // one asks.
  at->closed = true;
  auto first = slow.send(cold, 1, book{1});
  auto second = slow.send(cold, 1, sell{1});
  ASSERT_TRUE(wait_until([&] { return at->held_back == 1; }));
  EXPECT_EQ(there.ask(other, 1, book{100}), "ok@1");
  at->closed = false;
  // It conflicts and reads again.
  EXPECT_EQ(slow.receive(std::move(first)), "ok@2");
  ASSERT_TRUE(asked(1));
  EXPECT_EQ(there.ask(other, 1, book{600}), "ok@3");
  tell(std::uint64_t{1200});
  EXPECT_EQ(sold(std::move(second)), "short_of:701");
}

TEST_P(asking, a_repeated_command_has_the_first_answer) {
  for (auto rate : {std::uint64_t{100}, std::uint64_t{200}}) {
    auto before = state->asked.load();
    auto one = here->send(region, 1, sell{1}, command_id{"a"});
    ASSERT_TRUE(asked(before + 1));
    tell(rate);
    EXPECT_EQ(sold(std::move(one)), "ok@1=100");
  }
  EXPECT_EQ(here->query(region, 1), "100");
}

TEST_P(asking, is_finished_when_the_region_ends) {
  auto first = here->send(region, 1, sell{1});
  auto second = here->send(region, 1, book{5});
  ASSERT_TRUE(asked(1));
  caf::anon_send_exit(region, caf::exit_reason::user_shutdown);
  region = nullptr;
  tell(std::uint64_t{100});
  EXPECT_EQ(sold(std::move(first)), "ok@1=100");
  EXPECT_EQ(here->receive(std::move(second)), "ok@2");
}

TEST_P(asking, somebody_who_is_gone_fails) {
  caf::anon_send_exit(clerk, caf::exit_reason::kill);
  auto first = here->send(region, 1, sell{1});
  auto second = here->send(region, 1, book{5});
  EXPECT_EQ(sold(std::move(first)), "handler_failed");
  EXPECT_EQ(here->receive(std::move(second)), "ok@1");
}

TEST_P(asking, every_command_is_answered) {
  // The first one has to be stored by then, on a machine that has more to do, too.
  how.command_timeout = 2s;
  auto other = here->spawn<till>(how);
  std::vector<decltype(here->send(other, 1, sell{1}))> all;
  for (auto i = 0; i < 50; ++i)
    all.push_back(here->send(other, 1, sell{1}));
  ASSERT_TRUE(asked(1));
  tell(std::uint64_t{1});
  std::map<std::string, int> count;
  for (auto& x : all)
    ++count[sold(std::move(x))];
  EXPECT_EQ(count["ok@1=1"], 1);
  EXPECT_EQ(count["unavailable"], 49);
}

INSTANTIATE_TEST_SUITE_P(stores, asking, testing::Values("memory", "postgres"),
                         [](auto& x) { return x.param; });

} // namespace
