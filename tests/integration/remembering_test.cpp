// What a journal remembers beside events: commands by their IDs, and snapshots.
// Run against the store in memory and the one in PostgreSQL.

#include "support/journals.hpp"

#include <evented/codec.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;

namespace {

enum class backend { memory, postgres };

using enum append_status;
using enum command_outcome;

class remembering : public testing::TestWithParam<backend> {
protected:
  remembering() {
    if (GetParam() == backend::postgres)
      options = test::fresh_journal();
    options.ids = id_kind::text;
    journal = GetParam() == backend::postgres ? open_store(options)
                                              : make_memory_store(options);
    session = journal->connect();
  }

  static append_step make_step(std::uint64_t after, std::size_t events,
                               std::string command_id = "",
                               command_outcome outcome = accepted) {
    append_step result;
    result.append_id = uuid::v4();
    result.after = after;
    for (std::size_t i = 0; i < events; ++i)
      result.events.push_back({"happened", 1, "{}", ""});
    if (!command_id.empty())
      result.record = {std::move(command_id), 0xfedcba9876543210, outcome,
                       "reply, of a kind", "\0\xff reply"s};
    return result;
  }

  append_request append(std::string id, std::vector<append_step> steps) {
    append_request result{"thing", std::move(id), std::move(steps), {}};
    append_all(*session, {&result});
    return result;
  }

  append_step append(std::string id, append_step step) {
    return append(std::move(id), std::vector{std::move(step)}).steps[0];
  }

  load_result load(std::string id, bool snapshot = true,
                   std::uint64_t after = 0) {
    load_request what{"thing", std::move(id), after, snapshot};
    return session->load({&what, 1}, 1000)[0];
  }

  /// Saves snapshots of the events that are there.
  void save(std::vector<new_snapshot> batch, unsigned keep) {
    for (auto& x : batch) {
      load_request what{x.type_name, x.id, x.version - 1};
      auto found = session->load({&what, 1}, 16)[0].events;
      if (!found.empty())
        x.seq_no = found[0].seq_no;
    }
    session->save_snapshots(batch, keep);
  }

  static std::string statuses(const append_request& x) {
    std::string result;
    for (auto& step : x.steps)
      result += "PSCVFKR"[static_cast<int>(step.status)];
    return result;
  }

