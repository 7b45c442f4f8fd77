// The connection to the database breaks, or falls silent, at the worst moment.

#include "chaos/proxied.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

using namespace std::literals;

using namespace evented::test;

using evented::errc;

namespace {

using clock_type = std::chrono::steady_clock;

/// One account, whose actor and connections are warm. The parameter says
/// whether a listener takes part in the appends.
class world {
public:
  explicit world(bool listener, std::chrono::milliseconds command_timeout = 10s)
    : at(command_timeout),
      listener(listener),
      app(at.where(), listener ? at.how_with_listener() : at.how()) {
    book.add(app.ask(id, deposit{"warm", 1}));
  }

  /// Selects the message of the client that makes an append durable.
  matcher deciding() const {
    if (!listener)
      return [one = match::bind("evented_append_event"),
              any = match::bind("evented_append")](const client_message& x) {
        return one(x) || any(x);
      };
    // Not match::sql: "begin isolation level read committed" contains it too.
    return [](const client_message& x) {
      return x.type == 'Q' && x.body.starts_with("commit");
    };
  }

  /// Sends a deposit and returns at once.
  std::future<answer> send(const std::string& token) {
    return std::async(std::launch::async, [this, token] {
      return app.ask(id, deposit{token, 1});
    });
  }

  /// Sends a deposit, waits for the answer and keeps it.
  answer ask(const std::string& token) {
    auto result = app.ask(id, deposit{token, 1});
    book.add(result);
    return result;
  }

  /// Sends deposits until one is accepted: the entity and its connection mend
  /// themselves, whatever has happened.
  void ask_until_accepted() {
    auto n = 0;
    answer last;
    EXPECT_TRUE(wait_until([&] {
      last = ask("again." + std::to_string(++n));
      return last.ok.has_value();
    }))
      << to_string(last);
  }

  answer keep(answer x) {
    book.add(x);
    return x;
  }

  /// Compares the table with the answers, and with the listener's table.
  std::string verdict() const {
    auto journal = at.journal();
    auto result = journal.compare(book.answers());
    if (listener)
      for (auto& x : journal.events())
        if (auto n = at.noted(x.token); n != 1)
          result += "the listener has noted " + x.token + ' '
                    + std::to_string(n) + " times\n";
    return result;
  }

  /// Returns what the entity and the table disagree on.
  std::string disagreement() {
    auto seen = app.see(id);
    auto replayed = at.journal().replay(id);
    if (!seen.error.empty())
      return seen.error;
    if (seen.state == replayed)
      return {};
    return "in memory " + to_string(seen.state) + ", in the journal "
           + to_string(replayed);
  }

  evented::uuid id = evented::uuid::v4();
  proxied at;
  bool listener;
  ledger book;
  application app;
};

class lost_reply : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(, lost_reply, testing::Bool(), [](auto& x) {
  return x.param ? "with_listener" : "plain";
});

} // namespace

