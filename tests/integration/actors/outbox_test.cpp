// What entities send arrives: once where nothing goes wrong, at least once where
// something does.

#include "support/journals.hpp"
#include "support/log_lines.hpp"
#include "support/parcels.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

using mood = post_box::mood;
using lines = std::vector<std::string>;

class outboxes : public testing::TestWithParam<const char*> {
protected:
  outboxes() {
    log_lines::instance().clear();
    if (GetParam() == "postgres"s)
      options = fresh_journal();
    options.ids = id_kind::bigint;
    options.poll_interval = 50ms;
    store = GetParam() == "postgres"s ? open_store(options)
                                      : make_memory_store(options);
    here = std::make_unique<parcel_process>(store);
  }

  static entity_options<parcel> quick() {
    entity_options<parcel> result;
    result.delivery.timeout = 5s;
    result.delivery.first_pause = 10ms;
    result.delivery.longest_pause = 100ms;
    return result;
  }

  caf::actor spawn(parcel_process& where, const caf::actor& mailer,
                   entity_options<parcel> how = quick()) {
    return where.spawn<parcel>(how.target("mailer", mailer));
  }

  caf::actor spawn(const caf::actor& mailer) { return spawn(*here, mailer); }

  caf::actor mailer() { return spawn_mailer(here->sys(), box); }

  /// Waits until the outbox of the parcels is empty.
  [[nodiscard]] bool is_empty() {
    auto session = store->connect();
    return wait_until(
      [&] { return session->waiting_targets("parcel").empty(); });
  }

  std::vector<stored_event> load(std::int64_t id, const std::string& type) {
    load_request what{type, id, 0};
    return store->connect()->load({&what, 1}, 1000)[0].events;
  }

  std::size_t events(std::int64_t id, const std::string& type = "parcel") {
    return load(id, type).size();
  }

  /// Returns the numbers that have rung.
  std::set<std::string> rung(std::int64_t id) {
    std::set<std::string> result;
    for (auto& x : load(id, "parcel"))
      if (x.name == "rung")
        result.insert(
          std::to_string(decode<test::rung>(codec::json, x.payload).number));
    return result;
  }

  journal_options options;
  std::shared_ptr<evented::store> store;
  std::shared_ptr<post_box> box = std::make_shared<post_box>();
  std::unique_ptr<parcel_process> here;
};

TEST_P(outboxes, delivers_once_and_in_order) {
  auto region = spawn(mailer());
  for (auto text : {"a", "b", "c"})
    EXPECT_TRUE(here->ask(region, 1, post{text}).starts_with("ok@"));
  ASSERT_TRUE(box->has(3));
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(box->attempts(), (lines{"1:a", "1:b", "1:c"}));
  EXPECT_EQ(box->ids(), 3u);
}

TEST_P(outboxes, wakes_up_at_once_for_its_own_process) {
  // Polling would take a minute.
  auto slow = options;
  slow.poll_interval = 60s;
  auto other
    = GetParam() == "postgres"s ? open_store(slow) : make_memory_store(slow);
  parcel_process there{other};
  auto region = spawn(there, spawn_mailer(there.sys(), box));
  for (std::size_t n = 1; n <= 3; ++n) {
    there.ask(region, 1, post{"a"});
    ASSERT_TRUE(box->has(n));
  }
}

TEST_P(outboxes, outlives_the_process) {
  // Nobody here delivers.
  auto region = here->spawn<parcel>();
  EXPECT_EQ(here->ask(region, 1, post{"a"}), "ok@1");
  EXPECT_TRUE(wait_until([&] {
    return log_lines::instance().count("messages wait for \"mailer\"") == 1;
  }));
  region = nullptr;
  here.reset();
  here = std::make_unique<parcel_process>(store);
  region = spawn(mailer());
  ASSERT_TRUE(box->has(1));
  EXPECT_EQ(box->done(), lines{"1:a"});
  EXPECT_TRUE(is_empty());
}

