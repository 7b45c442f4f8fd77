// What every store guarantees, run against the one in memory and the one in
// PostgreSQL. Where they differ, tests with the former prove nothing.

#include "support/journals.hpp"

#include <evented/codec.hpp>
#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;

namespace {

using enum append_status;

// -- what is stored -----------------------------------------------------------

struct happened {
  std::int64_t n = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(n));
  }
};

new_event make_event(std::int64_t n) {
  return {"happened", 1, to_json(happened{n}), ""};
}

/// A step that stores one event per number, or checks where there is none.
append_step make_step(std::uint64_t after, std::vector<std::int64_t> numbers) {
  append_step result;
  result.append_id = uuid::v4();
  result.after = after;
  for (auto n : numbers)
    result.events.push_back(make_event(n));
  return result;
}

append_request make_request(entity_id id, std::vector<append_step> steps,
                            std::shared_ptr<const event_listener> listener = {},
                            std::string type_name = "thing") {
  return {std::move(type_name), std::move(id), std::move(steps),
          std::move(listener)};
}

append_request make_request(const char* id, std::vector<append_step> steps,
                            std::shared_ptr<const event_listener> listener = {},
                            std::string type_name = "thing") {
  return make_request(entity_id{std::string{id}}, std::move(steps),
                      std::move(listener), std::move(type_name));
}

// -- rendering ----------------------------------------------------------------

const char* name_of(append_status x) {
  switch (x) {
  case pending:
    return "pending";
  case stored:
    return "stored";
  case conflict:
    return "conflict";
  case vetoed:
    return "vetoed";
  case failed:
    return "failed";
  case skipped:
    return "skipped";
  case repeated:
    return "repeated";
  }
  return "?";
}

/// Renders the outcomes of a request's steps: `stored conflict skipped`.
std::string outcomes(const append_request& request) {
  std::string result;
  for (auto& step : request.steps) {
    result += result.empty() ? "" : " ";
    result += name_of(step.status);
    if (step.status == failed)
      result += "(" + std::string{to_string(step.failure)} + ")";
  }
  return result;
}

/// Renders events as `1:7 2:8`, version and number.
std::string render(const std::vector<stored_event>& events) {
  std::string result;
  for (auto& x : events) {
    result += result.empty() ? "" : " ";
    result += std::to_string(x.version) + ":"
              + std::to_string(from_json<happened>(x.payload).n);
  }
  return result;
}

// -- listeners ----------------------------------------------------------------

class function_listener : public event_listener {
public:
  using function
    = std::function<std::any(const uncommitted_event&, transaction&)>;

  explicit function_listener(function f) : f_(std::move(f)) {
    // nop
  }

  std::any on_event(const uncommitted_event& event,
                    transaction& tx) const override {
    return f_(event, tx);
  }

private:
  function f_;
};

std::shared_ptr<const event_listener>
make_listener(function_listener::function f) {
  return std::make_shared<function_listener>(std::move(f));
}

// -- fixture ------------------------------------------------------------------

enum class backend { memory, postgres };

class store_contract : public testing::TestWithParam<backend> {
protected:
  std::shared_ptr<store> open(id_kind ids = id_kind::text,
                              codec payloads = codec::json) {
    journal_options options;
    if (GetParam() == backend::postgres)
      options = test::fresh_journal();
    options.ids = ids;
    options.payloads = payloads;
    return GetParam() == backend::postgres ? open_store(options)
                                           : make_memory_store(options);
  }

  store& journal() {
    if (!journal_)
      journal_ = open();
    return *journal_;
  }

  store_session& session() {
    if (!session_)
      session_ = journal().connect();
    return *session_;
  }

  /// Appends the requests as one batch.
  template <class... Ts>
  void append(Ts&... requests) {
    append_all(session(), {&requests...});
  }

  /// Appends one step and returns its outcome.
  std::string append(const char* id, append_step step) {
    auto x = make_request(id, {std::move(step)});
    append(x);
    return outcomes(x);
  }

  std::vector<stored_event> events_of(entity_id id, std::uint64_t after = 0,
                                      std::string type_name = "thing") {
    std::vector<stored_event> result;
    for (auto more = true; more;) {
      load_request what{type_name, id, after};
      auto found = session().load({&what, 1}, 1000);
      more = found.at(0).more && !found.at(0).events.empty();
      for (auto& x : found.at(0).events) {
        after = x.version;
        result.push_back(std::move(x));
      }
    }
    return result;
  }

  std::string history(const char* id, std::uint64_t after = 0,
                      std::string type_name = "thing") {
    return render(events_of(std::string{id}, after, std::move(type_name)));
  }

private:
  std::shared_ptr<store> journal_;
  std::unique_ptr<store_session> session_;
};

INSTANTIATE_TEST_SUITE_P(stores, store_contract,
                         testing::Values(backend::memory, backend::postgres),
                         [](auto& x) {
                           return x.param == backend::memory ? "memory"
                                                             : "postgres";
                         });

} // namespace

// -- appending ----------------------------------------------------------------

