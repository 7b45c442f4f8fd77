// What reading costs: in a journal of half a million events, with EVENTED_LARGE=1
// in one of five million, a page costs what it costs in one of a tenth the
// size, whatever the planner has been told about the table.

#include "detail/event_query.hpp"
#include "support/journals.hpp"

#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <regex>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::raw_connection;

namespace {

/// What a query has cost.
struct cost {
  /// Pages of the server's memory that it has touched.
  std::uint64_t pages = 0;
  /// The most rows that one part of its plan has seen.
  std::uint64_t rows = 0;
};

/// A filter with a name for messages.
struct query_case {
  std::string name;
  event_filter filter;
};

class read_plan : public testing::Test {
protected:
  read_plan() : options(test::fresh_journal()) {
    options.ids = id_kind::bigint;
    open_store(options);
    db.exec("set client_min_messages = warning");
    for (auto* setting : detail::event_query_settings)
      db.exec("set "s + setting + " = off");
    // The planner shall know nothing until it is told.
    for (auto* table : {".event", ".event_tag"})
      db.exec("alter table " + options.schema + table
              + " set (autovacuum_enabled = off)");
  }

  ~read_plan() override {
    db.try_exec("drop schema " + options.schema + " cascade");
  }

  /// Adds events until there are `count`: 19 types in turn, ten events of a
  /// rare one, and seldom names and tags.
  void fill(std::uint64_t count) {
    auto from = last + 1;
    auto every = std::to_string(std::max<std::uint64_t>(1, count / 10));
    auto to_type
      = "case when n % " + every + " = 7 then 'rare' else 'type' || n % 19 end";
    auto& s = options.schema;
    auto range = "generate_series(" + std::to_string(from) + "::bigint, "
                 + std::to_string(count) + ") as n";
    db.exec("alter table " + s + ".event drop constraint event_pkey");
    db.exec("drop index " + s + ".event_by_type");
    db.exec("insert into " + s
            + ".event (type_name, entity_id, version, slice, event_name, "
              "schema_version, append_id, event, tags) select "
            + to_type
            + ", n, 1, n % 1024, case when n % 1000 = 3 then 'seldom' else "
              "'common' end, 1, '00000000-0000-4000-8000-000000000000', "
              "'{}', case when n % 100 < 2 then array['red', 'blue'] end from "
            + range + " order by n");
    db.exec("insert into " + s + ".event_tag select " + to_type
            + ", tag, n from " + range
            + ", unnest(array['blue', 'red']) as tag where n % 100 < 2");
    db.exec("alter table " + s
            + ".event add primary key (type_name, entity_id, version)");
    db.exec("create index event_by_type on " + s
            + ".event (type_name, seq_no)");
    last = count;
  }

  void analyze() {
    db.exec("analyze " + options.schema + ".event");
    db.exec("analyze " + options.schema + ".event_tag");
  }

  static std::vector<query_case> cases() {
    std::vector<std::string> all{"rare"};
    for (int i = 0; i < 19; ++i)
      all.push_back("type" + std::to_string(i));
    auto now = std::chrono::time_point_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now());
    std::vector<query_case> result;
    for (auto& [name, types] : std::map<std::string, std::vector<std::string>>{
           {"one type", {"type3"}},
           {"the rare type", {"rare"}},
           {"two types", {"type3", "rare"}},
           {"all types", all}}) {
      result.push_back({name, {.types = types}});
      result.push_back(
        {name + ", by name", {.types = types, .names = {"seldom"}}});
      result.push_back(
        {name + ", by slice", {.types = types, .slices = {100, 110}}});
      result.push_back({name + ", by tag", {.types = types, .tags = {"red"}}});
      result.push_back(
        {name + ", by tags", {.types = types, .tags = {"red", "blue"}}});
      result.push_back({name + ", by everything",
                        {.types = types,
                         .names = {"common"},
                         .tags = {"blue"},
                         .slices = {0, 511},
                         .since = now - 1h}});
    }
    return result;
  }

