#include "core/event_pages.hpp"
#include "core/operation.hpp"
#include "core/projections.hpp"
#include "core/steering.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <optional>

namespace evented::cli {

namespace {

using nlohmann::json;

struct projection_options {
  std::string name;
  std::uint64_t seq_no = 0;
  std::uint16_t ranges = 1;
  std::vector<std::string> types;
  std::uint64_t after = 0;
  bool has_after = false;
  std::string since;
  bool from_now = false;
  std::int64_t timeout = 30;
};

exit_code answer(const globals& how, json x, const std::string& sentence) {
  if (how.json)
    std::printf("%s\n", x.dump().c_str());
  else
    std::printf("%s\n", sentence.c_str());
  return exit_code::done;
}

// -- looking ------------------------------------------------------------------

exit_code list(const globals& how, const projection_options& options) {
  auto x = open_journal(how);
  read_by_index(x.db);
  auto found = describe_projections(x, x.frontier(), options.name);
  if (how.json)
    std::printf(
      "%s\n",
      found.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  else
    print_projections(found);
  return exit_code::done;
}

// -- changing -----------------------------------------------------------------

exit_code pause(const globals& how, const projection_options& options) {
  auto x = open_journal(how);
  pause_projection(x, options.name);
  return answer(how, {{"paused", true}},
                "paused: no process runs it until evented projection resume");
}

exit_code resume(const globals& how, const projection_options& options) {
  auto x = open_journal(how);
  resume_projection(x, options.name);
  return answer(how, {{"paused", false}},
                "resumed: the processes that have it run it within seconds");
}

exit_code rescale(const globals& how, const projection_options& options) {
  auto x = open_journal(how);
  rescale_projection(x, options.name, options.ranges);
  return answer(how, {{"ranges", options.ranges}},
                "begun: evented projection list tells when it has ended");
}

exit_code skip(const globals& how, const projection_options& options) {
  for (auto& type : options.types)
    check_type_name(type);
  confirm(how, "Leave event " + std::to_string(options.seq_no) + " out of "
                 + visible(options.name) + " for good");
  auto x = open_journal(how);
  skip_event(x, options.name, options.seq_no, options.types);
  return answer(how, {{"skipped", options.seq_no}},
                "skipped: it is among the dead letters now");
}

// -- asking the program -------------------------------------------------------

exit_code reset(const globals& how, const projection_options& options) {
  confirm(how,
          "Empty the view of " + visible(options.name) + " and begin anew");
  program_request what{options.name, "reset", {}, {}, options.from_now, {}, {}};
  if (options.has_after)
    what.after = options.after;
  if (!options.since.empty())
    what.since = options.since;
  auto x = open_journal(how);
  reset_or_rebuild(x, what, std::chrono::seconds{options.timeout});
  return answer(how, {{"done", "reset"}},
                "done: the view is empty and begins anew");
}

exit_code rebuild(const globals& how, const projection_options& options) {
  program_request what{options.name, "rebuild", {}, {}, false, {}, {}};
  auto x = open_journal(how);
  reset_or_rebuild(x, what, std::chrono::seconds{options.timeout});
  return answer(how, {{"done", "rebuild"}},
                "begun: evented projection list tells when the next version is "
                "live");
}

CLI::Option* add_timeout(CLI::App* verb, projection_options& options) {
  return verb
    ->add_option("--timeout", options.timeout,
                 "How many seconds to wait for the program that runs it (30)")
    ->check(whole_number(1, 86'400));
}

} // namespace

void add_projection(CLI::App& app, action& chosen) {
  auto* group = add_verb(app, "projection",
                         "Shows projections, and pauses, resets, skips and "
                         "rebuilds them",
                         "  evented projection list\n"
                         "  evented projection pause totals");
  group->require_subcommand(1);
  auto options = std::make_shared<projection_options>();
  auto add = [&](const char* name, const char* what, const std::string& example,
                 auto run, bool named = true) {
    auto* verb
      = add_verb(*group, name, what, "  evented projection " + example);
    verb->add_option("NAME", options->name, "The projection")->required(named);
    on(verb, chosen, options, run);
    return verb;
  };
  add("list", "Shows how far projections are, and what is wrong with them",
      "list --json | jq '.[] | select(.state == \"failing\")'", list, false);
  add("pause", "Ends running it, in all processes, until it is resumed",
      "pause totals", pause);
  add("resume",
      "Takes a pause back, and lets ranges run again that an error has halted",
      "resume totals", resume);
  auto* verb = add("rescale", "Shares its slices among so many ranges",
                   "rescale totals 4", rescale);
  verb->add_option("RANGES", options->ranges, "1 to 1024")
    ->required()
    ->check(whole_number(1, 1024));
  verb = add("skip", "Leaves the event that is in its way out for good",
             "skip totals 4711", skip);
  verb->add_option("SEQ_NO", options->seq_no, "The event")
    ->required()
    ->check(whole_number(1));
  verb->add_option("--type", options->types,
                   "An entity type that it reads; may be repeated. Needed only "
                   "for an event that has not failed yet");
  verb = add("reset",
             "Lets the program that runs it empty the view and begin anew, by "
             "default where it began",
             "reset totals --yes", reset);
  auto* after = verb
                  ->add_option("--after", options->after,
                               "Begin after this sequence number")
                  ->check(whole_number());
  auto* since
    = verb->add_option("--since", options->since,
                       "Begin with what was created at or after this time");
  auto* now = verb->add_flag("--from-now", options->from_now,
                             "Begin with what is stored from now on");
  after->excludes(since)->excludes(now);
  since->excludes(now);
  add_timeout(verb, *options);
  verb->callback([&chosen, options, after] {
    options->has_after = after->count() > 0;
    chosen = [options](const globals& how) { return reset(how, *options); };
  });
  verb = add("rebuild",
             "Lets the program that runs it build the next version of the view "
             "beside the live one",
             "rebuild totals", rebuild);
  add_timeout(verb, *options);
  add_projection_wait(*group, chosen);
}

} // namespace evented::cli
