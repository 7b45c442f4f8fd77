// evented: the command line for operators.

#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <exception>

using namespace evented;
using namespace evented::cli;

namespace {

constexpr const char* about
  = "Looks at and looks after a journal of libevented.\n\n"
    "The database is a URL or a libpq connection string: --database, or "
    "better EVENTED_DATABASE_URL, since other users of the machine can see "
    "command lines. A password is best kept in ~/.pgpass or PGPASSFILE.";

constexpr const char* codes
  = "Exit codes: 0 done, 1 a fault was found, 2 usage, 3 database out of "
    "reach, 4 no journal that this program can use, 5 refused, 6 not found, "
    "7 timed out, 8 failed.\n\n"
    "Examples:\n"
    "  evented status\n"
    "  evented events --type account --last 20\n"
    "  evented projection list --json\n"
    "  evented verify";

int report(const globals& how, exit_code code, const std::string& what) {
  if (how.json) {
    nlohmann::json x{{"error", what}, {"code", static_cast<int>(code)}};
    auto text
      = x.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::fprintf(stderr, "%s\n", text.c_str());
  } else {
    std::fprintf(stderr, "evented: %s\n", visible(what).c_str());
  }
  return static_cast<int>(code);
}

int run(const globals& how, const action& chosen) {
  try {
    return static_cast<int>(chosen(how));
  } catch (...) {
    auto why = explain(std::current_exception());
    return report(how, why.code(), why.what());
  }
}

} // namespace

int main(int argc, char** argv) {
  // Who reads our output may stop reading it.
  std::signal(SIGPIPE, SIG_DFL);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("evented"));
  spdlog::set_pattern("evented: %l: %v");

  globals how;
  action chosen;
  CLI::App app{about, "evented"};
  app.footer(codes);
  app.require_subcommand(1);
  app
    .add_option("--database", how.database,
                "Where the database is; a password in it is never shown")
    ->envname("EVENTED_DATABASE_URL")
    ->type_name("URL");
  app.add_option("--schema", how.schema, "The schema that holds the journal")
    ->envname("EVENTED_SCHEMA")
    ->type_name("NAME")
    ->capture_default_str();
  app.add_flag("--json", how.json, "Writes JSON, for programs");
  app.add_flag("--yes", how.yes, "Does not ask before it changes something");
  app.set_version_flag("--version", EVENTED_VERSION);
  add_status(app, chosen);
  add_migrate(app, chosen);
  add_nodes(app, chosen);
  add_events(app, chosen);
  add_entity(app, chosen);
  add_projection(app, chosen);
  add_dead_letters(app, chosen);
  add_verify(app, chosen);
  add_export(app, chosen);
  add_import(app, chosen);
  add_archive(app, chosen);
  add_trim(app, chosen);
  add_serve(app, chosen);
  add_bench(app, chosen);
  add_completion(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
  }
  return run(how, chosen);
}