TEST_P(store_contract, versions_start_at_1) {
  EXPECT_EQ(append("a", make_step(0, {7})), "stored");
  EXPECT_EQ(history("a"), "1:7");
}

TEST_P(store_contract, events_of_one_step_are_stored_in_order) {
  auto x = make_request("a", {make_step(0, {7, 8, 9})});
  append(x);
  EXPECT_EQ(outcomes(x), "stored");
  auto events = events_of("a"s);
  EXPECT_EQ(render(events), "1:7 2:8 3:9");
  EXPECT_EQ(x.steps[0].seq_no, events.back().seq_no);
  EXPECT_LT(events[0].seq_no, events[1].seq_no);
  EXPECT_LT(events[1].seq_no, events[2].seq_no);
}

TEST_P(store_contract, several_steps_of_an_entity_are_stored_in_order) {
  auto x = make_request(
    "a", {make_step(0, {1}), make_step(1, {2, 3}), make_step(3, {4})});
  append(x);
  EXPECT_EQ(outcomes(x), "stored stored stored");
  auto events = events_of("a"s);
  EXPECT_EQ(render(events), "1:1 2:2 3:3 4:4");
  EXPECT_EQ(x.steps[0].seq_no, events[0].seq_no);
  EXPECT_EQ(x.steps[1].seq_no, events[2].seq_no);
  EXPECT_EQ(x.steps[2].seq_no, events[3].seq_no);
}

TEST_P(store_contract, a_stale_version_conflicts_and_stores_nothing) {
  append("a", make_step(0, {1, 2}));
  EXPECT_EQ(append("a", make_step(0, {3})), "conflict");
  EXPECT_EQ(append("a", make_step(1, {3})), "conflict");
  EXPECT_EQ(append("a", make_step(1, {3, 4})), "conflict");
  EXPECT_EQ(history("a"), "1:1 2:2");
  EXPECT_EQ(append("a", make_step(2, {3})), "stored");
}

TEST_P(store_contract, a_hole_is_never_stored) {
  EXPECT_EQ(append("a", make_step(1, {1})), "conflict");
  append("a", make_step(0, {1}));
  EXPECT_EQ(append("a", make_step(2, {2, 3})), "conflict");
  EXPECT_EQ(append("a", make_step(1000, {2})), "conflict");
  EXPECT_EQ(history("a"), "1:1");
}

TEST_P(store_contract, a_hole_within_a_request_is_never_stored) {
  auto x = make_request("a", {make_step(0, {1}), make_step(5, {2})});
  append(x);
  EXPECT_EQ(outcomes(x), "stored conflict");
  EXPECT_EQ(history("a"), "1:1");
}