TEST_P(outboxes, takes_over_what_a_dead_process_has_claimed) {
  auto region = here->spawn<parcel>();
  here->ask(region, 1, post{"a"});
  auto dead
    = store->connect()->claim_messages({"parcel", {"mailer"}, 300ms, 9});
  ASSERT_EQ(dead.messages.size(), 1u);
  auto second = spawn(mailer());
  ASSERT_TRUE(box->has(1));
  EXPECT_TRUE(is_empty());
  EXPECT_EQ(box->attempts(), lines{"1:a"});
}

TEST_P(outboxes, repeats_what_fails_under_the_same_id_and_keeps_the_order) {
  box->decide = [](const notify& x, std::size_t before) {
    return x.text == "a" && before < 2 ? mood::fail : mood::acknowledge;
  };
  auto region = spawn(mailer());
  here->ask(region, 1, post{"a"});
  here->ask(region, 1, post{"b"});
  ASSERT_TRUE(box->has(2));
  EXPECT_EQ(box->attempts(), (lines{"1:a", "1:a", "1:a", "1:b"}));
  EXPECT_EQ(box->ids(), 2u);
  EXPECT_TRUE(is_empty());
  EXPECT_EQ(log_lines::instance().count("attempt 1 has failed"), 1u);
}

TEST_P(outboxes, repeats_what_is_not_acknowledged_in_time) {
  box->decide = [](const notify&, std::size_t before) {
    return before == 0 ? mood::keep_silent : mood::acknowledge;
  };
  auto how = quick();
  how.delivery.timeout = 50ms;
  auto to = mailer();
  auto region = spawn(*here, to, how);
  here->ask(region, 1, post{"a"});
  ASSERT_TRUE(box->has(1));
  EXPECT_EQ(box->ids(), 1u);
  EXPECT_TRUE(is_empty());
  caf::anon_send_exit(to, caf::exit_reason::user_shutdown);
}

TEST_P(outboxes, keeps_the_order_of_each_entity_while_receivers_fail) {
  std::map<std::int64_t, std::size_t> count;
  box->decide = [count](const notify& x, std::size_t before) mutable {
    // Every third message has to come twice.
    return ++count[x.from] % 3 == 0 && before == 0 ? mood::fail
                                                   : mood::acknowledge;
  };
  auto region = spawn(mailer());
  std::map<std::int64_t, lines> expected;
  for (auto i = 0; i < 10; ++i)
    for (std::int64_t id = 1; id <= 5; ++id) {
      auto text = std::string(1, static_cast<char>('a' + i));
      ASSERT_TRUE(here->ask(region, id, post{text}).starts_with("ok@"));
      expected[id].push_back(std::to_string(id) + ":" + text);
    }
  ASSERT_TRUE(box->has(50));
  std::map<std::int64_t, lines> found;
  for (auto& x : box->done())
    found[x[0] - '0'].push_back(x);
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(is_empty());
}

TEST_P(outboxes, is_shared_by_processes) {
  // One of them is stuck with the first message that it gets.
  box->decide = [](const notify&, std::size_t) { return mood::keep_silent; };
  auto how = quick();
  how.delivery.timeout = 60s;
  how.delivery.max_in_flight = 1;
  auto stuck = mailer();
  auto first = spawn(*here, stuck, how);
  here->ask(first, 1, post{"a"});
  ASSERT_TRUE(wait_until([&] { return box->ids() == 1; }));
  parcel_process there{store};
  auto other = std::make_shared<post_box>();
  auto second = spawn(there, spawn_mailer(there.sys(), other));
  for (std::int64_t id = 1; id <= 20; ++id)
    here->ask(first, id, post{"b"});
  // All but the one that waits for its predecessor.
  ASSERT_TRUE(other->has(19));
  EXPECT_EQ(box->ids(), 1u);
  caf::anon_send_exit(stuck, caf::exit_reason::user_shutdown);
}

