#include "core/failure.hpp"
#include "core/operation.hpp"
#include "core/verb.hpp"
#include "detail/conninfo.hpp"
#include "detail/schema.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::cli {

namespace {

struct migrate_options {
  bool dry_run = false;
  bool sql = false;
  std::string ids;
  std::string payloads;
};

/// Takes the kinds of a new journal from the command line; an old one has its
/// own.
void choose_kinds(journal& x, const migrate_options& options) {
  for (auto kind : {id_kind::uuid, id_kind::text, id_kind::bigint})
    if (options.ids == to_string(kind)) {
      if (x.version > 0 && x.options.ids != kind)
        throw failure(exit_code::usage,
                      "the journal's IDs are of the kind "
                        + std::string{to_string(x.options.ids)}
                        + ", which cannot be changed");
      x.options.ids = kind;
    }
  for (auto kind : {codec::json, codec::binary})
    if (options.payloads == to_string(kind)) {
      if (x.version > 0 && x.options.payloads != kind)
        throw failure(exit_code::usage,
                      "the journal's payloads are of the kind "
                        + std::string{to_string(x.options.payloads)}
                        + ", which cannot be changed");
      x.options.payloads = kind;
    }
}

exit_code migrate(const globals& how, const migrate_options& options) {
  auto x = connect(how);
  choose_kinds(x, options);
  auto all = detail::migrations();
  if (x.version > all.size())
    throw failure(exit_code::no_journal,
                  "the journal has version " + std::to_string(x.version)
                    + ", this program knows " + std::to_string(all.size())
                    + ": use a newer evented");
  auto pending = all.subspan(x.version);
  if (options.sql) {
    // For an administrator to read, or to run by hand.
    for (auto& step : pending)
      std::printf("%s\n", x.sql(step.sql).c_str());
    return exit_code::done;
  }
  nlohmann::json report{{"schema", how.schema},
                        {"from", x.version},
                        {"to", all.size()},
                        {"migrations", nlohmann::json::array()},
                        {"dry_run", options.dry_run}};
  for (auto& step : pending)
    report["migrations"].push_back(step.name);
  if (!options.dry_run) {
    detail::watchdog dog;
    auto where = x.options;
    // A migration takes the time it takes.
    detail::pq::settings settings{detail::conninfo(where),
                                  std::chrono::hours{24},
                                  std::chrono::seconds{30}, false};
    detail::pq::connection db{settings, dog};
    detail::open_schema(db, where);
    if (!pending.empty())
      operation{x, "migrate", report}.done({});
  }
  if (how.json) {
    std::printf("%s\n", report.dump().c_str());
    return exit_code::done;
  }
  if (pending.empty())
    std::printf("Nothing to do: the journal in schema \"%s\" has version "
                "%zu.\n",
                how.schema.c_str(), x.version);
  for (std::size_t i = 0; i < pending.size(); ++i)
    std::printf("%s version %zu: %s\n", options.dry_run ? "would make" : "made",
                x.version + i + 1, std::string{pending[i].name}.c_str());
  return exit_code::done;
}

} // namespace

void add_migrate(CLI::App& app, action& chosen) {
  auto* verb = add_verb(app, "migrate",
                        "Makes a journal, or brings its schema up to date",
                        "  evented migrate --dry-run\n"
                        "  evented migrate --dry-run --sql | less\n"
                        "  evented --schema orders migrate --ids text");
  auto options = std::make_shared<migrate_options>();
  auto* dry = verb->add_flag("--dry-run", options->dry_run,
                             "Only tells what would be done");
  verb->add_flag("--sql", options->sql, "Prints the statements")->needs(dry);
  verb
    ->add_option("--ids", options->ids,
                 "The kind of a new journal's entity IDs (uuid)")
    ->check(CLI::IsMember({"uuid", "text", "bigint"}));
  verb
    ->add_option("--payloads", options->payloads,
                 "How a new journal's payloads are written (json)")
    ->check(CLI::IsMember({"json", "binary"}));
  on(verb, chosen, options, migrate);
}

} // namespace evented::cli