TEST_P(store_contract, of_two_sessions_with_the_same_version_one_wins) {
  constexpr std::uint64_t rounds = 50;
  constexpr std::size_t writers = 3;
  journal();
  std::atomic<int> wins = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < writers; ++i)
    threads.emplace_back([&] {
      auto own = journal().connect();
      for (std::uint64_t version = 0; version < rounds; ++version) {
        auto x = make_request("a", {make_step(version, {1})});
        append_all(*own, {&x});
        auto outcome = outcomes(x);
        EXPECT_TRUE(outcome == "stored" || outcome == "conflict") << outcome;
        if (outcome == "stored")
          ++wins;
      }
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(wins, rounds);
  EXPECT_EQ(events_of("a"s).size(), rounds);
}

TEST_P(store_contract, steps_after_a_failed_one_are_skipped) {
  append("a", make_step(0, {1}));
  auto x = make_request("a", {make_step(0, {2}), make_step(1, {3}),
                              make_step(2, {}), make_step(2, {4})});
  append(x);
  EXPECT_EQ(outcomes(x), "conflict skipped skipped skipped");
  EXPECT_EQ(history("a"), "1:1");
}

TEST_P(store_contract, steps_before_a_failed_one_are_stored) {
  auto x = make_request("a", {make_step(0, {1}), make_step(1, {2}),
                              make_step(2, {3}), make_step(3, {4})});
  x.steps[2].events[0].payload = "nonsense";
  append(x);
  EXPECT_EQ(outcomes(x), "stored stored failed(invalid_event) skipped");
  EXPECT_EQ(history("a"), "1:1 2:2");
}

TEST_P(store_contract, a_failed_command_does_not_hurt_other_entities) {
  append("b", make_step(0, {1}));
  auto a = make_request("a", {make_step(0, {1, 2})});
  auto b = make_request("b", {make_step(0, {9}), make_step(1, {9})});
  auto c = make_request("c", {make_step(0, {1}), make_step(1, {2})});
  append(a, b, c);
  EXPECT_EQ(outcomes(a), "stored");
  EXPECT_EQ(outcomes(b), "conflict skipped");
  EXPECT_EQ(outcomes(c), "stored stored");
  EXPECT_EQ(history("a"), "1:1 2:2");
  EXPECT_EQ(history("b"), "1:1");
  EXPECT_EQ(history("c"), "1:1 2:2");
}

TEST_P(store_contract, an_entity_goes_on_after_a_conflict) {
  append("a", make_step(0, {1}));
  EXPECT_EQ(append("a", make_step(0, {2})), "conflict");
  EXPECT_EQ(append("a", make_step(1, {2})), "stored");
  EXPECT_EQ(history("a"), "1:1 2:2");
}

TEST_P(store_contract, an_empty_batch_is_done_at_once) {
  EXPECT_TRUE(session().append({}));
  auto x = make_request("a", {});
  append(x);
  EXPECT_EQ(history("a"), "");
}

TEST_P(store_contract, steps_that_are_decided_are_left_alone) {
  auto x = make_request("a", {make_step(0, {1})});
  append(x);
  auto seq_no = x.steps[0].seq_no;
  x.steps.push_back(make_step(1, {2}));
  append(x);
  EXPECT_EQ(outcomes(x), "stored stored");
  EXPECT_EQ(x.steps[0].seq_no, seq_no);
  EXPECT_EQ(history("a"), "1:1 2:2");
}

TEST_P(store_contract, a_large_batch_with_failures_ends_with_all_outcomes) {
  std::vector<append_request> requests;
  for (int i = 0; i < 200; ++i) {
    auto id = "e" + std::to_string(i);
    if (i % 20 < 4)
      append(id.c_str(), make_step(0, {0}));
    requests.push_back(make_request(id.c_str(), {make_step(0, {i, i})}));
    if (i % 20 >= 4 && i % 20 < 7)
      requests.back().steps[0].events[1].payload = "[1, NaN]";
  }
  std::vector<append_request*> batch;
  for (auto& x : requests)
    batch.push_back(&x);
  append_all(session(), batch);
  for (int i = 0; i < 200; ++i) {
    auto& x = requests[static_cast<std::size_t>(i)];
    auto* id = std::get<std::string>(x.id).c_str();
    auto n = std::to_string(i);
    if (i % 20 < 4) {
      EXPECT_EQ(outcomes(x), "conflict");
      EXPECT_EQ(history(id), "1:0");
    } else if (i % 20 < 7) {
      EXPECT_EQ(outcomes(x), "failed(invalid_event)");
      EXPECT_EQ(history(id), "");
    } else {
      EXPECT_EQ(outcomes(x), "stored");
      EXPECT_EQ(history(id), "1:" + n + " 2:" + n);
      EXPECT_EQ(events_of(x.id).back().seq_no, x.steps[0].seq_no);
    }
  }
}

TEST_P(store_contract, a_long_request_fails_in_its_middle) {
  std::vector<append_step> steps;
  for (std::uint64_t i = 0; i < 150; ++i)
    steps.push_back(make_step(i, {1}));
  steps[100].events[0].payload = "{";
  auto x = make_request("a", std::move(steps));
  append(x);
  for (std::size_t i = 0; i < 150; ++i)
    EXPECT_EQ(x.steps[i].status, i < 100    ? stored
                                 : i == 100 ? failed
                                            : skipped)
      << i;
  EXPECT_EQ(events_of("a"s).size(), 100u);
}

// -- appending again ----------------------------------------------------------

TEST_P(store_contract, the_same_append_again_finds_what_it_has_stored) {
  auto step = make_step(0, {1, 2});
  auto first = make_request("a", {step});
  auto again = make_request("a", {step});
  append(first);
  append(again);
  EXPECT_EQ(outcomes(again), "stored");
  EXPECT_EQ(again.steps[0].seq_no, first.steps[0].seq_no);
  EXPECT_EQ(history("a"), "1:1 2:2");
}

TEST_P(store_contract, the_same_append_again_is_found_under_later_events) {
  auto step = make_step(0, {1, 2});
  auto first = make_request("a", {step});
  append(first);
  append("a", make_step(2, {3}));
  auto again = make_request("a", {step, make_step(2, {4})});
  append(again);
  EXPECT_EQ(outcomes(again), "stored conflict");
  EXPECT_EQ(again.steps[0].seq_no, first.steps[0].seq_no);
  EXPECT_EQ(history("a"), "1:1 2:2 3:3");
}

TEST_P(store_contract, a_repeated_request_goes_on_where_it_ended) {
  auto one = make_step(0, {1});
  auto two = make_step(1, {2});
  auto first = make_request("a", {one});
  append(first);
  auto again = make_request("a", {one, two});
  append(again);
  EXPECT_EQ(outcomes(again), "stored stored");
  EXPECT_EQ(history("a"), "1:1 2:2");
}

TEST_P(store_contract, a_foreign_append_in_the_way_conflicts) {
  append("a", make_step(0, {1, 2}));
  EXPECT_EQ(append("a", make_step(0, {1, 2})), "conflict");
}

TEST_P(store_contract, an_append_that_is_longer_than_what_is_there_conflicts) {
  auto step = make_step(0, {1});
  append("a", step);
  step.events.push_back(make_event(2));
  EXPECT_EQ(append("a", step), "conflict");
  EXPECT_EQ(history("a"), "1:1");
}

// -- checks -------------------------------------------------------------------

TEST_P(store_contract, a_check_tells_current_from_stale) {
  EXPECT_EQ(append("a", make_step(0, {})), "stored");
  EXPECT_EQ(append("a", make_step(1, {})), "conflict");
  append("a", make_step(0, {1, 2}));
  EXPECT_EQ(append("a", make_step(2, {})), "stored");
  EXPECT_EQ(append("a", make_step(0, {})), "conflict");
  EXPECT_EQ(append("a", make_step(1, {})), "conflict");
  EXPECT_EQ(append("a", make_step(3, {})), "conflict");
  EXPECT_EQ(history("a"), "1:1 2:2");
}

TEST_P(store_contract, a_check_sees_the_steps_before_it) {
  auto x = make_request("a", {make_step(0, {}), make_step(0, {1, 2}),
                              make_step(2, {}), make_step(2, {})});
  append(x);
  EXPECT_EQ(outcomes(x), "stored stored stored stored");
}

TEST_P(store_contract, a_check_before_a_step_that_conflicts_does_too) {
  append("a", make_step(0, {1}));
  auto x = make_request("a", {make_step(0, {}), make_step(0, {2})});
  append(x);
  EXPECT_EQ(x.steps[0].status, conflict);
  EXPECT_NE(x.steps[1].status, stored);
  EXPECT_EQ(history("a"), "1:1");
}

TEST_P(store_contract, a_check_before_a_step_that_is_refused_holds) {
  auto x = make_request("a", {make_step(0, {}), make_step(0, {2})});
  x.steps[1].events[0].payload = "nonsense";
  append(x);
  EXPECT_EQ(outcomes(x), "stored failed(invalid_event)");
}

TEST_P(store_contract, checks_and_writes_of_many_entities_share_a_batch) {
  append("a", make_step(0, {1}));
  append("b", make_step(0, {1}));
  auto a = make_request("a", {make_step(1, {})});
  auto b = make_request("b", {make_step(0, {})});
  auto c = make_request("c", {make_step(0, {1})});
  append(a, b, c);
  EXPECT_EQ(outcomes(a), "stored");
  EXPECT_EQ(outcomes(b), "conflict");
  EXPECT_EQ(outcomes(c), "stored");
}

// -- what cannot be stored ----------------------------------------------------

TEST_P(store_contract, an_invalid_payload_fails_its_command_alone_and_whole) {
  for (auto& payload :
       {"{\"n\":NaN}"s, "{\"n\":\"\\u0000\"}"s, "{\"\\u0000\":1}"s, "nonsense"s,
        ""s, "{"s, "{\"n\":1} {\"n\":2}"s, "{\"n\":1,}"s, "{'n':1}"s,
        "{\"n\":01}"s, "\"\\ud800\""s, "\"\\udc00\""s, "\"a\nb\""s,
        "[Infinity]"s, "{\"n\":\"\xff\"}"s, "\"a\0b\""s}) {
    auto suffix = std::to_string(session().frontier());
    auto good = make_request(("a" + suffix).c_str(), {make_step(0, {1})});
    auto bad = make_request(("b" + suffix).c_str(), {make_step(0, {1, 2, 3})});
    bad.steps[0].events[1].payload = payload;
    append(good, bad);
    EXPECT_EQ(outcomes(good), "stored") << payload;
    EXPECT_EQ(outcomes(bad), "failed(invalid_event)") << payload;
    EXPECT_NE(bad.steps[0].message, "") << payload;
    EXPECT_EQ(events_of(bad.id).size(), 0u) << payload;
  }
}

TEST_P(store_contract, unusual_payloads_are_stored) {
  auto deep = std::string(500, '[') + std::string(500, ']');
  std::uint64_t version = 0;
  for (auto& payload :
       {"{}"s, "[]"s, "null"s, "7"s, "\"\""s, " { } "s, "1e300"s, "-0.0"s,
        "\"\\ud83d\\ude00\""s, "\"\u20ac\""s, "\"\\\\u0000\""s, deep}) {
    auto x = make_request("a", {make_step(version++, {1})});
    x.steps[0].events[0].payload = payload;
    append(x);
    EXPECT_EQ(outcomes(x), "stored") << payload << ": " << x.steps[0].message;
  }
}

TEST_P(store_contract, invalid_metadata_fails_its_command) {
  auto x = make_request("a", {make_step(0, {1})});
  x.steps[0].events[0].metadata = "nonsense";
  append(x);
  EXPECT_EQ(outcomes(x), "failed(invalid_event)");
}

TEST_P(store_contract, an_id_of_another_kind_is_refused) {
  auto number = make_request(entity_id{std::int64_t{1}}, {make_step(0, {1})});
  auto empty = make_request("", {make_step(0, {1}), make_step(1, {})});
  auto invalid = make_request("\xff", {make_step(0, {})});
  auto good = make_request("a", {make_step(0, {1})});
  append(number, empty, invalid, good);
  EXPECT_EQ(outcomes(number), "failed(invalid_id)");
  EXPECT_EQ(empty.steps[0].failure, errc::invalid_id);
  EXPECT_EQ(outcomes(invalid), "failed(invalid_id)");
  EXPECT_EQ(outcomes(good), "stored");
}

TEST_P(store_contract, loading_an_id_of_another_kind_throws) {
  load_request what{"thing", std::int64_t{1}, 0};
  try {
    session().load({&what, 1}, 100);
    FAIL() << "no error";
  } catch (const error& e) {
    EXPECT_EQ(e.code(), errc::invalid_id);
  }
}

// -- loading ------------------------------------------------------------------

TEST_P(store_contract, an_unknown_entity_has_no_events) {
  load_request what{"thing", "nobody"s, 0};
  auto found = session().load({&what, 1}, 100);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].events.empty());
  EXPECT_FALSE(found[0].more);
  EXPECT_TRUE(session().load({}, 100).empty());
}