TEST_P(outboxes, sends_commands_that_take_effect_once) {
  auto wallets = here->spawn();
  // Delivers twice: the first answer is lost.
  auto behave = [](caf::event_based_actor* self, const caf::actor& to) {
    auto seen = std::make_shared<std::set<std::string>>();
    return caf::behavior{
      [=](std::int64_t id, const put& cmd, const command_id& name) {
        auto promise = self->make_response_promise();
        if (seen->insert(name.value).second) {
          seam::anon_send(to, id, cmd, name);
          promise.deliver(evented::make_error(errc::outcome_unknown, ""));
        } else {
          promise.delegate(to, id, cmd, name);
        }
      }};
  };
  auto lossy = here->sys().spawn(behave, wallets);
  auto region = here->spawn<parcel>(quick().target<wallet>(lossy));
  for (auto i = 0; i < 5; ++i)
    here->ask(region, 1, pay{0, 7, 10});
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(here->query(wallets, 7), "50");
  EXPECT_EQ(events(7, "wallet"), 5u);
}

TEST_P(outboxes, a_rejection_is_an_answer) {
  auto wallets = here->spawn();
  auto region = here->spawn<parcel>(quick().target<wallet>(wallets));
  here->ask(region, 1, pay{3, 4, 10});
  here->ask(region, 1, pay{0, 4, 1});
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(here->query(wallets, 4), "11");
  EXPECT_EQ(events(3, "wallet"), 0u);
  EXPECT_EQ(log_lines::instance().count("is delivered, but was answered with"),
            1u);
}

TEST_P(outboxes, knows_the_entities_of_its_own_type) {
  auto region = spawn(mailer());
  EXPECT_EQ(here->ask(region, 1, forward{2, "a"}), "ok@1");
  ASSERT_TRUE(box->has(1));
  EXPECT_EQ(box->done(), lines{"2:a"});
  EXPECT_TRUE(is_empty());
}

TEST_P(outboxes, knows_the_other_entities_of_its_journal) {
  auto region = spawn(mailer());
  EXPECT_EQ(here->ask(region, 1, pay{0, 7, 10}), "ok@1");
  // Whichever comes first, as there is no order in which both could.
  auto wallets = here->spawn();
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(here->query(wallets, 7), "10");
}

TEST_P(outboxes, holds_nobody_whom_it_only_knows) {
  auto region = spawn(mailer());
  auto wallets = here->spawn();
  here->ask(region, 1, pay{0, 7, 10});
  ASSERT_TRUE(is_empty());
  auto address = wallets->address();
  wallets = nullptr;
  EXPECT_TRUE(wait_until(
    [&] { return caf::actor_cast<caf::actor>(address) == nullptr; }));
  here->ask(region, 1, pay{0, 7, 5});
  wallets = here->spawn();
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(here->query(wallets, 7), "15");
}

TEST_P(outboxes, takes_no_message_without_an_event) {
  auto region = spawn(mailer());
  EXPECT_EQ(here->ask(region, 1, whisper{}), "invalid_event");
  EXPECT_EQ(here->ask(region, 1, whisper{}, command_id{"c"}), "invalid_event");
  EXPECT_TRUE(is_empty());
}

TEST_P(outboxes, ends_with_messages_on_their_way) {
  box->decide = [](const notify&, std::size_t) { return mood::keep_silent; };
  auto how = quick();
  how.delivery.timeout = 1h;
  auto to = mailer();
  auto region = spawn(*here, to, how);
  here->ask(region, 1, post{"a"});
  here->ask(region, 1, post{"b"});
  ASSERT_TRUE(wait_until([&] { return box->ids() == 1; }));
  // The region ends, and the dispatcher gives back what it holds.
  region = nullptr;
  parcel_process there{store};
  auto other = std::make_shared<post_box>();
  auto second = spawn(there, spawn_mailer(there.sys(), other));
  EXPECT_TRUE(other->has(2));
  EXPECT_EQ(other->done(), (lines{"1:a", "1:b"}));
  caf::anon_send_exit(to, caf::exit_reason::user_shutdown);
}

