#include "journal.hpp"

#include "detail/conninfo.hpp"
#include "detail/schema.hpp"
#include "failure.hpp"
#include "postgres_store.hpp"
#include "text.hpp"

#include <evented/utf8.hpp>

namespace evented::cli {

namespace {

std::string meta(journal& x, const char* key) {
  auto found = x.run("select value from {schema}.meta where key = $1", {key});
  return found.empty() ? std::string{} : found.text(0, 0);
}

/// Reads what kind of journal this is, where there is one.
void look(journal& x) {
  auto found = x.db.run("select exists (select from pg_class as c join "
                        "pg_namespace as n on n.oid = c.relnamespace where "
                        "n.nspname = $1 and c.relname = 'meta')",
                        {x.options.schema});
  if (!found.flag(0, 0))
    return;
  auto text = meta(x, "schema_version");
  if (text.empty() || text.size() > 6
      || text.find_first_not_of("0123456789") != std::string::npos)
    throw failure(exit_code::no_journal, "schema \"" + x.options.schema
                                           + "\" is no journal of libevented");
  x.version = std::stoul(text);
  auto ids = meta(x, "ids");
  for (auto kind : {id_kind::uuid, id_kind::text, id_kind::bigint})
    if (ids == to_string(kind))
      x.options.ids = kind;
  auto payloads = meta(x, "payloads");
  for (auto kind : {codec::json, codec::binary})
    if (payloads == to_string(kind))
      x.options.payloads = kind;
}

} // namespace

// -- journal ------------------------------------------------------------------

std::string journal::sql(std::string_view text) const {
  return detail::fill_in(text, options);
}

std::uint64_t journal::frontier() {
  return static_cast<std::uint64_t>(
    run("select {schema}.frontier()").number(0, 0));
}

std::vector<std::string> journal::types() {
  // One look at the index per type.
  auto found = run("with recursive types as ("
                   "select min(type_name) as name from {schema}.event "
                   "union all "
                   "select (select min(e.type_name) from {schema}.event as e "
                   "where e.type_name > t.name) from types as t "
                   "where t.name is not null) "
                   "select name from types where name is not null");
  std::vector<std::string> result;
  for (int i = 0; i < found.size(); ++i)
    result.push_back(found.text(i, 0));
  return result;
}

entity_id journal::id(const std::string& text) const {
  auto found = parse_entity_id(options.ids, text);
  if (!found || !valid(*found))
    throw failure(exit_code::usage,
                  "\"" + visible(text) + "\" is no entity ID: this journal's "
                    + "are of the kind " + std::string{to_string(options.ids)});
  return *found;
}

// -- opening ------------------------------------------------------------------

journal_options options_of(const globals& how) {
  journal_options result;
  result.url = how.database;
  result.schema = how.schema;
  try {
    detail::check(result);
    // Also so that a mistake in the URL is one of the command line.
    detail::conninfo(result);
  } catch (const error& e) {
    throw failure(exit_code::usage, e.what());
  }
  return result;
}

journal connect(const globals& how) {
  auto options = options_of(how);
  journal result{options, database{options}};
  look(result);
  return result;
}

journal open_journal(const globals& how) {
  auto result = connect(how);
  auto newest = detail::migrations().size();
  auto name = "the journal in schema \"" + how.schema + "\"";
  if (result.version == 0)
    throw failure(exit_code::no_journal,
                  "there is no journal in schema \"" + how.schema
                    + "\" of this database; see evented migrate --help");
  if (result.version < newest)
    throw failure(exit_code::no_journal,
                  name + " has version " + std::to_string(result.version)
                    + ", this program needs " + std::to_string(newest)
                    + ": run evented migrate, or an older evented");
  if (result.version > newest)
    throw failure(exit_code::no_journal,
                  name + " has version " + std::to_string(result.version)
                    + ", this program knows " + std::to_string(newest)
                    + ": use a newer evented");
  if (result.db.run("select pg_is_in_recovery()").flag(0, 0))
    throw failure(exit_code::no_journal,
                  "this server is a standby, which does not see the locks of "
                  "writers; connect to the primary");
  return result;
}

std::unique_ptr<projection_session> connect_projections(const journal& x) {
  detail::pq::settings how{detail::conninfo(x.options), std::chrono::hours{24},
                           std::chrono::seconds{30}, false};
  return detail::make_projection_session(x.options, how,
                                         std::make_shared<detail::watchdog>());
}

void check_type_name(const std::string& name) {
  if (name.empty() || !valid_text(name))
    throw failure(exit_code::usage, "\"" + visible(name)
                                      + "\" cannot be the name of an entity "
                                        "type");
}

} // namespace evented::cli
