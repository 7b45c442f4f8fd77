// The outbox of a journal: what is stored with events, claimed, and settled. Run
// against the store in memory and the one in PostgreSQL.

#include "support/journals.hpp"

#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;
using evented::test::wait_until;

namespace {

enum class backend { memory, postgres };

class outbox : public testing::TestWithParam<backend> {
protected:
  outbox() {
    if (GetParam() == backend::postgres)
      options = test::fresh_journal();
    options.ids = id_kind::text;
    journal = GetParam() == backend::postgres ? open_store(options)
                                              : make_memory_store(options);
    session = journal->connect();
  }

  static append_step step(std::uint64_t after,
                          std::vector<outgoing_message> messages) {
    append_step result;
    result.append_id = uuid::v4();
    result.after = after;
    result.events.push_back({"happened", 1, "{}", ""});
    result.messages = std::move(messages);
    return result;
  }

  append_request append(std::string id, std::vector<append_step> steps,
                        std::string type_name = "thing") {
    append_request result{
      std::move(type_name), std::move(id), std::move(steps), {}};
    append_all(*session, {&result});
    return result;
  }

  append_status append(std::string id, std::uint64_t after,
                       std::vector<outgoing_message> messages,
                       std::string type_name = "thing") {
    return append(std::move(id), {step(after, std::move(messages))},
                  std::move(type_name))
      .steps[0]
      .status;
  }

  claimed_messages claim(std::size_t limit = 100,
                         std::vector<std::string> targets = {"a", "b"},
                         std::chrono::milliseconds lease = 1h) {
    return session->claim_messages({"thing", std::move(targets), lease, limit});
  }

  void settle(const claimed_message& x,
              std::optional<std::chrono::milliseconds> again = {},
              bool failed = true) {
    settled_message one{x.id, x.claim, again, failed};
    session->settle_messages({&one, 1});
  }

  /// Renders what was claimed: `entity:target:message`, one after the other.
  static std::string show(const claimed_messages& from) {
    std::string result;
    for (auto& x : from.messages)
      result += (result.empty() ? "" : " ") + to_string(x.entity) + ":"
                + x.target + ":" + x.message;
    return result;
  }

  /// Claims and completes until nothing is due, and renders it.
  std::string drain(std::vector<std::string> targets = {"a", "b"}) {
    std::string result;
    for (;;) {
      auto found = claim(100, targets);
      if (found.messages.empty())
        return result;
      result += (result.empty() ? "" : " ") + show(found);
      for (auto& x : found.messages)
        settle(x);
    }
  }

  static outgoing_message timer(std::string name, std::string message,
                                timestamp due) {
    return {"", std::move(message), due, std::move(name)};
  }

  static outgoing_message cancel(std::string name) {
    return {"", "", {}, std::move(name), true};
  }

  static timestamp in(std::chrono::milliseconds time) {
    return std::chrono::time_point_cast<timestamp::duration>(
      std::chrono::system_clock::now() + time);
  }

