#include "importer.hpp"

#include "detail/conninfo.hpp"
#include "detail/schema.hpp"
#include "failure.hpp"
#include "saved.hpp"
#include "tables.hpp"
#include "text.hpp"

#include <evented/sql_error.hpp>

#include <algorithm>
#include <chrono>

namespace evented::cli {

namespace {

using nlohmann::json;

constexpr std::uint64_t batch_lines = 20'000;
constexpr std::size_t batch_bytes = 16 * 1024 * 1024;

/// Makes a journal of the kinds that the header names, or checks that it is
/// there.
journal open_target(const globals& how, const json& header) {
  auto x = connect(how);
  auto ids = header["ids"].get<std::string>();
  auto payloads = header["payloads"].get<std::string>();
  if (x.version == 0) {
    for (auto kind : {id_kind::uuid, id_kind::text, id_kind::bigint})
      if (ids == to_string(kind))
        x.options.ids = kind;
    for (auto kind : {codec::json, codec::binary})
      if (payloads == to_string(kind))
        x.options.payloads = kind;
    detail::watchdog dog;
    detail::pq::connection db{{detail::conninfo(x.options),
                               std::chrono::hours{24}, std::chrono::seconds{30},
                               false},
                              dog};
    detail::open_schema(db, x.options);
  }
  auto found = open_journal(how);
  if (ids != to_string(found.options.ids)
      || payloads != to_string(found.options.payloads))
    throw failure(exit_code::refused, "the file is of a journal with IDs "
                                        + visible(ids) + " and payloads "
                                        + visible(payloads)
                                        + ", this one is of another kind");
  return found;
}

} // namespace

importer::importer(const globals& how, const json& header, bool resume)
  : x_(open_target(how, check_header(header))), header_(header) {
  prepare(resume);
}

void importer::prepare(bool resume) {
  // So that a batch stays in memory.
  x_.db.run("set temp_buffers = '64MB'");
  x_.db.run("create temporary table incoming (line jsonb not null)");
  auto found = x_.run("select value from {schema}.meta where key = 'import'");
  if (!found.empty()) {
    state_ = json::parse(found.text(0, 0));
    if (!resume)
      throw failure(exit_code::refused,
                    "an import into this journal was interrupted: go on with "
                    "--resume, or drop the schema");
    if (state_["header"] != header_)
      throw failure(exit_code::refused,
                    "the import that was interrupted is of another file");
    return;
  }
  auto full = x_.run("select exists (select from {schema}.event) or exists "
                     "(select from {schema}.horizon) or exists (select from "
                     "{schema}.snapshot) or exists (select from "
                     "{schema}.command) or {schema}.last_number() > 0");
  if (full.flag(0, 0))
    throw failure(exit_code::refused,
                  "the journal in schema \"" + x_.options.schema
                    + "\" is not empty, and nothing is overwritten");
  if (resume)
    throw failure(exit_code::refused, "there is no import to go on with");
  state_
    = {{"header", header_}, {"lines", 0},     {"last_number", 0}, {"events", 0},
       {"horizons", 0},     {"snapshots", 0}, {"commands", 0}};
  x_.db.in_transaction([&] { save(); });
}

void importer::save() {
  x_.run("insert into {schema}.meta (key, value) values ('import', $1) on "
         "conflict (key) do update set value = excluded.value",
         {state_.dump()});
}

void importer::add(std::string_view line) {
  ++lines_;
  if (lines_ <= state_["lines"].get<std::uint64_t>())
    return;
  // As CSV with delimiters that JSON cannot have in it.
  batch_ += line;
  batch_ += '\n';
  ++pending_;
  if (pending_ >= batch_lines || batch_.size() >= batch_bytes)
    flush();
}

void importer::flush() {
  if (pending_ == 0)
    return;
  try {
    insert();
  } catch (const sql_error& e) {
    // Classes 22 and 23: no data that the journal could hold.
    if (!e.sqlstate().starts_with("22") && !e.sqlstate().starts_with("23"))
      throw;
    throw failure(exit_code::fault,
                  "the lines up to " + std::to_string(lines_ + 1)
                    + " of the file hold something that is none of "
                      "evented export's: "
                    + e.what());
  }
  batch_.clear();
  pending_ = 0;
}

void importer::insert() {
  x_.db.in_transaction([&] {
    // Nobody else draws numbers meanwhile.
    x_.run("lock table {schema}.event in exclusive mode");
    auto last = state_["last_number"].get<std::int64_t>();
    if (x_.run("select {schema}.highest_seq_no()").number(0, 0) != last)
      throw failure(exit_code::refused,
                    "somebody else has written into this journal since the "
                    "import began; drop the schema and begin anew");
    // No rollback takes back what a batch that failed has set.
    set_sequence(last);
    x_.run("select {schema}.hold_frontier()");
    x_.db.run("truncate pg_temp.incoming");
    x_.db.begin_copy("copy pg_temp.incoming from stdin (format csv, delimiter "
                     "e'\\x02', quote e'\\x01')");
    x_.db.put(batch_);
    x_.db.end_copy();
    insert_events();
    insert_rows("horizon", "horizons");
    insert_rows("snapshot", "snapshots");
    insert_rows("command", "commands");
    state_["lines"] = lines_;
    save();
  });
}

void importer::insert_events() {
  // The table itself does not look at these.
  auto odd = x_.run(
    "select line ->> 'seq_no' from pg_temp.incoming where line ? 'seq_no' and "
    "((line ->> 'version')::bigint < 1 or (line ->> 'slice')::smallint not "
    "between 0 and 1023) limit 1");
  if (!odd.empty())
    throw failure(exit_code::fault,
                  "the event with seq_no " + odd.text(0, 0)
                    + " of the file has a version or a slice that no event "
                      "has; a version is at least 1, a slice 0 to 1023");
  auto payload = x_.options.payloads == codec::json
                   ? "line -> 'event'"
                   : "decode(line ->> 'event', 'base64')";
  auto events = x_.run(
    "insert into {schema}.event (seq_no, type_name, entity_id, version, slice, "
    "event_name, schema_version, append_id, created_at, event, metadata, tags) "
    "overriding system value select (line ->> 'seq_no')::bigint, line ->> "
    "'type', (line ->> 'id')::{id_type}, (line ->> 'version')::bigint, (line "
    "->> 'slice')::smallint, line ->> 'name', (line ->> "
    "'schema_version')::integer, (line ->> 'append_id')::uuid, coalesce((line "
    "->> 'created_at')::timestamptz, now()), "
    + std::string{payload}
    + ", line -> 'metadata', case when line ? 'tags' then array(select "
      "jsonb_array_elements_text(line -> 'tags')) end from pg_temp.incoming "
      "where line ? 'seq_no'");
  state_["events"] = state_["events"].get<std::uint64_t>() + events.affected();
  if (events.affected() == 0)
    return;
  x_.run("insert into {schema}.event_tag (type_name, tag, seq_no) select "
         "distinct line ->> 'type', jsonb_array_elements_text(line -> 'tags'), "
         "(line ->> 'seq_no')::bigint from pg_temp.incoming where line ? "
         "'seq_no' and line ? 'tags'");
  x_.run("insert into {schema}.event_shape (type_name, event_name, "
         "schema_version) select distinct line ->> 'type', line ->> 'name', "
         "(line ->> 'schema_version')::integer from pg_temp.incoming where "
         "line ? 'seq_no' on conflict do nothing");
  auto range = x_.run("select min((line ->> 'seq_no')::bigint), max((line ->> "
                      "'seq_no')::bigint) from pg_temp.incoming where line ? "
                      "'seq_no'");
  if (range.number(0, 0) <= state_["last_number"].get<std::int64_t>())
    throw failure(exit_code::fault,
                  "the events of the file are not in the order of seq_no");
  state_["last_number"] = range.number(0, 1);
  set_sequence(range.number(0, 1));
}

void importer::set_sequence(std::int64_t last) {
  x_.run("select setval('{schema}.event_seq_no_seq'::regclass, "
         "greatest($1::bigint, 1), $1::bigint > 0)",
         {last});
}

void importer::insert_rows(const char* table, const char* key) {
  std::string name = table;
  auto done = x_.run("insert into {schema}." + name
                     + " select r.* from pg_temp.incoming cross join lateral "
                       "jsonb_populate_record(null::{schema}."
                     + name + ", line -> '" + name + "') as r where line ? '"
                     + name + "'");
  state_[key] = state_[key].get<std::uint64_t>() + done.affected();
}

json importer::finish(const json& end) {
  flush();
  for (auto* key : {"events", "horizons", "snapshots", "commands"})
    if (!end.is_null() && (!end.contains(key) || end[key] != state_[key]))
      throw failure(exit_code::fault,
                    "the file is damaged: it should have had other "
                      + std::string{key} + "; drop the schema and begin anew");
  json counts;
  x_.db.in_transaction([&] {
    x_.run("lock table {schema}.event in exclusive mode");
    // What was trimmed or archived while the file was written.
    x_.run("set local evented.allow_change = 'on'");
    x_.run(
      "with gone as (delete from {schema}.event as e using {schema}.horizon as "
      "h where e.type_name = h.type_name and e.entity_id = h.entity_id and "
      "(h.archived or e.version <= h.version) returning e.type_name, e.seq_no, "
      "e.tags) delete from {schema}.event_tag as t using gone as g where "
      "t.type_name = g.type_name and t.tag = any (g.tags) and t.seq_no = "
      "g.seq_no");
    auto last = std::max(header_["last_number"].get<std::int64_t>(),
                         state_["last_number"].get<std::int64_t>());
    set_sequence(last);
    x_.run("delete from {schema}.meta where key = 'import'");
  });
  for (auto* key : {"events", "horizons", "snapshots", "commands"})
    counts[key] = state_[key];
  // The planner knows nothing of it yet.
  for (auto* table : {"event", "event_tag", "snapshot", "command"})
    x_.run("analyze {schema}." + std::string{table});
  return counts;
}

} // namespace evented::cli
