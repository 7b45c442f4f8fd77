#include "core/event_pages.hpp"
#include "core/failure.hpp"
#include "core/show.hpp"
#include "core/verb.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace evented::cli {

namespace {

struct events_options {
  event_choice what;
  std::string id;
  std::uint64_t after = 0;
  std::uint64_t up_to = 0;
  std::uint64_t last = 0;
  std::uint64_t limit = 100;
  std::string since;
  std::string before;
  bool follow = false;
  bool has_after = false;
  bool has_limit = false;
};

exit_code events(const globals& how, events_options options) {
  auto x = open_journal(how);
  auto& what = options.what;
  for (auto& type : what.types)
    check_type_name(type);
  if (!options.id.empty())
    what.id = x.id(options.id);
  if (!options.since.empty())
    what.since = options.since;
  if (!options.before.empty())
    what.before = options.before;
  // Nobody else asks where the journal is empty.
  x.run("select $1::timestamptz, $2::timestamptz", {what.since, what.before});
  auto frontier = x.frontier();
  auto up_to
    = options.up_to == 0 ? frontier : std::min(options.up_to, frontier);
  auto after = options.after;
  if (options.last > 0)
    after = before_last(x, what, after, up_to, options.last);
  else if (options.follow && !options.has_after && !what.since)
    after = frontier;
  // A number of events that was asked for holds while following, too.
  auto left = options.follow && !options.has_limit ? 0 : options.limit;
  if (options.last > 0 && !options.has_limit)
    left = 0;
  auto endless = left == 0;
  auto shown = false;
  auto show = [&](const event_view& e) {
    if (!endless && left == 0)
      return;
    show_event(how, x.options, e);
    shown = true;
    left -= endless ? 0 : 1;
  };
  for (;;) {
    event_pages pages{x, what, after, up_to,
                      endless ? 20'000 : std::min<std::size_t>(left, 20'000)};
    while (pages.next(show) && (endless || left > 0))
      std::fflush(stdout);
    std::fflush(stdout);
    if (!options.follow || (!endless && left == 0)
        || (options.up_to != 0 && up_to == options.up_to))
      break;
    // Everything up to the old frontier was shown, or will never be there.
    after = up_to;
    while ((frontier = x.frontier()) <= after)
      std::this_thread::sleep_for(std::chrono::milliseconds{250});
    up_to = options.up_to == 0 ? frontier : std::min(options.up_to, frontier);
  }
  if (!shown && !how.json)
    std::fprintf(stderr, "evented: no such events\n");
  return exit_code::done;
}

} // namespace

void add_events(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "events",
    "Shows events in the order of the journal: 100 of them, unless said "
    "otherwise; with --json one JSON object a line",
    "  evented events --type account --last 20\n"
    "  evented events --type account --id "
    "0190e3a2-7c11-7e11-8000-3f1f1a2b3c4d\n"
    "  evented events --since 2026-03-01 --before '2026-03-01 06:00' --limit "
    "0\n"
    "  evented events --follow --json | jq .event");
  auto options = std::make_shared<events_options>();
  auto* type = verb->add_option("--type", options->what.types,
                                "Only of this entity type; may be repeated");
  verb->add_option("--id", options->id, "Only of this entity; needs --type")
    ->needs(type);
  verb->add_option("--name", options->what.names,
                   "Only of this name; may be repeated");
  auto* after = verb
                  ->add_option("--after", options->after,
                               "Only above this sequence number")
                  ->check(whole_number());
  verb->add_option("--up-to", options->up_to, "Only up to this sequence number")
    ->check(whole_number());
  verb->add_option("--since", options->since,
                   "Only created at or after this time (UTC)");
  verb->add_option("--before", options->before,
                   "Only created before this time (UTC)");
  verb->add_option("--last", options->last, "Only the last so many")
    ->check(whole_number());
  auto* limit = verb
                  ->add_option("--limit", options->limit,
                               "At most so many, 0 for all (100)")
                  ->check(whole_number());
  verb->add_flag("--follow", options->follow,
                 "Goes on with what is stored from now on, or after --after; "
                 "skips nothing");
  verb->callback([&chosen, options, after, limit] {
    options->has_after = after->count() > 0;
    options->has_limit = limit->count() > 0;
    chosen = [options](const globals& how) { return events(how, *options); };
  });
}

} // namespace evented::cli