TEST_P(outboxes, wants_targets_that_exist) {
  auto how = quick();
  EXPECT_THROW(here->spawn<parcel>(how.target("mailer", nullptr)), error);
  how = quick();
  how.delivery.max_in_flight = 0;
  EXPECT_THROW(here->spawn<parcel>(how), error);
}

// -- timers -------------------------------------------------------------------

TEST_P(outboxes, a_timer_rings_at_its_time) {
  auto region = here->spawn<parcel>(quick());
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(here->ask(region, 1, set_alarm{300}), "ok@1");
  EXPECT_EQ(here->query(region, 1), "0");
  ASSERT_TRUE(wait_until([&] { return here->query(region, 1) == "1"; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 290ms);
  EXPECT_TRUE(is_empty());
  EXPECT_EQ(events(1), 2u);
}

TEST_P(outboxes, a_timer_rings_once_after_a_restart) {
  auto region = here->spawn<parcel>(quick());
  here->ask(region, 1, set_alarm{200});
  here->ask(region, 1, set_alarm{100});
  region = nullptr;
  here.reset();
  here = std::make_unique<parcel_process>(store);
  parcel_process there{store};
  region = here->spawn<parcel>(quick());
  auto other = there.spawn<parcel>(quick());
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(events(1), 4u);
}

TEST_P(outboxes, a_later_timer_does_not_hold_up_an_earlier_one) {
  auto region = here->spawn<parcel>(quick());
  here->ask(region, 1, set_alarm{3'600'000});
  here->ask(region, 1, set_alarm{50});
  ASSERT_TRUE(wait_until([&] { return here->query(region, 1) == "1"; }));
}

TEST_P(outboxes, a_timer_takes_the_place_of_the_one_of_its_name) {
  auto region = here->spawn<parcel>(quick());
  here->ask(region, 1, schedule{"t", 3'600'000, 1});
  here->ask(region, 1, schedule{"u", 3'600'000, 2});
  here->ask(region, 2, schedule{"t", 50, 3});
  // Another process does not know the timer.
  parcel_process there{store};
  auto other = there.spawn<parcel>(quick());
  there.ask(other, 1, schedule{"t", 50, 4});
  there.ask(other, 1, schedule{"u", 50, 5});
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(rung(1), (std::set<std::string>{"4", "5"}));
  EXPECT_EQ(rung(2), std::set<std::string>{"3"});
}

TEST_P(outboxes, a_timer_is_cancelled_by_its_name) {
  auto region = here->spawn<parcel>(quick());
  here->ask(region, 1, schedule{"t", 3'600'000, 1});
  here->ask(region, 1, call_off{"t"});
  here->ask(region, 1, call_off{"no such"});
  EXPECT_TRUE(is_empty());
  here->ask(region, 1, schedule{"u", 50, 2});
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(rung(1), std::set<std::string>{"2"});
}

TEST_P(outboxes, a_timer_that_a_dead_process_has_claimed_is_cancelled) {
  auto region = here->spawn<parcel>();
  here->ask(region, 1, schedule{"t", 2000, 1});
  region = nullptr;
  here.reset();
  auto session = store->connect();
  ASSERT_TRUE(wait_until([&] {
    return session->claim_messages({"parcel", {""}, 1h, 9}).messages.size()
           == 1;
  }));
  here = std::make_unique<parcel_process>(store);
  region = here->spawn<parcel>(quick());
  here->ask(region, 1, call_off{"t"});
  here->ask(region, 1, schedule{"u", 400, 2});
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(rung(1), std::set<std::string>{"2"});
}

TEST_P(outboxes, a_timer_sets_itself_again_under_its_name) {
  auto region = here->spawn<parcel>(quick());
  here->ask(region, 1, tick{10});
  ASSERT_TRUE(wait_until([&] { return here->query(region, 1) == "11"; }));
  EXPECT_TRUE(is_empty());
  EXPECT_EQ(events(1), 11u);
}

INSTANTIATE_TEST_SUITE_P(stores, outboxes,
                         testing::Values("memory", "postgres"),
                         [](auto& x) { return x.param; });

} // namespace