  journal_options options;
  std::shared_ptr<store> journal;
  std::unique_ptr<store_session> session;
};

TEST_P(outbox, hands_out_what_was_stored_with_events) {
  auto stored = step(0, {{"a", "\0\xff bytes"s}});
  auto append_id = stored.append_id;
  append("x", {std::move(stored)});
  auto found = claim();
  ASSERT_EQ(found.messages.size(), 1u);
  auto& x = found.messages[0];
  EXPECT_EQ(x.entity, entity_id{"x"s});
  EXPECT_EQ(x.version, 1u);
  EXPECT_EQ(x.append_id, append_id);
  EXPECT_EQ(x.target, "a");
  EXPECT_EQ(x.message, "\0\xff bytes"s);
  EXPECT_EQ(x.attempts, 0u);
  EXPECT_FALSE(found.next);
}

TEST_P(outbox, holds_nothing_of_what_was_not_stored) {
  ASSERT_EQ(append("x", 0, {}), append_status::stored);
  EXPECT_EQ(append("x", 0, {{"a", "1"}}), append_status::conflict);
  auto bad = step(1, {{"a", "2"}});
  bad.events[0].payload = "no json";
  EXPECT_EQ(append("x", {bad, step(2, {{"a", "3"}})}).steps[0].status,
            append_status::failed);
  EXPECT_EQ(show(claim()), "");
  // Nor twice what was sent twice, for want of an answer.
  auto again = step(1, {{"a", "4"}});
  append("x", {again});
  append("x", {again});
  EXPECT_EQ(drain(), "x:a:4");
}

TEST_P(outbox, takes_messages_with_events_only) {
  auto bare = step(0, {{"a", "1"}});
  bare.events.clear();
  bare.record = {"c", 1, command_outcome::accepted, "", ""};
  EXPECT_EQ(append("x", {bare}).steps[0].status, append_status::failed);
  EXPECT_EQ(append("x", 0, {{"\xff", "1"}}), append_status::failed);
  EXPECT_EQ(show(claim()), "");
}

TEST_P(outbox, hands_out_one_after_the_other_of_an_entity_and_target) {
  append("x", 0, {{"a", "1"}, {"b", "2"}, {"a", "3"}});
  append("y", 0, {{"a", "4"}});
  append("x", 1, {{"a", "5"}});
  auto first = claim();
  EXPECT_EQ(show(first), "x:a:1 x:b:2 y:a:4");
  EXPECT_EQ(show(claim()), "");
  settle(first.messages[1]);
  EXPECT_EQ(show(claim()), "");
  settle(first.messages[0]);
  auto second = claim();
  EXPECT_EQ(show(second), "x:a:3");
  settle(second.messages[0]);
  EXPECT_EQ(show(claim()), "x:a:5");
}

TEST_P(outbox, asks_for_as_many_as_wanted) {
  for (auto id : {"u", "v", "w", "x"})
    append(id, 0, {{"a", "1"}});
  EXPECT_EQ(show(claim(3)), "u:a:1 v:a:1 w:a:1");
  EXPECT_EQ(show(claim(3)), "x:a:1");
  EXPECT_EQ(show(claim(3)), "");
}

TEST_P(outbox, leaves_alone_what_others_send_and_receive) {
  append("x", 0, {{"a", "1"}, {"nobody", "2"}, {"b", "3"}});
  append("x", 0, {{"a", "4"}}, "other");
  EXPECT_EQ(drain({"b"}), "x:b:3");
  EXPECT_EQ(drain(), "x:a:1");
  EXPECT_EQ(session->waiting_targets("thing"),
            (std::vector<std::string>{"nobody"}));
  EXPECT_EQ(session->waiting_targets("other"), (std::vector<std::string>{"a"}));
  EXPECT_TRUE(session->waiting_targets("third").empty());
}

TEST_P(outbox, tells_all_targets_that_are_waited_for) {
  append("x", 0, {{"b", "1"}, {"a", "2"}, {"b", "3"}});
  append("y", 0, {{"c", "4", in(1h)}, {"a", "5"}});
  EXPECT_EQ(session->waiting_targets("thing"),
            (std::vector<std::string>{"a", "b", "c"}));
}

TEST_P(outbox, a_claim_that_runs_out_is_free) {
  append("x", 0, {{"a", "1"}});
  auto first = claim(10, {"a"}, 50ms);
  ASSERT_EQ(show(first), "x:a:1");
  claimed_messages second;
  EXPECT_TRUE(wait_until([&] {
    second = claim(10, {"a"});
    return !second.messages.empty();
  }));
  EXPECT_EQ(show(second), "x:a:1");
  EXPECT_NE(second.messages[0].claim, first.messages[0].claim);
  // Who had it has no say any more.
  settle(first.messages[0]);
  settle(first.messages[0], 0ms);
  EXPECT_EQ(show(claim()), "");
  settle(second.messages[0], 0ms);
  EXPECT_EQ(show(claim()), "x:a:1");
}

TEST_P(outbox, a_failed_attempt_is_counted_and_repeated_later) {
  append("x", 0, {{"a", "1"}, {"a", "2"}});
  settle(claim().messages.at(0), 0ms);
  auto second = claim();
  ASSERT_EQ(show(second), "x:a:1");
  EXPECT_EQ(second.messages[0].attempts, 1u);
  settle(second.messages[0], 100ms);
  // Nothing overtakes it meanwhile.
  EXPECT_EQ(show(claim()), "");
  claimed_messages third;
  EXPECT_TRUE(wait_until([&] {
    third = claim();
    return !third.messages.empty();
  }));
  ASSERT_EQ(show(third), "x:a:1");
  EXPECT_EQ(third.messages[0].attempts, 2u);
  settle(third.messages[0], 0ms, false);
  EXPECT_EQ(claim().messages.at(0).attempts, 2u);
}

TEST_P(outbox, what_has_a_time_waits_for_it) {
  append("x", 0, {{"a", "late", in(1h)}, {"a", "soon", in(300ms)}});
  append("x", 1, {{"a", "now"}});
  EXPECT_EQ(drain(), "x:a:now");
  auto next = claim().next;
  ASSERT_TRUE(next);
  EXPECT_LE(*next, 300ms);
  EXPECT_TRUE(wait_until([&] { return drain() == "x:a:soon"; }));
  next = claim().next;
  ASSERT_TRUE(next);
  EXPECT_GT(*next, 59min);
  EXPECT_LE(*next, 1h);
}

TEST_P(outbox, times_count_for_the_order_before_commits_do) {
  append("x", 0, {{"a", "2", in(-1s)}, {"a", "1", in(-2s)}, {"a", "0"}});
  EXPECT_EQ(drain(), "x:a:0 x:a:1 x:a:2");
}

// -- timers with names --------------------------------------------------------

TEST_P(outbox, a_timer_takes_the_place_of_the_one_of_its_name) {
  append("x", 0, {timer("t", "old", in(-2s))});
  append("y", 0, {timer("t", "other entity", in(-1s))});
  append("x", 0, {timer("t", "other type", in(-2s))}, "other");
  append("x", 1, {timer("t", "new", in(1h))});
  EXPECT_EQ(drain({""}), "y::other entity");
  auto next = claim(100, {""}).next;
  ASSERT_TRUE(next);
  EXPECT_GT(*next, 59min);
  append("x", 2, {timer("t", "newest", in(-1s))});
  EXPECT_EQ(drain({""}), "x::newest");
  EXPECT_FALSE(claim(100, {""}).next);
  EXPECT_EQ(session->waiting_targets("other"), (std::vector<std::string>{""}));
}

TEST_P(outbox, a_timer_is_cancelled_by_its_name) {
  append("x", 0,
         {timer("t", "1", in(-3s)),
          timer("u", "2", in(-2s)),
          {"", "3", in(-1s)},
          {"a", "4"}});
  append("x", 1, {cancel("t"), cancel("no such")});
  EXPECT_EQ(drain({"", "a"}), "x:a:4 x::2 x::3");
  // What has gone off is no more to be cancelled.
  EXPECT_EQ(append("x", 2, {cancel("u")}), append_status::stored);
  append("x", 3, {timer("t", "again", in(-1s))});
  EXPECT_EQ(drain({""}), "x::again");
}

TEST_P(outbox, the_last_of_a_name_counts) {
  append("x", 0,
         {timer("t", "1", in(-9s)), timer("t", "2", in(-8s)),
          timer("u", "3", in(-7s)), cancel("u"), cancel("v"),
          timer("v", "4", in(-6s))});
  EXPECT_EQ(drain({""}), "x::2 x::4");
  // In one go with the commands before, and of several entities.
  append_request x{"thing",
                   "x",
                   {step(1, {timer("t", "5", in(-3s))}),
                    step(2, {timer("t", "6", in(-2s)), {"a", "7"}}),
                    step(3, {cancel("u"), timer("w", "8", in(-1s))}),
                    step(4, {timer("u", "9", in(-1s)), cancel("w")})},
                   {}};
  append_request y{"thing",
                   "y",
                   {step(0, {timer("t", "10", in(-3s))}),
                    step(1, {cancel("t")}),
                    step(2, {timer("t", "11", in(-3s))})},
                   {}};
  append_all(*session, {&x, &y});
  EXPECT_EQ(drain({"", "a"}), "x:a:7 y::11 x::6 x::9");
}

TEST_P(outbox, a_timer_stays_where_the_events_are_not_stored) {
  append("x", 0, {timer("t", "1", in(-1s)), timer("u", "2", in(-1s))});
  auto bad = step(1, {cancel("t")});
  bad.events[0].payload = "no json";
  EXPECT_EQ(append("x", {bad}).steps[0].status, append_status::failed);
  EXPECT_EQ(append("x", 0, {cancel("t")}), append_status::conflict);
  // One by one, since one of them is refused.
  append_request x{"thing", "x", {step(1, {cancel("u")})}, {}};
  append_request y{"thing", "y", {bad}, {}};
  append_all(*session, {&x, &y});
  EXPECT_EQ(x.steps[0].status, append_status::stored);
  EXPECT_EQ(drain({""}), "x::1");
}

TEST_P(outbox, a_repeated_append_sets_no_timer_again) {
  auto set = step(0, {timer("t", "1", in(-1s))});
  auto call_off = step(1, {cancel("t")});
  append("x", {set});
  EXPECT_EQ(drain({""}), "x::1");
  append("x", {set});
  EXPECT_EQ(drain({""}), "");
  append("x", {call_off});
  append("x", 2, {timer("t", "2", in(-1s))});
  append("x", {call_off});
  EXPECT_EQ(drain({""}), "x::2");
}

TEST_P(outbox, a_timer_on_its_way_is_not_tried_again) {
  append("x", 0, {timer("t", "1", in(-1s))});
  auto first = claim(100, {""});
  ASSERT_EQ(show(first), "x::1");
  append("x", 1, {timer("t", "2", in(-1s))});
  // The new one need not wait for it.
  auto second = claim(100, {""});
  ASSERT_EQ(show(second), "x::2");
  settle(first.messages[0], 0ms);
  EXPECT_EQ(show(claim(100, {""})), "");
  append("x", 2, {cancel("t")});
  settle(second.messages[0], 0ms);
  EXPECT_EQ(show(claim(100, {""})), "");
  EXPECT_TRUE(session->waiting_targets("thing").empty());
}

TEST_P(outbox, timers_have_names_that_can_be_stored) {
  auto refused = [this](outgoing_message x) {
    return append("x", 0, {std::move(x)}) == append_status::failed;
  };
  EXPECT_TRUE(refused(timer("\xff", "1", in(0s))));
  EXPECT_TRUE(refused(timer(std::string(201, 'x'), "1", in(0s))));
  EXPECT_TRUE(refused(timer("\0"s, "1", in(0s))));
  EXPECT_TRUE(refused({"", "", {}, "", true}));
  // Only what an entity sends to itself is a timer.
  EXPECT_TRUE(refused({"a", "1", in(0s), "t"}));
  EXPECT_TRUE(refused({"\na", "1"}));
  auto bare = step(0, {cancel("t")});
  bare.events.clear();
  bare.record = {"c", 1, command_outcome::accepted, "", ""};
  EXPECT_EQ(append("x", {bare}).steps[0].status, append_status::failed);
  append("x", 0, {timer("\n\xc3\xa4"s + std::string(197, 'x'), "1", in(-1s))});
  append("x", 1, {cancel("\n\xc3\xa4"s + std::string(197, 'x'))});
  EXPECT_EQ(drain({""}), "");
}

TEST_P(outbox, is_shared_by_those_who_ask_at_once) {
  constexpr auto entities = 40;
  for (auto i = 0; i < entities; ++i)
    append("x" + std::to_string(i), 0, {{"a", "1"}, {"a", "2"}});
  std::mutex mutex;
  std::multiset<std::string> seen;
  auto work = [&] {
    auto mine = journal->connect();
    for (;;) {
      auto found = mine->claim_messages({"thing", {"a"}, 1h, 3});
      std::vector<settled_message> done;
      std::lock_guard guard{mutex};
      if (seen.size() == 2 * entities)
        return;
      for (auto& x : found.messages) {
        auto entity = to_string(x.entity);
        // The second one after the first one.
        EXPECT_TRUE(x.message == "1" || seen.count(entity + "1") == 1);
        seen.insert(entity + x.message);
        done.push_back({x.id, x.claim});
      }
      mine->settle_messages(done);
    }
  };
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back(work);
  for (auto& x : threads)
    x.join();
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(),
            2u * entities);
}

INSTANTIATE_TEST_SUITE_P(stores, outbox,
                         testing::Values(backend::memory, backend::postgres),
                         [](auto& x) {
                           return x.param == backend::memory ? "memory"
                                                             : "postgres";
                         });

} // namespace