TEST_P(lost_reply, after_the_server_has_committed_is_found_out) {
  world w{GetParam()};
  w.at.link().cut_after_commit(w.deciding());
  auto got = w.ask("one");
  EXPECT_FALSE(w.at.link().armed());
  EXPECT_TRUE(got.ok) << to_string(got);
  EXPECT_EQ(w.at.journal().count("one"), 1u);
  EXPECT_TRUE(w.ask("later").ok);
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST_P(lost_reply, before_the_request_reached_the_server_is_repeated) {
  world w{GetParam()};
  w.at.link().cut_before(w.deciding());
  auto got = w.ask("one");
  EXPECT_FALSE(w.at.link().armed());
  EXPECT_TRUE(got.ok) << to_string(got);
  EXPECT_EQ(w.at.journal().count("one"), 1u);
  EXPECT_TRUE(w.ask("later").ok);
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST_P(lost_reply, while_the_server_still_works_waits_for_the_old_attempt) {
  world w{GetParam()};
  auto& link = w.at.link();
  auto backends = w.at.appending_backends();
  ASSERT_EQ(backends.size(), 1u);
  stoppable old{backends[0]};
  auto before = link.connections();
  // Stopped at the very moment: with a listener, the rows are in the table and
  // not yet committed, and the new attempt has to wait for that.
  link.cut_in_flight([&old, deciding = w.deciding()](const client_message& x) {
    if (!deciding(x))
      return false;
    old.stop();
    return true;
  });
  auto answered = w.send("one");
  ASSERT_TRUE(link.wait_until_fired());
  ASSERT_TRUE(wait_until([&] { return link.connections() > before; }));
  if (GetParam()) {
    auto waits = [&] {
      return !query(w.at.direct(), "select from pg_stat_activity where "
                                   "wait_event_type = 'Lock' and query ilike '%"
                                     + w.at.schema() + "%.append(%'")
                .empty();
    };
    EXPECT_TRUE(wait_until(waits)) << "the second attempt does not wait for "
                                      "the first";
    EXPECT_EQ(answered.wait_for(0s), std::future_status::timeout);
  } else {
    // The old backend has not begun, and the new one stores the event.
    EXPECT_EQ(answered.wait_for(10s), std::future_status::ready);
  }
  old.resume();
  auto got = w.keep(answered.get());
  EXPECT_TRUE(got.ok) << to_string(got);
  // The old backend comes to nothing, whatever it does.
  EXPECT_TRUE(wait_until([&] { return is_gone(old.pid()); }));
  EXPECT_EQ(w.at.journal().count("one"), 1u);
  EXPECT_TRUE(w.ask("later").ok);
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST_P(lost_reply, loses_none_of_many_commands) {
  world w{GetParam()};
  for (int round = 0; round < 12; ++round) {
    auto skip = static_cast<std::size_t>(round % 3);
    if (round % 2 == 0)
      w.at.link().cut_after_commit(w.deciding(), skip);
    else
      w.at.link().cut_before(w.deciding(), skip);
    std::vector<std::future<answer>> all;
    for (int i = 0; i < 10; ++i)
      all.push_back(w.send(std::to_string(round) + '.' + std::to_string(i)));
    for (auto& x : all)
      w.keep(x.get());
    w.at.link().disarm();
  }
  EXPECT_EQ(w.book.unexpected({}), "");
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

// -- the database is away past the deadline -----------------------------------

TEST_P(lost_reply, is_unavailable_where_nothing_was_sent) {
  world w{GetParam(), 1s};
  w.at.link().refuse();
  auto begin = clock_type::now();
  auto got = w.ask("one");
  EXPECT_EQ(got.code, errc::unavailable) << to_string(got);
  EXPECT_LT(clock_type::now() - begin, 2s);
  EXPECT_EQ(w.at.journal().count("one"), 0u);
  w.at.link().heal();
  auto later = w.ask("later");
  EXPECT_TRUE(later.ok) << to_string(later);
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST_P(lost_reply, is_unavailable_where_the_server_accepts_and_says_nothing) {
  world w{GetParam(), 1s};
  w.at.link().cut_all();
  w.at.link().blackhole();
  auto begin = clock_type::now();
  auto got = w.ask("one");
  EXPECT_EQ(got.code, errc::unavailable) << to_string(got);
  EXPECT_LT(clock_type::now() - begin, 2s);
  w.at.link().heal();
  EXPECT_EQ(w.at.journal().count("one"), 0u);
  w.ask_until_accepted();
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST_P(lost_reply, is_never_stored_after_it_was_called_unavailable) {
  world w{GetParam(), 1s};
  w.at.link().cut_all();
  w.at.link().blackhole();
  // The second and the third are decided together, while the first is on its
  // way to nowhere, and their deadlines come one after the other.
  auto first = w.send("first");
  pass_time(300ms);
  auto second = w.send("second");
  pass_time(600ms);
  auto third = w.send("third");
  for (auto* x : {&first, &second}) {
    auto got = w.keep(x->get());
    EXPECT_EQ(got.code, errc::unavailable) << to_string(got);
  }
  w.at.link().heal();
  auto got = w.keep(third.get());
  EXPECT_TRUE(got.ok || got.code == errc::unavailable) << to_string(got);
  w.ask_until_accepted();
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST(lost_database, is_unavailable_where_an_entity_cannot_be_loaded) {
  world w{false, 1s};
  auto n = 0;
  for (auto silent : {false, true}) {
    if (silent)
      w.at.link().blackhole();
    else
      w.at.link().refuse();
    auto cold = evented::uuid::v4();
    auto begin = clock_type::now();
    auto got
      = w.keep(w.app.ask(cold, deposit{"cold" + std::to_string(++n), 1}));
    EXPECT_EQ(got.code, errc::unavailable) << to_string(got);
    EXPECT_LT(clock_type::now() - begin, 2s) << "silent: " << silent;
    w.at.link().heal();
    EXPECT_TRUE(wait_until([&] {
      auto token = "cold" + std::to_string(++n);
      got = w.keep(w.app.ask(cold, deposit{token, 1}));
      return got.ok.has_value();
    }))
      << to_string(got);
  }
  EXPECT_EQ(w.verdict(), "");
}

TEST_P(lost_reply, is_unknown_where_the_reply_never_came) {
  world w{GetParam(), 1s};
  w.at.link().blackhole(direction::to_client);
  auto begin = clock_type::now();
  auto got = w.ask("one");
  auto took = clock_type::now() - begin;
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  EXPECT_LT(took, 2s);
  w.at.link().heal();
  // By the state as it is, not as it was guessed to be.
  EXPECT_EQ(w.disagreement(), "");
  // The pause before the next attempt may take all the time that a command has.
  w.ask_until_accepted();
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST(lost_database, is_unknown_where_the_server_committed_and_went_away) {
  world w{false, 1s};
  w.at.link().blackhole(direction::to_client);
  auto answered = w.send("one");
  ASSERT_TRUE(wait_until([&] { return w.at.journal().count("one") == 1; }));
  w.at.link().refuse();
  auto got = w.keep(answered.get());
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  w.at.link().heal();
  EXPECT_EQ(w.disagreement(), "");
  // The pause before the next attempt may take all the time that a command has.
  w.ask_until_accepted();
  EXPECT_EQ(w.at.journal().count("one"), 1u);
  EXPECT_EQ(w.verdict(), "");
}

TEST(lost_database, is_unknown_where_the_request_was_lost_and_the_server_too) {
  world w{false, 1s};
  w.at.link().hold(w.deciding());
  auto answered = w.send("one");
  ASSERT_TRUE(w.at.link().wait_until_fired());
  w.at.link().refuse();
  auto got = w.keep(answered.get());
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  w.at.link().heal();
  EXPECT_EQ(w.at.journal().count("one"), 0u);
  EXPECT_EQ(w.disagreement(), "");
  // The pause before the next attempt may take all the time that a command has.
  w.ask_until_accepted();
  EXPECT_EQ(w.verdict(), "");
}

// -- a request arrives when its sender has long given up ----------------------

TEST_P(lost_reply, is_unknown_where_the_request_arrives_after_the_deadline) {
  world w{GetParam(), 1s};
  w.at.link().hold(w.deciding());
  auto got = w.ask("one");
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  w.at.link().release();
  ASSERT_TRUE(wait_until([&] { return w.at.journal().count("one") == 1; }));
  w.ask_until_accepted();
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST(lost_database, may_store_a_request_that_was_given_up) {
  world w{false, 1s};
  auto backends = w.at.appending_backends();
  ASSERT_EQ(backends.size(), 1u);
  w.at.link().hold(w.deciding());
  auto got = w.ask("one");
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  // The connection is given up too, and another one answers.
  ASSERT_TRUE(wait_until([&] { return w.disagreement().empty(); }));
  w.at.link().release();
  ASSERT_TRUE(wait_until([&] { return w.at.journal().count("one") == 1; }));
  EXPECT_EQ(w.disagreement(), "");
  auto later = w.ask("later");
  EXPECT_TRUE(later.ok) << to_string(later);
  EXPECT_EQ(w.verdict(), "");
  EXPECT_EQ(w.disagreement(), "");
}

TEST(lost_database, never_stores_a_late_request_on_top_of_later_ones) {
  world w{false, 1s};
  auto backends = w.at.appending_backends();
  ASSERT_EQ(backends.size(), 1u);
  w.at.link().hold(w.deciding());
  auto got = w.ask("one");
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  w.ask_until_accepted();
  w.at.link().release();
  EXPECT_TRUE(wait_until([&] { return is_gone(backends[0]); }));
  EXPECT_EQ(w.at.journal().count("one"), 0u);
  EXPECT_EQ(w.disagreement(), "");
  auto later = w.ask("last");
  EXPECT_TRUE(later.ok) << to_string(later);
  EXPECT_EQ(w.verdict(), "");
}
