// evented: the command line for operators.

#include "core/text.hpp"
#include "core/verb.hpp"

#include <evented/error.hpp>
#include <evented/sql_error.hpp>

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

exit_code code_of(const error& e) {
  switch (e.code()) {
  case errc::unavailable:
  case errc::outcome_unknown:
    return exit_code::unreachable;
  case errc::incompatible:
    return exit_code::no_journal;
  case errc::invalid_options:
  case errc::invalid_id:
    return exit_code::usage;
  case errc::unknown_projection:
    return exit_code::not_found;
  case errc::not_now:
    return exit_code::refused;
  case errc::timed_out:
    return exit_code::timed_out;
  default:
    return exit_code::failed;
  }
}

int run(const globals& how, const action& chosen) {
  try {
    return static_cast<int>(chosen(how));
  } catch (const failure& e) {
    return report(how, e.code(), e.what());
  } catch (const sql_error& e) {
    auto& state = e.sqlstate();
    // What the server cannot read as a time or a number was typed in.
    if (state == "22007" || state == "22008")
      return report(how, exit_code::usage, e.what());
    if (state == "EV007")
      return report(how, exit_code::refused, e.what());
    auto hint = state == "42501" ? "; see the roles in docs/operations.md" : "";
    return report(how, exit_code::failed,
                  "the database says: " + std::string{e.what()} + " (" + state
                    + ")" + hint);
  } catch (const error& e) {
    return report(how, code_of(e), e.what());
  } catch (const std::exception& e) {
    return report(how, exit_code::failed, e.what());
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
  add_completion(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
  }
  return run(how, chosen);
}
