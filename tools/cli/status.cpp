#include "core/description.hpp"
#include "core/projections.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

/// Above so many rows, `status` takes the planner's word for their number, since
/// counting takes a look at all of them.
constexpr std::int64_t most_counted = 20'000'000;

struct status_options {
  bool exact = false;
};

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
  auto found = describe_journal(x, options.exact ? INT64_MAX : most_counted);
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