  journal_options options;
  std::shared_ptr<store> journal;
  std::unique_ptr<store_session> session;
};

// -- commands -----------------------------------------------------------------

TEST_P(remembering, a_repeated_command_stores_nothing_and_tells_the_first) {
  auto first = append("a", make_step(0, 2, "c"));
  ASSERT_EQ(first.status, stored);
  EXPECT_EQ(append("a", make_step(2, 1)).status, stored);
  auto again = append("a", make_step(3, 1, "c"));
  ASSERT_EQ(again.status, repeated);
  EXPECT_EQ(again.earlier.outcome, accepted);
  EXPECT_EQ(again.earlier.version, 2u);
  EXPECT_EQ(again.earlier.seq_no, first.seq_no);
  EXPECT_EQ(again.earlier.fingerprint, 0xfedcba9876543210);
  EXPECT_EQ(again.earlier.reply_type, "reply, of a kind");
  EXPECT_EQ(again.earlier.reply, "\0\xff reply"s);
  EXPECT_EQ(load("a").events.size(), 3u);
}

TEST_P(remembering, a_repeat_is_found_from_stale_memory_too) {
  ASSERT_EQ(append("a", make_step(0, 1, "c")).status, stored);
  // A process that has not seen the event yet.
  EXPECT_EQ(append("a", make_step(0, 1, "c")).status, repeated);
  EXPECT_EQ(append("a", make_step(0, 0, "c", rejected)).status, repeated);
  EXPECT_EQ(append("a", make_step(0, 0, "c", none)).status, repeated);
}

TEST_P(remembering, ids_are_an_entitys_own) {
  ASSERT_EQ(append("a", make_step(0, 1, "c")).status, stored);
  EXPECT_EQ(append("b", make_step(0, 1, "c")).status, stored);
  append_request other{"other", "a"s, {make_step(0, 1, "c")}, {}};
  append_all(*session, {&other});
  EXPECT_EQ(other.steps[0].status, stored);
}

TEST_P(remembering, a_rejection_is_remembered) {
  ASSERT_EQ(append("a", make_step(0, 1)).status, stored);
  auto first = append("a", make_step(1, 0, "c", rejected));
  ASSERT_EQ(first.status, stored);
  EXPECT_EQ(first.seq_no, 0u);
  auto again = append("a", make_step(1, 1, "c"));
  ASSERT_EQ(again.status, repeated);
  EXPECT_EQ(again.earlier.outcome, rejected);
  EXPECT_EQ(again.earlier.version, 1u);
  EXPECT_EQ(again.earlier.seq_no, 0u);
}

TEST_P(remembering, a_rejection_from_stale_memory_is_not) {
  ASSERT_EQ(append("a", make_step(0, 2)).status, stored);
  EXPECT_EQ(append("a", make_step(1, 0, "c", rejected)).status, conflict);
  // Nothing stands in the way of the decision on the real state.
  EXPECT_EQ(append("a", make_step(2, 1, "c")).status, stored);
}

TEST_P(remembering, what_only_asks_leaves_nothing) {
  EXPECT_EQ(append("a", make_step(0, 0, "c", none)).status, stored);
  EXPECT_EQ(append("a", make_step(1, 0, "c", none)).status, conflict);
  EXPECT_EQ(append("a", make_step(0, 1, "c")).status, stored);
}

TEST_P(remembering, an_attempt_recognises_itself) {
  for (auto events : {0, 2}) {
    auto id = "e" + std::to_string(events);
    auto step = make_step(0, static_cast<std::size_t>(events), "c");
    auto first = append(id, step);
    ASSERT_EQ(first.status, stored);
    ASSERT_EQ(append(id, make_step(step.events.size(), 1)).status, stored);
    auto again = append(id, step);
    EXPECT_EQ(again.status, stored);
    EXPECT_EQ(again.seq_no, first.seq_no);
    EXPECT_EQ(load(id).events.size(), step.events.size() + 1);
  }
}

TEST_P(remembering, an_attempt_recognises_what_it_only_asked) {
  ASSERT_EQ(append("a", make_step(0, 1)).status, stored);
  // The second step leaves no trace, the later ones do.
  for (auto outcome : {accepted, rejected}) {
    auto last = load("a").events.size();
    auto name = "x" + std::to_string(last);
    auto asks = make_step(last, 0, name + "asks", none);
    auto asks_too = make_step(last, 0, name + "asks too", none);
    auto stores = outcome == accepted
                    ? make_step(last, 2)
                    : make_step(last, 0, name + "stores", rejected);
    std::vector all{asks, asks_too, stores, make_step(last + 2, 0)};
    if (outcome == rejected)
      all.pop_back();
    auto first = append("a", all);
    EXPECT_EQ(statuses(first), outcome == accepted ? "SSSS" : "SSS");
    // Others go on before the first attempt is repeated, with the same ID too.
    auto now = load("a").events.size();
    ASSERT_EQ(append("a", make_step(now, 1, name + "asks")).status, stored);
    all.resize(3);
    auto again = append("a", all);
    EXPECT_EQ(statuses(again), "SSS");
    EXPECT_EQ(again.steps[2].seq_no, first.steps[2].seq_no);
    EXPECT_EQ(load("a").events.size(), now + 1);
  }
  // Where nothing after it was stored, it has to hold now.
  EXPECT_EQ(
    statuses(append("a", {make_step(1, 0, "late", none), make_step(1, 1)})),
    "CK");
}

TEST_P(remembering, a_command_without_events_rests_on_its_version) {
  auto found
    = append("a", {make_step(0, 1, "c1"), make_step(1, 0, "c2", rejected),
                   make_step(1, 1, "c3"), make_step(2, 0, "c4"),
                   make_step(2, 0, "c5", none)});
  EXPECT_EQ(statuses(found), "SSSSS");
  EXPECT_EQ(append("a", make_step(2, 0, "c2", none)).earlier.version, 1u);
  EXPECT_EQ(append("a", make_step(2, 0, "c4", none)).earlier.version, 2u);
  EXPECT_EQ(append("a", make_step(2, 0, "c5")).status, stored);
}

TEST_P(remembering, what_rests_on_a_repeat_is_skipped_and_no_one_else) {
  ASSERT_EQ(append("a", make_step(0, 1, "c")).status, stored);
  append_request a{
    "thing",
    "a"s,
    {make_step(1, 1, "d"), make_step(2, 1, "c"), make_step(3, 1, "e")},
    {}};
  append_request b{"thing", "b"s, {make_step(0, 1, "c"), make_step(1, 0)}, {}};
  append_all(*session, {&a, &b});
  EXPECT_EQ(statuses(a), "SRK");
  EXPECT_EQ(statuses(b), "SS");
  EXPECT_EQ(load("a").events.size(), 2u);
  EXPECT_EQ(append("a", make_step(2, 1, "e")).status, stored);
}

TEST_P(remembering, a_bad_command_id_fails_alone) {
  auto text = std::string(201, 'x');
  for (auto& bad : {text, "\xff"s, "a\0b"s}) {
    append_request a{"thing", "a"s, {make_step(0, 1, bad)}, {}};
    append_request b{"thing", "b"s, {make_step(0, 0, "c", none)}, {}};
    append_all(*session, {&a, &b});
    EXPECT_EQ(statuses(a), "F");
    EXPECT_EQ(a.steps[0].failure, errc::invalid_event);
    EXPECT_EQ(statuses(b), "S");
  }
  EXPECT_TRUE(load("a").events.empty());
}

TEST_P(remembering, of_many_with_one_id_one_is_stored) {
  constexpr auto writers = 4;
  constexpr auto rounds = 25;
  std::atomic<int> stored_once{0};
  std::atomic<int> rest{0};
  std::vector<std::thread> threads;
  for (auto w = 0; w < writers; ++w) {
    threads.emplace_back([&] {
      auto own = journal->connect();
      for (auto i = 0; i < rounds; ++i) {
        // Whoever conflicts decides anew, as an entity does.
        for (std::uint64_t version = 0;; ++version) {
          append_request x{
            "thing", "a"s, {make_step(version, 1, std::to_string(i))}, {}};
          append_all(*own, {&x});
          if (x.steps[0].status == stored)
            ++stored_once;
          else if (x.steps[0].status == repeated)
            ++rest;
          else
            continue;
          break;
        }
      }
    });
  }
  for (auto& x : threads)
    x.join();
  EXPECT_EQ(stored_once, rounds);
  EXPECT_EQ(rest, (writers - 1) * rounds);
  EXPECT_EQ(load("a").events.size(), static_cast<std::size_t>(rounds));
}

TEST_P(remembering, more_repeats_than_one_call_tries) {
  for (auto i = 0; i < 100; ++i)
    ASSERT_EQ(append(std::to_string(i), make_step(0, 1, "c")).status, stored);
  std::vector<append_request> all;
  std::vector<append_request*> batch;
  for (auto i = 0; i < 100; ++i)
    all.push_back({"thing", std::to_string(i), {make_step(1, 1, "c")}, {}});
  for (auto& x : all)
    batch.push_back(&x);
  append_all(*session, batch);
  for (auto& x : all)
    EXPECT_EQ(statuses(x), "R");
}

TEST_P(remembering, old_commands_are_forgotten_in_batches) {
  for (auto i = 0; i < 5; ++i)
    ASSERT_EQ(append(std::to_string(i), make_step(0, 1, "c")).status, stored);
  EXPECT_EQ(session->forget_commands("thing", 1h, 10), 0u);
  EXPECT_EQ(session->forget_commands("other", 0s, 10), 0u);
  // By the clock of the journal, they are older than nothing.
  EXPECT_EQ(session->forget_commands("thing", 0s, 3), 3u);
  EXPECT_EQ(session->forget_commands("thing", 0s, 3), 2u);
  EXPECT_EQ(session->forget_commands("thing", 0s, 3), 0u);
  EXPECT_EQ(append("0", make_step(1, 1, "c")).status, stored);
}

TEST_P(remembering, a_listener_sees_no_repeat) {
  struct counting : event_listener {
    std::any on_event(const uncommitted_event&, transaction&) const override {
      ++calls;
      return {};
    }
    mutable int calls = 0;
  };
  auto listener = std::make_shared<counting>();
  auto run = [&](append_step step) {
    append_request x{"thing", "a"s, {std::move(step)}, listener};
    append_all(*session, {&x});
    return x.steps[0].status;
  };
  EXPECT_EQ(run(make_step(0, 1, "c")), stored);
  EXPECT_EQ(run(make_step(1, 1, "c")), repeated);
  EXPECT_EQ(run(make_step(1, 0, "d", rejected)), stored);
  EXPECT_EQ(run(make_step(1, 1, "d")), repeated);
  EXPECT_EQ(listener->calls, 1);
  EXPECT_EQ(load("a").events.size(), 1u);
}

// -- snapshots ----------------------------------------------------------------

TEST_P(remembering, loads_the_newest_snapshot_and_the_tail) {
  append("a", make_step(0, 5));
  save({{"thing", "a"s, 2, 1, R"({"n": 2})"},
        {"thing", "a"s, 3, 7, R"({"n": 3})"}},
       2);
  auto found = load("a");
  ASSERT_TRUE(found.snapshot);
  EXPECT_EQ(found.snapshot->version, 3u);
  EXPECT_EQ(found.snapshot->schema_version, 7);
  EXPECT_EQ(found.snapshot->state, R"({"n": 3})");
  ASSERT_EQ(found.events.size(), 2u);
  EXPECT_EQ(found.events[0].version, 4u);
  EXPECT_FALSE(found.more);
  EXPECT_EQ(found.horizon, 0u);
  EXPECT_FALSE(found.archived);
  // Not asked for, or of no use.
  EXPECT_FALSE(load("a", false).snapshot);
  EXPECT_EQ(load("a", false).events.size(), 5u);
  EXPECT_FALSE(load("a", true, 3).snapshot);
  EXPECT_EQ(load("a", true, 3).events.size(), 2u);
}

TEST_P(remembering, loads_many_with_and_without_snapshots) {
  append("a", make_step(0, 3));
  append("b", make_step(0, 3));
  append("c", make_step(0, 3));
  save({{"thing", "a"s, 3, 1, "{}"}, {"thing", "b"s, 1, 1, "{}"}}, 1);
  load_request what[]
    = {{"thing", "c"s, 0, true}, {"thing", "nobody"s, 0, true},
       {"thing", "b"s, 0, true}, {"thing", "b"s, 0, false},
       {"thing", "a"s, 0, true}, {"thing", "b"s, 2, false}};
  auto found = session->load(what, 1000);
  std::string shape;
  for (auto& x : found)
    shape += std::to_string(x.snapshot ? x.snapshot->version : 0) + "+"
             + std::to_string(x.events.size()) + " ";
  EXPECT_EQ(shape, "0+3 0+0 1+2 0+3 3+0 0+1 ");
}

TEST_P(remembering, a_tail_comes_in_pieces) {
  append("a", make_step(0, 100));
  save({{"thing", "a"s, 50, 1, "{}"}}, 1);
  load_request what{"thing", "a"s, 0, true};
  auto found = session->load({&what, 1}, 20)[0];
  ASSERT_TRUE(found.snapshot);
  ASSERT_EQ(found.events.size(), 20u);
  EXPECT_EQ(found.events.front().version, 51u);
  EXPECT_TRUE(found.more);
}

TEST_P(remembering, keeps_the_newest_snapshots) {
  append("a", make_step(0, 9));
  append("b", make_step(0, 1));
  save({{"thing", "b"s, 1, 1, "{}"}}, 1);
  for (std::uint64_t version : {1, 2, 5, 4}) {
    save({{"thing", "a"s, version, 1, "{}"}}, 2);
  }
  EXPECT_EQ(load("a").snapshot->version, 5u);
  EXPECT_EQ(load("b").snapshot->version, 1u);
  if (GetParam() == backend::postgres) {
    EXPECT_EQ(*session->query("select string_agg(version::text, ',' order by "
                              "version) from "
                                + options.schema
                                + ".snapshot where entity_id = 'a'",
                              {})[0][0],
              "4,5");
  }
}

TEST_P(remembering, a_newer_shape_of_a_snapshot_stays) {
  append("a", make_step(0, 2));
  save({{"thing", "a"s, 2, 2, R"({"n": 2})"}}, 1);
  save({{"thing", "a"s, 2, 1, R"({"n": 1})"}}, 1);
  EXPECT_EQ(load("a").snapshot->schema_version, 2);
  EXPECT_EQ(load("a").snapshot->state, R"({"n": 2})");
}

TEST_P(remembering, a_snapshot_of_a_lost_history_is_left_out) {
  // A failover has lost the event that this memory rests on, and another one
  // has taken its version.
  append("other", make_step(0, 1));
  append("a", make_step(0, 1));
  new_snapshot one{"thing", "a"s, 1, 1, "{}", 1};
  session->save_snapshots({&one, 1}, 1);
  EXPECT_FALSE(load("a").snapshot);
  one.seq_no = 2;
  session->save_snapshots({&one, 1}, 1);
  EXPECT_TRUE(load("a").snapshot);
}

TEST_P(remembering, tells_the_shapes_of_snapshots) {
  EXPECT_EQ(session->snapshot_shapes("thing"), std::vector<std::int32_t>{});
  append("a", make_step(0, 3));
  append("b", make_step(0, 3));
  save({{"thing", "a"s, 1, 1, "{}"},
        {"thing", "a"s, 2, 4, "{}"},
        {"thing", "b"s, 3, 4, "{}"}},
       2);
  EXPECT_EQ(session->snapshot_shapes("thing"), (std::vector{1, 4}));
  EXPECT_EQ(session->snapshot_shapes("other"), std::vector<std::int32_t>{});
}

TEST_P(remembering, a_snapshot_ahead_of_the_journal_is_left_out) {
  append("a", make_step(0, 2));
  save({{"thing", "a"s, 3, 1, "{}"}, {"thing", "b"s, 1, 1, "{}"}}, 1);
  EXPECT_FALSE(load("a").snapshot);
  EXPECT_FALSE(load("b").snapshot);
}

INSTANTIATE_TEST_SUITE_P(stores, remembering,
                         testing::Values(backend::memory, backend::postgres),
                         [](auto& x) {
                           return x.param == backend::memory ? "memory"
                                                             : "postgres";
                         });

// -- below the horizon --------------------------------------------------------

class trimming : public remembering {};

TEST_P(trimming, goes_on_after_the_last_version) {
  append("a", make_step(0, 3));
  save({{"thing", "a"s, 3, 1, "{}"}}, 1);
  auto trim = [&](int version) {
    return *session->query("select " + options.schema
                             + ".trim_entity('thing', 'a', $1::bigint)",
                           {parameter{version}})[0][0];
  };
  EXPECT_THROW(trim(4), sql_error);
  EXPECT_EQ(trim(2), "2");
  EXPECT_EQ(load("a").horizon, 2u);
  EXPECT_EQ(trim(3), "1");
  auto found = load("a");
  EXPECT_EQ(found.horizon, 3u);
  ASSERT_TRUE(found.snapshot);
  EXPECT_EQ(found.snapshot->version, 3u);
  EXPECT_TRUE(found.events.empty());
  // J1: nothing below the horizon comes back, and nothing is left out.
  for (std::uint64_t version : {0, 1, 2, 4})
    EXPECT_EQ(append("a", make_step(version, 1)).status, conflict) << version;
  EXPECT_EQ(append("a", make_step(3, 0)).status, stored);
  EXPECT_EQ(append("a", make_step(3, 0, "c", rejected)).status, stored);
  EXPECT_EQ(append("a", make_step(3, 1)).status, stored);
  EXPECT_EQ(append("a", make_step(4, 1)).status, stored);
  EXPECT_EQ(append("b", make_step(0, 1)).status, stored);
}

TEST_P(trimming, an_archived_entity_takes_nothing) {
  append("a", make_step(0, 1));
  save({{"thing", "a"s, 1, 1, "{}"}}, 1);
  session->query("select " + options.schema + ".trim_entity('thing', 'a', 1)",
                 {});
  session->query("update " + options.schema + ".horizon set archived = true",
                 {});
  EXPECT_TRUE(load("a").archived);
  EXPECT_EQ(append("a", make_step(1, 1)).status, conflict);
  EXPECT_EQ(append("a", make_step(0, 1)).status, conflict);
}

INSTANTIATE_TEST_SUITE_P(stores, trimming, testing::Values(backend::postgres),
                         [](auto&) { return "postgres"; });

} // namespace
