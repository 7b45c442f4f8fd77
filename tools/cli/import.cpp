#include "core/crate.hpp"
#include "core/failure.hpp"
#include "core/importer.hpp"
#include "core/line_file.hpp"
#include "core/operation.hpp"
#include "core/progress.hpp"
#include "core/saved.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

struct import_options {
  std::string file;
  bool resume = false;
  bool crate = false;
  crate_options from;
};

exit_code report(const globals& how, json counts, double seconds) {
  auto events = counts["events"].get<std::uint64_t>();
  counts["seconds"] = seconds;
  if (how.json)
    std::printf("%s\n", counts.dump().c_str());
  else
    std::printf("%s events in %.1f s, %s events/s; evented verify tells "
                "whether all is well\n",
                grouped(events).c_str(), seconds,
                grouped(static_cast<std::uint64_t>(static_cast<double>(events)
                                                   / std::max(seconds, 1e-6)))
                  .c_str());
  return exit_code::done;
}

[[noreturn]] void stop(importer& to) {
  to.suspend();
  throw failure(exit_code::interrupted,
                "this was not all; go on with --resume");
}

/// Takes all lines but the first, and returns what the last one says.
json take_lines(line_reader& from, importer& to, progress& bar,
                const std::string& file) {
  std::string_view line;
  json end;
  while (from.next(line)) {
    if (!end.is_null())
      throw failure(exit_code::fault,
                    "there is something behind the end of " + file);
    end = read_end(line);
    if (end.is_null())
      to.add(line);
    bar.add();
    if (interrupted())
      stop(to);
  }
  if (end.is_null())
    throw failure(exit_code::fault,
                  file + " is not whole: its last line is missing");
  return end;
}

exit_code import_file(const globals& how, const import_options& options) {
  line_reader from{options.file};
  std::string_view line;
  if (!from.next(line))
    throw failure(exit_code::usage, options.file + " is empty");
  importer to{how, read_json(line), options.resume};
  progress bar{"lines", 0};
  json counts;
  logged(to.target(), "import", {{"file", options.file}}, [&] {
    counts = to.finish(take_lines(from, to, bar, options.file));
    return counts.dump();
  });
  return report(how, counts, bar.seconds());
}

exit_code import_crate(const globals& how, import_options options) {
  if (options.from.database.empty())
    options.from.database = how.database;
  crate from{options.from};
  importer to{how, from.header(), options.resume};
  progress bar{"events", 0};
  json counts;
  logged(to.target(), "import",
         {{"crate", "evented 0.2"}, {"schema", options.from.schema}}, [&] {
           from.read([&](std::string_view line) {
             to.add(line);
             bar.add();
             return !interrupted();
           });
           if (interrupted())
             stop(to);
           counts = to.finish(nullptr);
           return counts.dump();
         });
  return report(how, counts, bar.seconds());
}

exit_code run(const globals& how, const import_options& options) {
  if (options.crate == !options.file.empty())
    throw failure(exit_code::usage, "say what to import: FILE, or --crate");
  watch_interrupts();
  return options.crate ? import_crate(how, options) : import_file(how, options);
}

} // namespace

void add_import(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "import",
    "Puts what evented export has written into an empty journal, which is made "
    "where there is none; or the events of the Rust crate evented 0.2",
    "  evented --schema copy import journal.jsonl.zst\n"
    "  evented import journal.jsonl.zst --resume\n"
    "  evented import --crate --crate-schema public --snake-case");
  auto options = std::make_shared<import_options>();
  verb->add_option("FILE", options->file, "The file, compressed or not");
  verb->add_flag("--resume", options->resume,
                 "Goes on with an import that was interrupted");
  auto* from = verb->add_flag("--crate", options->crate,
                              "Reads the tables of the Rust crate");
  verb
    ->add_option("--crate-database", options->from.database,
                 "Where they are, unless in the same database")
    ->type_name("URL")
    ->needs(from);
  verb
    ->add_option("--crate-schema", options->from.schema,
                 "The schema that they are in (public)")
    ->needs(from);
  verb
    ->add_option("--tag", options->from.tag,
                 "The member that holds an event's name, where the crate's "
                 "events are enums with #[serde(tag = ..)]")
    ->needs(from);
  verb
    ->add_flag("--snake-case", options->from.snake_case,
               "Makes item_added of ItemAdded, as C++ has it")
    ->needs(from);
  on(verb, chosen, options, run);
}

} // namespace evented::cli
