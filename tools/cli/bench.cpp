#include "core/operation.hpp"
#include "core/progress.hpp"
#include "core/text.hpp"
#include "core/trial.hpp"
#include "core/verb.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

struct bench_options {
  unsigned seconds = 10;
};

std::string millis(const json& x) {
  return fmt::format("{:.2f} ms", x.get<double>());
}

void print(const json& found) {
  std::printf("PostgreSQL %s, fsync %s, synchronous_commit %s; measured from "
              "here, over one connection\n\n",
              found["server"].get<std::string>().c_str(),
              found["fsync"].get<std::string>().c_str(),
              found["synchronous_commit"].get<std::string>().c_str());
  table lines{{"", "per second", "median", "99 of 100 within"}};
  for (auto& x : found["figures"])
    lines.add(
      {x["what"].get<std::string>(),
       grouped(static_cast<std::uint64_t>(x["per_second"].get<double>())),
       millis(x["median_ms"]), millis(x["p99_ms"])});
  lines.print();
  std::puts("\nper second: round trips, commits, commands, entities, events. "
            "Applications append over several connections, many commands a "
            "commit: expect what the third line says, not the second.");
}

exit_code bench(const globals& how, const bench_options& options) {
  database db{options_of(how)};
  auto where = trial_schema(how);
  for (auto& left : other_trials(db))
    std::fprintf(stderr,
                 "evented: there is a schema %s, of an evented bench that runs "
                 "or was killed; if none runs: drop schema %s cascade\n",
                 left.c_str(), left.c_str());
  confirm(how, "Make the schema " + where.schema
                 + " in this database, write into it for "
                 + std::to_string(options.seconds)
                 + " s as fast as the server can, and drop it again");
  watch_interrupts();
  auto found = try_out(where, db, std::chrono::seconds{options.seconds});
  if (interrupted())
    return exit_code::interrupted;
  if (how.json)
    std::printf("%s\n", found.dump().c_str());
  else
    print(found);
  return exit_code::done;
}

} // namespace

void add_bench(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "bench",
    "Measures what a server can do, before anything relies on it: how long a "
    "commit takes, appends, loads and reads a second. Works in a schema of its "
    "own that it makes and drops; a journal that is there is not touched, but "
    "shares the server",
    "  evented bench\n"
    "  evented bench --seconds 60 --yes --json | jq '.figures[].per_second'");
  auto options = std::make_shared<bench_options>();
  verb->add_option("--seconds", options->seconds, "For how long")
    ->check(whole_number(1, 600))
    ->capture_default_str();
  on(verb, chosen, options, bench);
}

} // namespace evented::cli