TEST_P(store_contract, events_after_a_version_are_loaded) {
  append("a", make_step(0, {1, 2, 3, 4}));
  EXPECT_EQ(history("a", 0), "1:1 2:2 3:3 4:4");
  EXPECT_EQ(history("a", 2), "3:3 4:4");
  EXPECT_EQ(history("a", 3), "4:4");
  EXPECT_EQ(history("a", 4), "");
  EXPECT_EQ(history("a", 1000), "");
}

TEST_P(store_contract, a_long_history_is_loaded_in_chunks) {
  std::vector<std::int64_t> numbers(300);
  std::iota(numbers.begin(), numbers.end(), 1);
  append("a", make_step(0, numbers));
  std::uint64_t after = 0;
  int chunks = 0;
  for (auto more = true; more; ++chunks) {
    load_request what{"thing", "a"s, after};
    auto found = session().load({&what, 1}, 50);
    ASSERT_LE(found.at(0).events.size(), 50u);
    for (auto& x : found.at(0).events) {
      ASSERT_EQ(x.version, after + 1);
      ASSERT_EQ(from_json<happened>(x.payload).n,
                static_cast<std::int64_t>(x.version));
      after = x.version;
    }
    more = found.at(0).more;
  }
  EXPECT_EQ(after, 300u);
  EXPECT_GE(chunks, 6);
}

