#include "core/event_pages.hpp"
#include "core/failure.hpp"
#include "core/line_file.hpp"
#include "core/operation.hpp"
#include "core/progress.hpp"
#include "core/saved.hpp"
#include "core/tables.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

struct export_options {
  std::string file;
  bool resume = false;
};

export_state read_state(const std::string& text, const journal& x) {
  auto result = read_export_state(text);
  if (result.schema != x.options.schema)
    throw failure(exit_code::refused,
                  "that file was begun with the journal in schema \""
                    + visible(result.schema) + "\"");
  return result;
}

/// Writes the events that are not in the file yet.
void write_events(journal& x, line_writer& to, export_state& state) {
  using clock = std::chrono::steady_clock;
  auto rows = x.run("select greatest(reltuples, 0)::bigint from pg_class "
                    "where oid = '{schema}.event'::regclass")
                .number(0, 0);
  progress bar{"events", static_cast<std::uint64_t>(rows)};
  bar.add(state.events);
  event_pages pages{x, {}, state.after, state.up_to};
  auto saved = clock::now();
  auto more = true;
  while (more && !interrupted()) {
    more = pages.next([&](const event_view& e) {
      append_event(to.buffer(), e, x.options);
      to.buffer() += '\n';
      to.flush_some();
      state.after = static_cast<std::uint64_t>(e.seq_no);
      ++state.events;
      bar.add();
    });
    if (clock::now() - saved > std::chrono::seconds{1}) {
      to.save(state.dump());
      saved = clock::now();
    }
  }
  if (!more)
    state.after = state.up_to;
  to.save(state.dump());
}

exit_code run(const globals& how, const export_options& options) {
  auto x = open_journal(how);
  watch_interrupts();
  export_state state;
  std::unique_ptr<line_writer> to;
  if (options.resume) {
    std::string text;
    to = std::make_unique<line_writer>(options.file, text);
    state = read_state(text, x);
  } else {
    to = std::make_unique<line_writer>(options.file);
    state.up_to = x.frontier();
    state.schema = x.options.schema;
    to->buffer() += export_header(x, state.up_to);
    to->save(state.dump());
  }
  progress clock{"", 0};
  auto before = state.events;
  json counts;
  logged(x, "export", {{"file", options.file}, {"up_to", state.up_to}}, [&] {
    write_events(x, *to, state);
    if (interrupted())
      throw failure(exit_code::interrupted,
                    "this was not all; go on with --resume");
    counts = write_tables(x, *to, state.up_to);
    counts["events"] = state.events;
    to->buffer() += json{{"end", counts}}.dump() + '\n';
    to->finish();
    return counts.dump();
  });
  auto seconds = clock.seconds();
  auto rate
    = static_cast<double>(state.events - before) / std::max(seconds, 1e-6);
  auto waiting = x.run("select count(*) from {schema}.outbox").number(0, 0);
  // Where the export itself goes to the standard output, all else does not.
  auto* out = options.file == "-" ? stderr : stdout;
  if (how.json) {
    counts["seconds"] = seconds;
    counts["events_per_second"] = rate;
    counts["outbox_not_exported"] = waiting;
    std::fprintf(out, "%s\n", counts.dump().c_str());
    return exit_code::done;
  }
  std::fprintf(out, "%s events in %.1f s, %s events/s\n",
               grouped(state.events).c_str(), seconds,
               grouped(static_cast<std::uint64_t>(rate)).c_str());
  if (waiting > 0)
    std::fprintf(stderr,
                 "evented: %s messages wait in the outbox, which is not "
                 "exported\n",
                 grouped(static_cast<std::uint64_t>(waiting)).c_str());
  return exit_code::done;
}

} // namespace

void add_export(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "export",
    "Writes the journal up to now into a file, one JSON object a line: events, "
    "horizons, snapshots and remembered commands, but no projections and no "
    "outbox. Never overwrites",
    "  evented export journal.jsonl.zst\n"
    "  evented export journal.jsonl.zst --resume\n"
    "  evented export - | gzip > journal.jsonl.gz");
  auto options = std::make_shared<export_options>();
  verb
    ->add_option("FILE", options->file,
                 "Compressed where its name ends in .zst; - for the standard "
                 "output")
    ->required();
  verb->add_flag("--resume", options->resume,
                 "Goes on with an export that was interrupted");
  on(verb, chosen, options, run);
}

} // namespace evented::cli
