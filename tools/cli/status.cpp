#include "core/event_pages.hpp"
#include "core/growth.hpp"
#include "core/projections.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <utility>

namespace evented::cli {

namespace {

using nlohmann::json;

/// Above so many rows, `status` takes the planner's word for their number, since
/// counting takes a look at all of them.
constexpr std::int64_t most_counted = 20'000'000;

struct status_options {
  bool exact = false;
};

/// Counts the events and first versions of all types in one pass, in whichever
/// way the planner likes best: that there is an order is of no use here.
std::map<std::string, std::pair<std::int64_t, std::int64_t>>
count_all(journal& x) {
  auto found = x.run("select type_name, count(*), count(*) filter (where "
                     "version = 1) from {schema}.event group by type_name");
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> result;
  for (int i = 0; i < found.size(); ++i)
    result[found.text(i, 0)] = {found.number(i, 1), found.number(i, 2)};
  return result;
}

/// Returns the planner's estimate of a type's events.
json estimate(journal& x, const std::string& type) {
  auto plan = json::parse(x.run("explain (format json) select from "
                                "{schema}.event where type_name = $1",
                                {type})
                            .text(0, 0));
  return plan[0]["Plan"]["Plan Rows"];
}

/// Describes each entity type: how many events and entities, and the last one.
json describe_types(journal& x, bool exact) {
  auto rows = x.run("select reltuples::bigint from pg_class where oid = "
                    "'{schema}.event'::regclass")
                .number(0, 0);
  auto count = exact || rows <= most_counted;
  auto counts = count ? count_all(x) : decltype(count_all(x)){};
  read_by_index(x.db);
  json result = json::array();
  for (auto& type : x.types()) {
    auto found = x.run(
      "select e.seq_no, e.created_at::text, (select count(*) from "
      "{schema}.horizon as h where h.type_name = $1 and h.archived), (select "
      "count(*) from {schema}.horizon as h where h.type_name = $1 and not "
      "h.archived) from {schema}.event as e where e.type_name = $1 order by "
      "e.seq_no desc limit 1",
      {type});
    json about{{"type", type},
               {"exact", count},
               {"last_seq_no", found.number(0, 0)},
               {"last_at", found.text(0, 1)},
               {"archived", found.number(0, 2)},
               {"trimmed", found.number(0, 3)}};
    if (count) {
      about["events"] = counts[type].first;
      // Whoever was trimmed has no first version any more.
      about["entities"] = counts[type].second + found.number(0, 3);
    } else {
      about["events"] = estimate(x, type);
      about["entities"] = nullptr;
    }
    result.push_back(std::move(about));
  }
  return result;
}

json holders(journal& x) {
  auto found = x.run("select pid, age, state, query from "
                     "{schema}.frontier_holders()");
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back(
      {{"pid", found.null(i, 0) ? json() : json(found.number(i, 0))},
       {"seconds", std::strtod(found.text(i, 1).c_str(), nullptr)},
       {"state", found.text(i, 2)},
       {"query", found.text(i, 3)}});
  return result;
}

json outbox(journal& x) {
  auto found = x.run(
    "select count(*), count(*) filter (where due_at <= now()), count(*) filter "
    "(where attempts > 0), coalesce(extract(epoch from now() - min(created_at) "
    "filter (where due_at <= now())), 0)::float8 from {schema}.outbox");
  return {
    {"waiting", found.number(0, 0)},
    {"due", found.number(0, 1)},
    {"failed_before", found.number(0, 2)},
    {"oldest_due_seconds", std::strtod(found.text(0, 3).c_str(), nullptr)}};
}

json collect(journal& x, const status_options& options) {
  auto types = describe_types(x, options.exact);
  json result{{"schema", x.options.schema},
              {"schema_version", x.version},
              {"ids", to_string(x.options.ids)},
              {"payloads", to_string(x.options.payloads)},
              {"server", x.run("show server_version").text(0, 0)}};
  auto frontier = x.frontier();
  result["frontier"] = frontier;
  result["last_number"] = x.run("select {schema}.last_number()").number(0, 0);
  result["frontier_holders"] = holders(x);
  result["types"] = types;
  add_growth(x, result);
  result["projections"] = describe_projections(x, frontier);
  auto letters = x.run(
    "select count(*) filter (where kind = 'parked'), count(*) filter (where "
    "kind = 'behind'), count(*) filter (where kind = 'skipped') from "
    "{schema}.dead_letter");
  result["dead_letters"] = {{"parked", letters.number(0, 0)},
                            {"behind", letters.number(0, 1)},
                            {"skipped", letters.number(0, 2)}};
  result["outbox"] = outbox(x);
  return result;
}

std::string number_of(const json& x) {
  return x.is_null() ? "-" : grouped(x.get<std::uint64_t>());
}

void print_types(const json& x) {
  table types{
    {"type", "entities", "events", "last hour", "last day", "last event"}};
  for (auto& t : x["types"]) {
    auto about = t["exact"].get<bool>() ? "" : "~";
    types.add({visible(t["type"].get<std::string>()), number_of(t["entities"]),
               about + number_of(t["events"]), number_of(t["last_hour"]),
               number_of(t["last_day"]), t["last_at"].get<std::string>()});
  }
  if (types.empty())
    std::puts("No events yet.");
  else
    types.print();
}

void print(const json& x) {
  std::printf("Journal \"%s\", schema version %lld, IDs %s, payloads %s, "
              "PostgreSQL %s\n\n",
              x["schema"].get<std::string>().c_str(),
              x["schema_version"].get<long long>(),
              x["ids"].get<std::string>().c_str(),
              x["payloads"].get<std::string>().c_str(),
              x["server"].get<std::string>().c_str());
  print_types(x);
  std::printf("\nFrontier %s of %s", number_of(x["frontier"]).c_str(),
              number_of(x["last_number"]).c_str());
  std::puts(x["frontier_holders"].empty() ? "" : ", held back by:");
  for (auto& h : x["frontier_holders"])
    std::printf("  %s, for %s, %s: %s\n",
                h["pid"].is_null()
                  ? "a prepared transaction"
                  : ("process " + std::to_string(h["pid"].get<long>())).c_str(),
                span_text(h["seconds"].get<double>()).c_str(),
                visible(h["state"].get<std::string>()).c_str(),
                visible(h["query"].get<std::string>()).c_str());
  std::puts("");
  print_projections(x["projections"]);
  auto& d = x["dead_letters"];
  std::printf("\nDead letters: %s parked, %s behind them, %s skipped\n",
              number_of(d["parked"]).c_str(), number_of(d["behind"]).c_str(),
              number_of(d["skipped"]).c_str());
  auto& o = x["outbox"];
  std::printf("Outbox: %s waiting, %s of them due",
              number_of(o["waiting"]).c_str(), number_of(o["due"]).c_str());
  if (o["due"] != 0)
    std::printf(" (the oldest is %s old), %s failed before",
                span_text(o["oldest_due_seconds"].get<double>()).c_str(),
                number_of(o["failed_before"]).c_str());
  std::puts("");
}

exit_code status(const globals& how, const status_options& options) {
  auto x = open_journal(how);
  auto found = collect(x, options);
  if (how.json)
    std::printf(
      "%s\n",
      found.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  else
    print(found);
  return exit_code::done;
}

} // namespace

void add_status(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "status",
    "Shows what is in the journal, how it grows, how far the projections are, "
    "and who is in the way",
    "  evented status\n"
    "  evented status --json | jq '.projections[] | select(.lag_events > 0)'");
  auto options = std::make_shared<status_options>();
  verb->add_flag("--exact", options->exact,
                 "Counts also where there are so many events that it takes "
                 "long (else the numbers with ~ are estimates)");
  on(verb, chosen, options, status);
}

} // namespace evented::cli