TEST_P(store_contract, several_entities_are_loaded_at_once) {
  append("a", make_step(0, {1, 2}));
  append("b", make_step(0, {3}));
  std::vector<std::int64_t> many(100, 7);
  append("c", make_step(0, many));
  std::vector<load_request> what{{"thing", "c"s, 0}, {"thing", "nobody"s, 0},
                                 {"thing", "a"s, 1}, {"other", "b"s, 0},
                                 {"thing", "b"s, 0}, {"thing", "a"s, 0}};
  auto found = session().load(what, 120);
  ASSERT_EQ(found.size(), 6u);
  EXPECT_TRUE(found[0].more);
  EXPECT_LT(found[0].events.size(), 100u);
  EXPECT_EQ(render(found[1].events), "");
  EXPECT_EQ(render(found[2].events), "2:2");
  EXPECT_EQ(render(found[3].events), "");
  EXPECT_EQ(render(found[4].events), "1:3");
  EXPECT_EQ(render(found[5].events), "1:1 2:2");
  EXPECT_FALSE(found[5].more);
}

TEST_P(store_contract, events_come_back_as_they_were_stored) {
  auto x = make_request("a", {make_step(0, {1, 2})});
  x.steps[0].events[0].name = "renamed";
  x.steps[0].events[0].schema_version = 7;
  x.steps[0].events[0].metadata = R"({"user":"Ada \"N\"","n":[1,2]})";
  auto before = std::chrono::system_clock::now();
  append(x);
  auto events = events_of("a"s);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].name, "renamed");
  EXPECT_EQ(events[0].schema_version, 7);
  EXPECT_NE(events[0].metadata.find(R"("Ada \"N\"")"), std::string::npos);
  EXPECT_EQ(events[1].name, "happened");
  EXPECT_EQ(events[1].schema_version, 1);
  EXPECT_EQ(events[1].metadata, "");
  for (auto& event : events) {
    // Both clocks are this machine's; a database rounds to microseconds.
    EXPECT_GE(event.created_at, before - 1s);
    EXPECT_LE(event.created_at, std::chrono::system_clock::now() + 1s);
  }
}

TEST_P(store_contract, entity_types_do_not_mix_although_they_share_ids) {
  auto thing = make_request("a", {make_step(0, {1})});
  auto other
    = make_request("a", {make_step(0, {2}), make_step(1, {3})}, {}, "other");
  append(thing, other);
  EXPECT_EQ(outcomes(thing), "stored");
  EXPECT_EQ(outcomes(other), "stored stored");
  EXPECT_EQ(history("a"), "1:1");
  EXPECT_EQ(history("a", 0, "other"), "1:2 2:3");
}

// -- kinds of IDs and codecs --------------------------------------------------

