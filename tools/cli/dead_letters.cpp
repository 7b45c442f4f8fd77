#include "core/event_pages.hpp"
#include "core/operation.hpp"
#include "core/request.hpp"
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

/// Returns dead letters of the live version of a projection, or of all.
json find_letters(journal& x, const letter_options& options) {
  auto found = x.run(
    "select d.name, d.seq_no, d.kind, d.type_name, d.entity_id, d.error, "
    "d.created_at::text from {schema}.dead_letter as d join "
    "{schema}.projection as p on p.name = d.name and p.version = d.version "
    "where ($1 = '' or d.name = $1) and ($2::bigint = 0 or d.seq_no = "
    "$2::bigint) and d.seq_no > $3::bigint order by d.name, d.seq_no limit "
    "$4::bigint",
    {options.name, options.seq_no, options.after, options.limit});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back({{"projection", found.text(i, 0)},
                      {"seq_no", found.number(i, 1)},
                      {"kind", found.text(i, 2)},
                      {"type", found.text(i, 3)},
                      {"id", found.text(i, 4)},
                      {"error", found.text(i, 5)},
                      {"created_at", found.text(i, 6)}});
  return result;
}

exit_code list(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  if (!options.name.empty())
    connect_projections(x)->status(options.name);
  auto found = find_letters(x, options);
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
  if (found.size() == options.limit)
    std::puts("There may be more: see --after and --limit.");
  return exit_code::done;
}

/// Returns the one dead letter that is meant.
/// @throws failure(not_found)
json find_letter(journal& x, const letter_options& options) {
  auto only = options;
  only.limit = 1;
  auto found = find_letters(x, only);
  if (found.empty() || options.seq_no == 0)
    throw failure(exit_code::not_found, "event "
                                          + std::to_string(options.seq_no)
                                          + " is no dead letter of \""
                                          + visible(options.name) + "\"");
  return found[0];
}

exit_code show(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  auto letter = find_letter(x, options);
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

/// Lets the program replay the letters of one entity, and returns how many.
std::uint64_t replay_one(journal& x, const letter_options& options,
                         const std::string& type, const std::string& id) {
  program_request what{options.name, "replay", {}, {}, false, type, x.id(id)};
  std::uint64_t count = 0;
  logged(x, "dead-letters replay",
         {{"projection", options.name}, {"type", type}, {"id", id}}, [&] {
           count = ask_program(x, what, std::chrono::seconds{options.timeout});
           return std::to_string(count) + " letters";
         });
  return count;
}

exit_code replay(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  if (!options.all && options.seq_no == 0)
    throw failure(exit_code::usage, "say which: SEQ_NO, or --all");
  if (options.all)
    connect_projections(x)->status(options.name);
  std::uint64_t count = 0;
  if (!options.all) {
    auto letter = find_letter(x, options);
    if (letter["kind"] == "skipped")
      throw failure(exit_code::refused, "event "
                                          + std::to_string(options.seq_no)
                                          + " was skipped, which is for good");
    count = replay_one(x, options, letter["type"], letter["id"]);
  } else {
    // One entity after the other: each is one transaction of the program.
    std::string type;
    std::optional<std::string> id;
    for (;;) {
      auto found = x.run(
        "select d.type_name, d.entity_id from {schema}.dead_letter as d join "
        "{schema}.projection as p on p.name = d.name and p.version = d.version "
        "where d.name = $1 and d.kind <> 'skipped' and ($3::{id_type} is null "
        "or (d.type_name, d.entity_id) > ($2, $3::{id_type})) order by "
        "d.type_name, d.entity_id limit 1",
        {options.name, type, id});
      if (found.empty())
        break;
      type = found.text(0, 0);
      id = found.text(0, 1);
      count += replay_one(x, options, type, *id);
    }
  }
  if (how.json)
    std::printf("%s\n", json{{"replayed", count}}.dump().c_str());
  else
    std::printf("%s dead letters were replayed\n", grouped(count).c_str());
  return exit_code::done;
}

exit_code drop(const globals& how, const letter_options& options) {
  auto x = open_journal(how);
  auto letter = find_letter(x, options);
  confirm(how, "Forget the dead letter " + std::to_string(options.seq_no)
                 + " of " + visible(options.name));
  logged(x, "dead-letters drop", letter, [&] {
    if (!connect_projections(x)->drop(options.name, options.seq_no))
      throw failure(exit_code::not_found, "somebody has been faster");
  });
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
                        "  evented dead-letters list totals --json");
  verb->add_option("NAME", options->name, "The projection");
  verb->add_option("--after", options->after,
                   "Only events above this sequence number");
  verb->add_option("--limit", options->limit, "At most so many (100)")
    ->check(CLI::PositiveNumber);
  on(verb, chosen, options, list);
  auto add = [&](const char* name, const char* what, const std::string& example,
                 auto run) {
    verb = add_verb(*group, name, what, "  evented dead-letters " + example);
    verb->add_option("NAME", options->name, "The projection")->required();
    on(verb, chosen, options, run);
    return verb->add_option("SEQ_NO", options->seq_no, "The event");
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
    ->check(CLI::Range(1, 86'400));
  add("drop", "Forgets one; those behind it wait for a replay",
      "drop totals 4711 --yes", drop)
    ->required();
}

} // namespace evented::cli
