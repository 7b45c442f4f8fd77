// What appends and loads cost: where the table holds fifty times as much, they
// touch no more of it, whatever the planner has been told, and when.

#include "support/journals.hpp"
#include "support/raw_writer.hpp"
#include "support/wait.hpp"

#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <regex>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::raw_connection;
using evented::test::raw_event;
using evented::test::raw_writer;

namespace {

class append_plan : public testing::TestWithParam<const char*> {
protected:
  append_plan() : options(test::fresh_journal()) {
    options.ids = id_kind::text;
    open_store(options);
    db.exec("alter table " + options.schema
            + ".event set (autovacuum_enabled = off)");
  }

  ~append_plan() override {
    db.exec("set client_min_messages = warning");
    db.try_exec("drop schema " + options.schema + " cascade");
  }

  /// Adds events of the entity "hot" until there are `count`.
  void fill(std::uint64_t count) {
    db.exec("insert into " + options.schema
            + ".event (type_name, entity_id, version, slice, event_name, "
              "schema_version, append_id, event) select 'thing', 'hot', n, 0, "
              "'happened', 1, gen_random_uuid(), '{}' from generate_series("
            + std::to_string(hot + 1) + ", " + std::to_string(count)
            + ") as n");
    hot = count;
  }

  /// Appends to the hot entity and to new ones, and checks the version of the hot
  /// one as often, until the connection's plans are those that stay. Returns the
  /// pages that the last call has touched.
  std::uint64_t pages(raw_writer& writer) {
    const std::string no_checks = "'{}', '{}', '{}')";
    const auto checks = "array_fill('thing'::text, array[20]), "
                        "array_fill('hot'::text, array[20]), "
                        "array_fill(1::bigint, array[20]))"s;
    std::string plan;
    for (auto call = 0; call < 8; ++call) {
      std::vector<raw_event> events;
      for (auto i = 0; i < 20; ++i) {
        events.push_back({"thing", "hot", ++hot});
        events.push_back({"thing", "new" + std::to_string(++entities), 1});
      }
      auto statement = writer.append_call(std::move(events));
      EXPECT_TRUE(statement.ends_with(no_checks));
      statement.replace(statement.size() - no_checks.size(), no_checks.size(),
                        checks);
      plan = explain(writer, statement);
    }
    return pages_of(plan);
  }

  /// The same with a function call that stores one event of the hot entity.
  std::uint64_t pages_of_one(raw_writer& writer) {
    std::string plan;
    for (auto call = 0; call < 8; ++call)
      plan = explain(writer, writer.event_call({"thing", "hot", ++hot}));
    return pages_of(plan);
  }

  static std::string explain(raw_writer& writer, const std::string& call) {
    return writer.db().exec("explain (analyze, buffers, format json) select * "
                            "from "
                            + call);
  }

  /// Returns the pages that a plan says were touched.
  static std::uint64_t pages_of(const std::string& plan) {
    std::uint64_t result = 0;
    for (auto* key : {"Hit", "Read"}) {
      std::smatch found;
      std::regex form{"\"Shared "s + key + " Blocks\": ([0-9]+)"};
      // The first one is that of the whole plan.
      if (std::regex_search(plan, found, form))
        result += std::stoull(found[1]);
    }
    return result;
  }

  journal_options options;
  raw_connection db;
  std::uint64_t hot = 0;
  std::uint64_t entities = 0;
};

TEST_P(append_plan, does_not_grow_with_the_table) {
  if (GetParam() == "empty"s)
    db.exec("analyze " + options.schema + ".event");
  // A journal that is new when a program starts.
  raw_writer first{options.url.reveal(), options.schema};
  auto small = pages(first);
  EXPECT_GT(small, 0U);
  fill(50'000);
  // The indexes have become two levels higher: for 60 looks, four pages each.
  EXPECT_LE(pages(first), small + 4 * 60) << "with the plans of an empty table";
  if (GetParam() == "full"s)
    db.exec("analyze " + options.schema + ".event");
  raw_writer second{options.url.reveal(), options.schema};
  EXPECT_LE(pages(second), small + 4 * 60);
}

TEST_P(append_plan, of_one_event_does_not_grow_with_the_table) {
  if (GetParam() == "empty"s)
    db.exec("analyze " + options.schema + ".event");
  raw_writer first{options.url.reveal(), options.schema};
  auto small = pages_of_one(first);
  EXPECT_GT(small, 0U);
  fill(50'000);
  // The indexes have become two levels higher: for two looks and two inserts.
  EXPECT_LE(pages_of_one(first), small + 2 * 4)
    << "with the plans of an empty table";
  if (GetParam() == "full"s)
    db.exec("analyze " + options.schema + ".event");
  raw_writer second{options.url.reveal(), options.schema};
  EXPECT_LE(pages_of_one(second), small + 2 * 4);
}

TEST_P(append_plan, is_no_worse_for_loads) {
  if (GetParam() == "empty"s)
    db.exec("analyze " + options.schema + ".event");
  fill(320);
  auto store = open_store(options);
  auto session = store->connect();
  auto load = [&](std::uint64_t after) {
    for (auto fresh : {false, true}) {
      load_request x{"thing", "hot"s};
      x.after = after;
      x.snapshot = fresh;
      EXPECT_EQ(session->load({{x}}, 20).at(0).events.size(), hot - after);
    }
  };
  // Until the plans are those that stay.
  for (auto call = 0; call < 8; ++call)
    load(hot - 10);
  fill(50'000);
  if (GetParam() == "full"s)
    db.exec("analyze " + options.schema + ".event");
  for (auto call = 0; call < 8; ++call)
    load(hot - 10);
  // What it has read is counted at its end.
  session.reset();
  auto rows = [&](const std::string& index) {
    return std::stoull(db.exec(
      "select idx_tup_read from pg_stat_user_indexes where schemaname = "
      "'"
      + options.schema + "' and indexrelname = '" + index + "'"));
  };
  EXPECT_TRUE(test::wait_until([&] { return rows("event_pkey") >= 320; }));
  // To open the store takes a few.
  EXPECT_LE(rows("event_by_type"), 10U);
}

INSTANTIATE_TEST_SUITE_P(analyzed, append_plan,
                         testing::Values("never", "empty", "full"),
                         [](auto& x) { return std::string{x.param}; });

} // namespace