TEST_P(store_contract, ids_of_every_kind_are_stored) {
  using limits = std::numeric_limits<std::int64_t>;
  std::map<id_kind, std::vector<entity_id>> kinds{
    {id_kind::uuid, {uuid{}, uuid::v4(), uuid::v7()}},
    {id_kind::text,
     {"x"s, std::string(512, 'x'), "a'b\"c\\d"s, "{a,b}"s, " \n"s, "NULL"s,
      "\u20ac"s}},
    {id_kind::bigint,
     {std::int64_t{0}, std::int64_t{-1}, limits::max(), limits::min()}}};
  for (auto& [kind, ids] : kinds) {
    auto store = open(kind);
    auto own = store->connect();
    std::vector<append_request> requests;
    for (std::size_t i = 0; i < ids.size(); ++i)
      requests.push_back(
        make_request(ids[i], {make_step(0, {static_cast<std::int64_t>(i)})}));
    std::vector<append_request*> batch;
    for (auto& x : requests)
      batch.push_back(&x);
    append_all(*own, batch);
    std::vector<load_request> what;
    for (auto& id : ids)
      what.push_back({"thing", id, 0});
    auto found = own->load(what, 1000);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(outcomes(requests[i]), "stored") << to_string(ids[i]);
      EXPECT_EQ(render(found[i].events), "1:" + std::to_string(i));
    }
    std::set<entity_id> seen;
    for (auto all = own->read({.types = {"thing"}}, 0, own->frontier(), 1000);
         auto& x : all.entries)
      seen.insert(x.id);
    EXPECT_EQ(seen, std::set<entity_id>(ids.begin(), ids.end()));
  }
}

TEST_P(store_contract, binary_payloads_keep_all_bytes) {
  auto store = open(id_kind::text, codec::binary);
  auto own = store->connect();
  std::string all;
  for (int c = 0; c < 256; ++c)
    all += static_cast<char>(c);
  auto x = make_request("a", {make_step(0, {1, 2})});
  x.steps[0].events[0].payload = all;
  x.steps[0].events[0].metadata = "{}";
  x.steps[0].events[1].payload = "";
  append_all(*own, {&x});
  EXPECT_EQ(outcomes(x), "stored");
  load_request what{"thing", "a"s, 0};
  auto found = own->load({&what, 1}, 100);
  ASSERT_EQ(found[0].events.size(), 2u);
  EXPECT_EQ(found[0].events[0].payload, all);
  EXPECT_EQ(found[0].events[0].metadata, "{}");
  EXPECT_EQ(found[0].events[1].payload, "");
}

TEST_P(store_contract, a_payload_of_a_megabyte_comes_back) {
  auto x = make_request("a", {make_step(0, {1})});
  auto payload = "\"" + std::string(1 << 20, 'x') + "\"";
  x.steps[0].events[0].payload = payload;
  append(x);
  EXPECT_EQ(outcomes(x), "stored");
  EXPECT_EQ(events_of("a"s).at(0).payload, payload);
}

// -- listeners ----------------------------------------------------------------

TEST_P(store_contract, a_listener_sees_every_event_in_order) {
  std::vector<std::string> seen;
  auto typed = std::make_shared<const int>(7);
  auto listener
    = make_listener([&](const uncommitted_event& x, transaction&) -> std::any {
        EXPECT_EQ(x.typed, typed.get());
        EXPECT_NE(x.seq_no, 0u);
        seen.push_back(to_string(x.id) + " " + std::to_string(x.version) + " "
                       + std::to_string(x.index) + " "
                       + std::to_string(from_json<happened>(x.event.payload).n)
                       + " #" + std::to_string(x.seq_no));
        return {};
      });
  auto x
    = make_request("a", {make_step(0, {5, 6}), make_step(2, {7})}, listener);
  for (auto& step : x.steps)
    step.typed = typed;
  append(x);
  EXPECT_EQ(outcomes(x), "stored stored");
  auto events = events_of("a"s);
  ASSERT_EQ(events.size(), 3u);
  auto number
    = [&](std::size_t i) { return " #" + std::to_string(events[i].seq_no); };
  EXPECT_EQ(seen, (std::vector{"a 1 0 5" + number(0), "a 2 1 6" + number(1),
                               "a 3 0 7" + number(2)}));
}

TEST_P(store_contract, a_veto_hits_one_entity_of_ten) {
  auto listener
    = make_listener([](const uncommitted_event& x, transaction&) -> std::any {
        if (to_string(x.id) == "e4" && x.index == 1)
          return "no"s;
        return {};
      });
  std::vector<append_request> requests;
  std::vector<append_request*> batch;
  for (int i = 1; i <= 10; ++i)
    requests.push_back(make_request(("e" + std::to_string(i)).c_str(),
                                    {make_step(0, {1, 2}), make_step(2, {3})},
                                    listener));
  for (auto& x : requests)
    batch.push_back(&x);
  append_all(session(), batch);
  for (auto& x : requests) {
    auto id = to_string(x.id);
    if (id == "e4") {
      EXPECT_EQ(outcomes(x), "vetoed skipped");
      auto* why = std::any_cast<std::string>(&x.steps[0].veto);
      ASSERT_NE(why, nullptr);
      EXPECT_EQ(*why, "no");
      EXPECT_EQ(history(id.c_str()), "");
    } else {
      EXPECT_EQ(outcomes(x), "stored stored");
      EXPECT_EQ(history(id.c_str()), "1:1 2:2 3:3");
      EXPECT_EQ(x.steps[1].seq_no, events_of(x.id).back().seq_no);
    }
  }
}

