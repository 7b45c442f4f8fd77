#include "core/verb.hpp"

namespace evented::cli {

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

} // namespace

void add_everything(CLI::App& app, globals& how, action& chosen) {
  app.description(about);
  app.name("evented");
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
}

} // namespace evented::cli
