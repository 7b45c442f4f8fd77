#include "core/check_events.hpp"
#include "core/check_tables.hpp"
#include "core/event_pages.hpp"
#include "core/failure.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <future>

namespace evented::cli {

namespace {

using nlohmann::json;

struct verify_options {
  std::string from;
  std::uint64_t most = 100;
};

/// Returns the place that the command line names, the first one where it names
/// none.
entity_place place_of(const journal& x, const std::string& text) {
  if (text.empty())
    return {};
  auto result = read_place(text);
  check_type_name(result.type);
  if (result.id)
    result.id = to_string(x.id(*result.id));
  return result;
}

exit_code verify(const globals& how, const verify_options& options) {
  auto x = open_journal(how);
  auto from = place_of(x, options.from);
  watch_interrupts();
  read_by_index(x.db);
  faults found{how.json, options.most};
  progress clock{"", 0};
  // Walking over the entities keeps one server process busy, so what does not
  // need that order is left to another one.
  auto others = std::async(std::launch::async, [&how, &found] {
    auto mine = open_journal(how);
    read_by_index(mine.db);
    check_numbers(mine, found);
    check_tables(mine, found);
  });
  auto events = check_events(x, from, found);
  others.get();
  if (!events.stopped_at)
    check_projections(x, found);
  auto took = clock.seconds();
  auto whole = !interrupted() && !found.enough();
  json summary{{"events", events.events},
               {"entities", events.entities},
               {"faults", found.count()},
               {"complete", whole},
               {"seconds", took},
               {"events_per_second",
                static_cast<double>(events.events) / std::max(took, 1e-6)}};
  if (events.stopped_at)
    summary["from"] = place_text(*events.stopped_at);
  if (how.json)
    std::printf("%s\n", summary.dump().c_str());
  else
    std::printf("%s: %s events of %s entities in %.1f s, %s events/s\n",
                found.count() == 0
                  ? "No fault found"
                  : fmt::format("{} faults found", found.count()).c_str(),
                grouped(events.events).c_str(),
                grouped(events.entities).c_str(), took,
                grouped(static_cast<std::uint64_t>(
                          summary["events_per_second"].get<double>()))
                  .c_str());
  if (!whole && events.stopped_at)
    std::fprintf(stderr, "evented: this was not all; go on with --from '%s'\n",
                 visible(place_text(*events.stopped_at)).c_str());
  if (interrupted())
    return exit_code::interrupted;
  return found.count() == 0 ? exit_code::done : exit_code::fault;
}

} // namespace

void add_verify(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "verify",
    "Checks the whole journal: versions without hole, numbers in their order, "
    "slices, shapes, tags, snapshots, commands and checkpoints. Changes "
    "nothing, and may run beside the applications. Ends with 1 where "
    "something is wrong",
    "  evented verify\n"
    "  evented verify --json | jq -c 'select(.check)'\n"
    "  evented verify --from '[\"account\",\"0190e3a2-...\"]'");
  auto options = std::make_shared<verify_options>();
  verb
    ->add_option("--from", options->from,
                 "Goes on with this entity, where an interrupted verify has "
                 "stopped")
    ->type_name("PLACE");
  verb
    ->add_option("--max-faults", options->most,
                 "Stops after so many faults, 0 for never (100)")
    ->check(whole_number());
  on(verb, chosen, options, verify);
}

} // namespace evented::cli