TEST_P(store_contract, a_veto_hits_the_fourth_of_ten_commands) {
  auto listener
    = make_listener([](const uncommitted_event& x, transaction&) -> std::any {
        return x.version == 4 ? std::any{4} : std::any{};
      });
  std::vector<append_step> steps;
  for (std::uint64_t i = 0; i < 10; ++i)
    steps.push_back(make_step(i, {1}));
  auto x = make_request("a", std::move(steps), listener);
  append(x);
  EXPECT_EQ(outcomes(x), "stored stored stored vetoed skipped skipped skipped "
                         "skipped skipped skipped");
  EXPECT_EQ(history("a"), "1:1 2:1 3:1");
}

TEST_P(store_contract, a_listener_that_throws_fails_its_command) {
  auto listener
    = make_listener([](const uncommitted_event& x, transaction&) -> std::any {
        if (to_string(x.id) == "a" && x.index == 1)
          throw std::runtime_error("out of cheese");
        if (to_string(x.id) == "b")
          throw 7;
        return {};
      });
  auto a
    = make_request("a", {make_step(0, {1, 2, 3}), make_step(3, {4})}, listener);
  auto b = make_request("b", {make_step(0, {1})}, listener);
  auto c = make_request("c", {make_step(0, {1})}, listener);
  auto d = make_request("d", {make_step(0, {1})});
  append(a, b, c, d);
  EXPECT_EQ(outcomes(a), "failed(listener_failed) skipped");
  EXPECT_NE(a.steps[0].message.find("out of cheese"), std::string::npos);
  EXPECT_EQ(outcomes(b), "failed(listener_failed)");
  EXPECT_EQ(outcomes(c), "stored");
  EXPECT_EQ(outcomes(d), "stored");
  EXPECT_EQ(history("a"), "");
  EXPECT_EQ(history("c"), "1:1");
}

TEST_P(store_contract, a_listener_cannot_swallow_a_failed_statement) {
  auto listener
    = make_listener([](const uncommitted_event&, transaction& tx) -> std::any {
        try {
          tx.exec("select * from no_such_table");
          ADD_FAILURE() << "no error";
        } catch (const sql_error& e) {
          EXPECT_EQ(e.sqlstate().size(), 5u);
        }
        return {};
      });
  auto a = make_request("a", {make_step(0, {1})}, listener);
  auto b = make_request("b", {make_step(0, {1})});
  append(a, b);
  EXPECT_EQ(outcomes(a), "failed(listener_failed)");
  EXPECT_EQ(outcomes(b), "stored");
  EXPECT_EQ(history("a"), "");
}

TEST_P(store_contract, a_conflict_does_not_reach_the_listener) {
  append("a", make_step(0, {1}));
  int calls = 0;
  auto listener
    = make_listener([&](const uncommitted_event& x, transaction&) -> std::any {
        if (to_string(x.id) == "a")
          ++calls;
        return {};
      });
  auto a = make_request("a", {make_step(0, {2})}, listener);
  auto b = make_request("b", {make_step(0, {2})}, listener);
  append(a, b);
  EXPECT_EQ(outcomes(a), "conflict");
  EXPECT_EQ(outcomes(b), "stored");
  EXPECT_EQ(calls, 0);
}

TEST_P(store_contract, a_listener_is_not_asked_about_what_is_stored_already) {
  auto step = make_step(0, {1, 2});
  auto first = make_request("a", {step});
  append(first);
  auto listener = make_listener(
    [](const uncommitted_event&, transaction&) -> std::any { return 1; });
  auto again = make_request("a", {step}, listener);
  append(again);
  EXPECT_EQ(outcomes(again), "stored");
  EXPECT_EQ(again.steps[0].seq_no, first.steps[0].seq_no);
}

TEST_P(store_contract, checks_work_with_a_listener) {
  auto listener = make_listener(
    [](const uncommitted_event&, transaction&) -> std::any { return {}; });
  append("b", make_step(0, {1}));
  auto a = make_request("a", {make_step(0, {1}), make_step(1, {})}, listener);
  auto b = make_request("b", {make_step(0, {})}, listener);
  append(a, b);
  EXPECT_EQ(outcomes(a), "stored stored");
  EXPECT_EQ(outcomes(b), "conflict");
}

// -- reading ------------------------------------------------------------------

TEST_P(store_contract, the_frontier_is_the_last_number_when_nobody_writes) {
  EXPECT_EQ(session().frontier(), 0u);
  auto x = make_request("a", {make_step(0, {1, 2, 3})});
  append(x);
  EXPECT_EQ(session().frontier(), x.steps[0].seq_no);
}

