#include "detail/schema.hpp"

#include <cctype>
#include <evented_sql.hpp>
#include <iterator>

namespace evented::detail {

namespace {

/// The first makes version 1.
constexpr migration all_migrations[] = {
  {"journal", sql::m0001_journal},
  {"tags", sql::m0002_tags},
  {"projections", sql::m0003_projections},
  {"entities", sql::m0004_entities},
  {"event_shapes", sql::m0005_event_shapes},
  {"outbox", sql::m0006_outbox},
  {"outbox_lanes", sql::m0007_outbox_lanes},
  {"operations", sql::m0008_operations},
  {"append_check", sql::m0009_append_check},
  {"nodes", sql::m0010_nodes},
  {"append_event", sql::m0011_append_event},
  {"outbox_marks", sql::m0012_outbox_marks},
  {"lean_event", sql::m0013_lean_event},
};

constexpr std::size_t newest = std::size(all_migrations);

std::string_view payload_type(codec x) {
  return x == codec::json ? "jsonb" : "bytea";
}

/// Commits on success, rolls back on an exception. Everything that a pooler
/// might separate happens in one of these.
template <class F>
void in_transaction(pq::connection& db, F&& f) {
  db.exec("begin isolation level read committed");
  try {
    f();
    db.exec("commit");
  } catch (const connection_lost&) {
    throw;
  } catch (...) {
    db.exec("rollback");
    throw;
  }
}

std::string meta(pq::connection& db, const journal_options& options,
                 std::string_view key) {
  auto found = db.exec_params(
    fill_in("select value from {schema}.meta where key = $1", options), {key});
  return found.empty() ? std::string{} : std::string{pq::text(found[0][0])};
}

void set_meta(pq::connection& db, const journal_options& options,
              std::string_view key, std::string_view value) {
  db.exec_params(
    fill_in("insert into {schema}.meta (key, value) values ($1, $2) "
            "on conflict (key) do update set value = excluded.value",
            options),
    {key, value});
}

bool exists(pq::connection& db, const journal_options& options) {
  // Not to_regclass: it looks at a cache that waiting for an advisory lock does
  // not bring up to date, so it would overlook what another process has made.
  auto found = db.exec_params(
    "select exists (select from pg_class as c join pg_namespace as n "
    "on n.oid = c.relnamespace where n.nspname = $1 and c.relname = 'meta')",
    {options.schema});
  return pq::text(found[0][0]) == "t";
}

std::size_t version(pq::connection& db, const journal_options& options) {
  auto text = meta(db, options, "schema_version");
  auto bad = text.empty();
  for (auto c : text)
    bad = bad || std::isdigit(static_cast<unsigned char>(c)) == 0;
  if (bad)
    throw error(errc::incompatible, "schema \"" + options.schema
                                      + "\" is no journal of libevented");
  return std::stoul(text);
}

void check_server(pq::connection& db) {
  auto found
    = db.exec("select current_setting('server_version_num')::integer >= "
              "130000, current_setting('server_version'), "
              "pg_is_in_recovery()");
  if (pq::text(found[0][0]) != "t")
    throw error(errc::incompatible,
                "PostgreSQL 13 or newer is needed; this server is "
                  + std::string{pq::text(found[0][1])});
  if (pq::text(found[0][2]) == "t")
    throw error(errc::incompatible,
                "this server is a standby; open the journal on the primary");
}

void check_kind(pq::connection& db, const journal_options& options,
                std::string_view key, std::string_view wanted) {
  auto found = meta(db, options, key);
  if (found != wanted)
    throw error(errc::incompatible,
                "the journal in schema \"" + options.schema
                  + "\" was made with " + std::string{key} + " = " + found
                  + ", but " + std::string{wanted}
                  + " was asked for; use the same option, or another schema");
}

void check_sequence(pq::connection& db, const journal_options& options) {
  auto found = db.exec(
    fill_in("select seqcache, seqcycle from pg_sequence where seqrelid = "
            "'{schema}.event_seq_no_seq'::regclass",
            options));
  if (found.empty() || pq::text(found[0][0]) != "1"
      || pq::text(found[0][1]) != "f")
    throw error(errc::incompatible,
                "the sequence of \"" + options.schema
                  + "\".event must have CACHE 1 and NO CYCLE, or projections "
                    "lose events; ALTER SEQUENCE it back");
}

} // namespace

std::span<const migration> migrations() noexcept {
  return all_migrations;
}

std::string fill_in(std::string_view sql, const journal_options& options) {
  auto id_type = options.ids == id_kind::text
                   ? std::string{"text"}
                   : std::string{to_string(options.ids)};
  std::pair<std::string_view, std::string> names[] = {
    {"{schema}", "\"" + options.schema + "\""},
    // In "C", since a default collation may change with the operating system
    // and break the index.
    {"{id_column}", id_type == "text" ? "text collate \"C\"" : id_type},
    {"{id_type}", id_type},
    {"{payload_type}", std::string{payload_type(options.payloads)}},
    {"{payload_wire}", options.payloads == codec::json ? "text" : "bytea"},
  };
  std::string result;
  while (!sql.empty()) {
    auto brace = sql.find('{');
    result += sql.substr(0, brace);
    if (brace == std::string_view::npos)
      break;
    sql.remove_prefix(brace);
    auto size = std::size_t{0};
    for (auto& [name, value] : names) {
      if (sql.starts_with(name)) {
        result += value;
        size = name.size();
        break;
      }
    }
    if (size == 0) {
      result += '{';
      size = 1;
    }
    sql.remove_prefix(size);
  }
  return result;
}

void check(const journal_options& options) {
  auto fail
    = [](const std::string& what) { throw error(errc::invalid_options, what); };
  auto& name = options.schema;
  auto fine = !name.empty() && name.size() <= 63
              && std::isdigit(static_cast<unsigned char>(name.front())) == 0;
  for (auto c : name)
    fine
      = fine && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
  if (!fine)
    fail("schema: 1 to 63 characters of a-z, 0-9 and _, not beginning with a "
         "digit");
  if (options.writers == 0 || options.readers == 0)
    fail("writers and readers: at least 1 each");
  if (options.max_batch_commands == 0 || options.max_batch_bytes == 0
      || options.max_event_bytes == 0)
    fail("max_batch_commands, max_batch_bytes and max_event_bytes: at least 1");
  if (options.statement_timeout.count() <= 0
      || options.lock_timeout.count() <= 0
      || options.listener_timeout.count() <= 0
      || options.connect_timeout.count() <= 0
      || options.poll_interval.count() <= 0)
    fail("time limits and poll_interval: more than nothing");
  // Signs of life come every tenth of it.
  if (options.take_over < std::chrono::milliseconds{100})
    fail("take_over: at least 100 ms");
}

void open_schema(pq::connection& db, const journal_options& options) {
  check_server(db);
  // Most openings find everything in place and need no lock.
  if (!exists(db, options) || version(db, options) < newest) {
    in_transaction(db, [&] {
      // A big schema takes longer to migrate than a statement may run, and
      // the others wait for it.
      db.exec("set local statement_timeout = 0");
      db.exec("set local lock_timeout = 0");
      db.exec_params("select pg_advisory_xact_lock(hashtextextended($1, 0))",
                     {"evented migration " + options.schema});
      std::size_t at = 0;
      if (exists(db, options)) {
        at = version(db, options);
      } else {
        auto found = db.exec_params(
          "select from pg_namespace where nspname = $1", {options.schema});
        // Needs no privilege on the database where the schema is there.
        if (found.empty())
          db.exec(fill_in("create schema {schema}", options));
        db.exec(fill_in("create table {schema}.meta (key text collate \"C\" "
                        "primary key, value text not null)",
                        options));
        set_meta(db, options, "ids", to_string(options.ids));
        set_meta(db, options, "payloads", to_string(options.payloads));
      }
      for (; at < newest; ++at)
        db.exec(fill_in(all_migrations[at].sql, options));
      set_meta(db, options, "schema_version", std::to_string(at));
    });
  }
  if (auto found = version(db, options); found > newest)
    throw error(errc::incompatible,
                "the journal in schema \"" + options.schema + "\" has version "
                  + std::to_string(found) + ", this program knows "
                  + std::to_string(newest)
                  + "; update the program, it must not write there");
  check_kind(db, options, "ids", to_string(options.ids));
  check_kind(db, options, "payloads", to_string(options.payloads));
  check_sequence(db, options);
  db.exec(fill_in("select {schema}.repair_sequence()", options));
}

} // namespace evented::detail