  /// Runs all cases.
  std::map<std::string, cost> measure() {
    std::map<std::string, cost> result;
    for (auto* mode : {"force_custom_plan", "force_generic_plan"}) {
      db.exec("set plan_cache_mode = "s + mode);
      for (auto& x : cases())
        for (auto& [where, after] :
             std::map<std::string, std::uint64_t>{{"from the start", 0},
                                                  {"in the middle", last / 2},
                                                  {"at the end", last - 100}})
          result[x.name + ", " + where + ", " + mode]
            = run(x.filter, after, x.name + ", " + where + ", " + mode);
    }
    return result;
  }

  cost run(const event_filter& filter, std::uint64_t after,
           const std::string& name) {
    auto query = detail::make_event_query(options, filter, after, last, 100);
    db.try_exec("deallocate all");
    db.exec("prepare q as " + query.sql);
    std::string params;
    for (auto& x : query.params)
      params += (params.empty() ? "'" : ", '") + x.text.value() + "'";
    auto plan = db.exec("explain (analyze, buffers, format json) execute q("
                        + params + ")");
    auto numbers = [&](const char* key) {
      std::vector<std::uint64_t> result;
      std::regex form{"\""s + key + "\": ([0-9]+)"};
      for (std::sregex_iterator i{plan.begin(), plan.end(), form}, end;
           i != end; ++i)
        result.push_back(std::stoull((*i)[1]));
      return result;
    };
    auto failures = 0;
    auto fail = [&](const std::string& what) {
      ADD_FAILURE() << name << ": " << what;
      ++failures;
    };
    if (plan.find("\"Seq Scan\"") != std::string::npos)
      fail("scans a table");
    if (filter.names.empty() && filter.tags.empty() && !filter.since
        && filter.slices == slice_range{}
        && plan.find("Sort\"") != std::string::npos)
      fail("sorts");
    if (plan.find("\"Index") == std::string::npos)
      fail("uses no index");
    // No part of the plan has seen more rows than one call may look at.
    auto rows = numbers("Actual Rows");
    auto loops = numbers("Actual Loops");
    EXPECT_EQ(rows.size(), loops.size());
    cost result;
    for (std::size_t i = 0; i < rows.size(); ++i)
      result.rows = std::max(result.rows, rows[i] * loops[i]);
    if (result.rows > query.scan + 1)
      fail("has seen " + std::to_string(result.rows) + " rows");
    if (failures > 0 && shown++ == 0)
      ADD_FAILURE() << query.sql << '\n' << plan;
    result.pages = numbers("Shared Hit Blocks").at(0)
                   + numbers("Shared Read Blocks").at(0);
    return result;
  }

  /// Complains about what costs more in the large journal than in the small,
  /// where it does not see more rows: a row takes a page, and finding it by an
  /// index up to four.
  static void compare(const std::map<std::string, cost>& small,
                      const std::map<std::string, cost>& large) {
    for (auto& [name, x] : large) {
      auto& y = small.at(name);
      auto more = x.rows > y.rows ? x.rows - y.rows : 0;
      EXPECT_LE(x.pages, 2 * y.pages + 5 * more + 50)
        << name << ": " << x.rows << " rows, in the small journal " << y.rows;
    }
  }

  journal_options options;
  raw_connection db;
  std::uint64_t last = 0;
  int shown = 0;
};

} // namespace

TEST_F(read_plan, does_not_depend_on_the_size_of_the_journal) {
  auto* large = std::getenv("EVENTED_LARGE");
  auto count = large != nullptr && large == "1"s ? 5'000'000U : 500'000U;
  fill(count / 10);
  auto small = measure();
  analyze();
  fill(count);
  {
    SCOPED_TRACE("the statistics are those of the small journal");
    compare(small, measure());
  }
  {
    SCOPED_TRACE("there are no statistics");
    db.exec("delete from pg_statistic where starelid in ('" + options.schema
            + ".event'::regclass, '" + options.schema
            + ".event_tag'::regclass)");
    compare(small, measure());
  }
  {
    SCOPED_TRACE("the statistics are fresh");
    analyze();
    compare(small, measure());
  }
}