TEST_P(store_contract, reading_sees_every_event_of_a_type_in_order) {
  std::vector<std::uint64_t> written;
  for (std::uint64_t i = 0; i < 10; ++i) {
    auto a = make_request("a", {make_step(i, {1})});
    auto b = make_request("b", {make_step(2 * i, {2, 2})});
    auto other = make_request("a", {make_step(i, {3})}, {}, "other");
    append(a, b, other);
    ASSERT_EQ(outcomes(a) + outcomes(b) + outcomes(other),
              "storedstoredstored");
  }
  auto frontier = session().frontier();
  auto all = session().read({.types = {"thing"}}, 0, frontier, 1000).entries;
  ASSERT_EQ(all.size(), 30u);
  std::map<entity_id, std::uint64_t> versions;
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].type_name, "thing");
    EXPECT_NE(from_json<happened>(all[i].event.payload).n, 3);
    EXPECT_GT(all[i].event.seq_no, i == 0 ? 0 : all[i - 1].event.seq_no);
    // The order of the numbers is that of the versions.
    EXPECT_EQ(all[i].event.version, ++versions[all[i].id]);
  }
  EXPECT_EQ(
    session().read({.types = {"other"}}, 0, frontier, 1000).entries.size(),
    10u);
  EXPECT_TRUE(
    session().read({.types = {"nothing"}}, 0, frontier, 1000).entries.empty());
}

TEST_P(store_contract, reading_keeps_to_its_bounds) {
  append("a", make_step(0, {1, 2, 3, 4, 5}));
  auto all = session()
               .read({.types = {"thing"}}, 0, session().frontier(), 1000)
               .entries;
  ASSERT_EQ(all.size(), 5u);
  auto at = [&](std::size_t i) { return all[i].event.seq_no; };
  auto versions = [&](std::uint64_t after, std::uint64_t up_to,
                      std::size_t limit) {
    std::string result;
    for (auto found = session().read({.types = {"thing"}}, after, up_to, limit);
         auto& x : found.entries)
      result += std::to_string(x.event.version);
    return result;
  };
  EXPECT_EQ(versions(at(1), at(3), 100), "34");
  EXPECT_EQ(versions(at(1), at(1), 100), "");
  EXPECT_EQ(versions(at(3), at(1), 100), "");
  EXPECT_EQ(versions(0, at(4), 2), "12");
  EXPECT_EQ(versions(at(1), at(4), 2), "34");
  EXPECT_EQ(versions(at(4), at(4) + 1000, 2), "");
}

TEST_P(store_contract, whoever_follows_the_frontier_sees_each_event_once) {
  constexpr int writers = 4;
  constexpr int commands = 150;
  journal();
  std::atomic<int> left = writers;
  std::atomic<std::size_t> count = 0;
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      auto own = journal().connect();
      // Two writers share an entity, so that there are conflicts and thus
      // numbers that are drawn and rolled back.
      auto id = "e" + std::to_string(w / 2);
      std::uint64_t version = 0;
      for (int i = 0; i < commands; ++i) {
        auto shared = make_request(id.c_str(), {make_step(version, {1, 2})});
        auto single = make_request(
          ("w" + std::to_string(w) + "-" + std::to_string(i)).c_str(),
          {make_step(0, {3})});
        append_all(*own, {&shared, &single});
        EXPECT_EQ(outcomes(single), "stored");
        ++count;
        if (shared.steps[0].status == stored) {
          count += 2;
          version += 2;
        } else {
          load_request what{"thing", shared.id, version};
          auto found = own->load({&what, 1}, 1000);
          if (!found[0].events.empty())
            version = found[0].events.back().version;
        }
      }
      --left;
    });
  std::size_t seen = 0;
  std::uint64_t last = 0;
  std::map<entity_id, std::uint64_t> versions;
  auto reader = journal().connect();
  for (auto done = false; !done;) {
    done = left == 0;
    auto frontier = reader->frontier();
    for (auto more = true; more;) {
      auto found
        = reader->read({.types = {"thing"}}, last, frontier, 100).entries;
      more = found.size() == 100;
      for (auto& x : found) {
        EXPECT_GT(x.event.seq_no, last);
        EXPECT_EQ(x.event.version, ++versions[x.id]);
        last = x.event.seq_no;
        ++seen;
      }
    }
    // A frontier may be below an earlier one: a writer looks at the sequence,
    // others draw and commit, and only then it takes its lock. What it draws is
    // above both.
    last = std::max(last, frontier);
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(seen, count);
}

// -- store --------------------------------------------------------------------

TEST_P(store_contract, sessions_share_the_journal) {
  append("a", make_step(0, {1}));
  auto other = journal().connect();
  load_request what{"thing", "a"s, 0};
  EXPECT_EQ(render(other->load({&what, 1}, 100)[0].events), "1:1");
}

TEST_P(store_contract, options_show_no_secrets) {
  auto& shown = journal().options();
  EXPECT_TRUE(shown.url.empty());
  EXPECT_TRUE(shown.password.empty());
  EXPECT_EQ(shown.ids, id_kind::text);
}
