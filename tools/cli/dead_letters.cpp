#include "core/event_pages.hpp"
#include "core/letters.hpp"
#include "core/operation.hpp"
#include "core/show.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <evented/projection_store.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

struct letter_options {
  std::string name;
  std::uint64_t seq_no = 0;
  std::uint64_t after = 0;
  std::uint64_t limit = 100;
  bool all = false;
  std::int64_t timeout = 30;
};

std::string dump(const json& x) {
  return x.dump(-1, ' ', false, json::error_handler_t::replace);
}

// -- looking ------------------------------------------------------------------

exit_code list(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  if (!options.name.empty())
    connect_projections(x)->status(options.name);
  auto found = find_letters(x, {options.name, 0, options.after, options.limit});
  if (how.json) {
    for (auto& letter : found)
      std::printf("%s\n", dump(letter).c_str());
    return exit_code::done;
  }
  table lines{{"projection", "event", "kind", "entity", "error"}};
  for (auto& d : found)
    lines.add(
      {visible(d["projection"].get<std::string>()),
       std::to_string(d["seq_no"].get<std::uint64_t>()),
       d["kind"].get<std::string>(),
       visible(d["type"].get<std::string>() + "/" + d["id"].get<std::string>()),
       visible(d["error"].get<std::string>())});
  if (lines.empty())
    std::puts("No dead letters.");
  else
    lines.print();
  if (found.size() == options.limit && options.name.empty())
    std::puts("There may be more: name the projection to go on with --after.");
  else if (found.size() == options.limit)
    std::printf("There may be more: go on with --after %llu.\n",
                found.back()["seq_no"].get<unsigned long long>());
  return exit_code::done;
}

exit_code show(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  auto letter = find_letter(x, options.name, options.seq_no);
  if (how.json)
    std::printf("%s\n", dump(letter).c_str());
  else
    std::printf("Event %llu is %s in %s since %s: %s\n",
                static_cast<unsigned long long>(options.seq_no),
                letter["kind"].get<std::string>().c_str(),
                visible(options.name).c_str(),
                letter["created_at"].get<std::string>().c_str(),
                visible(letter["error"].get<std::string>()).c_str());
  event_pages{x,
              {{letter["type"].get<std::string>()}, {}, {}, {}, {}},
              options.seq_no - 1,
              options.seq_no}
    .for_each([&](const event_view& e) { show_event(how, x.options, e); });
  return exit_code::done;
}

// -- changing -----------------------------------------------------------------

exit_code replay(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  if (!options.all && options.seq_no == 0)
    throw failure(exit_code::usage, "say which: SEQ_NO, or --all");
  std::chrono::seconds timeout{options.timeout};
  auto count = options.all
                 ? replay_letters(x, options.name, timeout)
                 : replay_letter(x, options.name, options.seq_no, timeout);
  if (how.json)
    std::printf("%s\n", json{{"replayed", count}}.dump().c_str());
  else
    std::printf("%s dead letters were replayed\n", grouped(count).c_str());
  return exit_code::done;
}

exit_code drop(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  find_letter(x, options.name, options.seq_no);
  confirm(how, "Forget the dead letter " + std::to_string(options.seq_no)
                 + " of " + visible(options.name));
  drop_letter(x, options.name, options.seq_no);
  if (how.json)
    std::printf("%s\n", json{{"dropped", options.seq_no}}.dump().c_str());
  else
    std::puts("forgotten; letters behind it wait for a replay");
  return exit_code::done;
}

} // namespace

void add_dead_letters(CLI::App& app, action& chosen) {
  auto* group = add_verb(
    app, "dead-letters",
    "Shows events that projections could not handle, replays or forgets them",
    "  evented dead-letters list\n"
    "  evented dead-letters replay totals --all");
  group->require_subcommand(1);
  auto options = std::make_shared<letter_options>();
  auto* verb = add_verb(*group, "list",
                        "Shows the dead letters of a projection, or of all",
                        "  evented dead-letters list\n"
                        "  evented dead-letters list totals --json\n"
                        "  evented dead-letters list totals --after 4711");
  verb->add_option("NAME", options->name, "The projection");
  verb
    ->add_option("--after", options->after,
                 "Only events above this sequence number")
    ->check(whole_number());
  verb->add_option("--limit", options->limit, "At most so many (100)")
    ->check(whole_number(1, 10'000));
  on(verb, chosen, options, list);
  auto add = [&](const char* name, const char* what, const std::string& example,
                 auto run) {
    verb = add_verb(*group, name, what, "  evented dead-letters " + example);
    verb->add_option("NAME", options->name, "The projection")->required();
    on(verb, chosen, options, run);
    return verb->add_option("SEQ_NO", options->seq_no, "The event")
      ->check(whole_number(1));
  };
  add("show", "Shows one, with its event", "show totals 4711", show)
    ->required();
  auto* one = add(
    "replay",
    "Lets the program that runs the projection handle all dead letters of the "
    "event's entity again, in order and in one transaction",
    "replay totals 4711\n  evented dead-letters replay totals --all", replay);
  verb->add_flag("--all", options->all, "Those of all entities")->excludes(one);
  verb
    ->add_option("--timeout", options->timeout,
                 "How many seconds to wait for the program (30)")
    ->check(whole_number(1, 86'400));
  add("drop", "Forgets one; those behind it wait for a replay",
      "drop totals 4711 --yes", drop)
    ->required();
}

} // namespace evented::cli
