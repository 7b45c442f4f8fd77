#include "crate.hpp"

#include "detail/schema.hpp"
#include "event_pages.hpp"
#include "failure.hpp"
#include "tables.hpp"
#include "text.hpp"

#include <evented/entity_id.hpp>

namespace evented::cli {

namespace {

constexpr int page_size = 20'000;

journal_options place_of(const crate_options& how) {
  journal_options result;
  result.url = how.database;
  result.schema = how.schema;
  try {
    detail::check(result);
  } catch (const error& e) {
    throw failure(exit_code::usage, e.what());
  }
  return result;
}

std::string snake_case(std::string_view name) {
  auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (!upper(name[i])) {
      result += name[i];
      continue;
    }
    // HTTPError: the last one of a series begins a word.
    auto begins = i > 0
                  && (!upper(name[i - 1])
                      || (i + 1 < name.size() && name[i + 1] >= 'a'
                          && name[i + 1] <= 'z'));
    if (begins && result.back() != '_')
      result += '_';
    result += static_cast<char>(name[i] - 'A' + 'a');
  }
  return result;
}

/// 16 random bytes as PostgreSQL's binary format has them, or of a UUID.
uuid read_uuid(std::string_view bytes) {
  return uuid::parse(uuid_text(bytes)).value();
}

} // namespace

crate::crate(const crate_options& how) : how_(how), db_(place_of(how)) {
  auto found = db_.run(
    "select count(*) from information_schema.columns where table_schema = $1 "
    "and table_name = 'event' and (column_name, data_type) in (('seq_no', "
    "'bigint'), ('entity_id', 'uuid'), ('version', 'bigint'), ('type_name', "
    "'text'), ('event', 'jsonb'), ('metadata', 'jsonb'))",
    {how.schema});
  if (found.number(0, 0) != 6)
    throw failure(exit_code::no_journal,
                  "there is no table \"event\" of the Rust crate evented 0.2 "
                  "in schema \""
                    + how.schema + "\" of that database");
}

nlohmann::json crate::header() {
  auto found = db_.run("select coalesce(max(seq_no), 0) from \"" + how_.schema
                       + "\".event");
  return {{"evented_export", export_format},
          {"ids", "uuid"},
          {"payloads", "json"},
          {"crate", "evented 0.2"},
          {"last_number", static_cast<std::uint64_t>(found.number(0, 0))}};
}

void crate::read(const std::function<bool(std::string_view)>& f) {
  auto by_tag = "event ->> $2, event - $2";
  auto by_key
    = "case jsonb_typeof(event) when 'string' then event #>> '{}' when "
      "'object' then (select min(k) from jsonb_object_keys(event) as k having "
      "count(*) = 1) end, case jsonb_typeof(event) when 'string' then "
      "'{}'::jsonb when 'object' then (select min(v::text)::jsonb from "
      "jsonb_each(event) as x (k, v)) end";
  auto sql = "select seq_no, entity_id, version, type_name, "
             + std::string{how_.tag.empty() ? by_key : by_tag}
             + ", nullif(metadata, 'null') from \"" + how_.schema
             + "\".event where seq_no > $1::bigint and $2::text is not null "
               "order by seq_no limit "
             + std::to_string(page_size);
  std::int64_t after = 0;
  auto more = true;
  for (auto count = page_size; more && count == page_size;) {
    count = 0;
    db_.stream(sql, {after, how_.tag}, [&](const result& row) {
      ++count;
      after = read_int64(row.bytes(0, 0));
      if (!more)
        return;
      if (row.null(0, 4))
        throw failure(exit_code::fault,
                      "event " + std::to_string(after)
                        + " has no name; is it written with a tag (--tag)?");
      event_view x;
      x.seq_no = after;
      auto id = read_uuid(row.bytes(0, 1));
      x.id = to_string(id);
      x.slice = static_cast<std::int16_t>(slice_of(id));
      x.version = read_int64(row.bytes(0, 2));
      x.type = row.bytes(0, 3);
      auto name = how_.snake_case ? snake_case(row.bytes(0, 4))
                                  : std::string{row.bytes(0, 4)};
      x.name = name;
      x.schema_version = 1;
      // Nobody will ever repeat its append.
      auto append_id = uuid::v4();
      x.append_id = {reinterpret_cast<const char*>(append_id.bytes.data()),
                     append_id.bytes.size()};
      x.payload = row.bytes(0, 5).substr(1);
      if (!row.null(0, 6))
        x.metadata = row.bytes(0, 6).substr(1);
      std::string line;
      append_event(line, x, {});
      more = f(line);
    });
  }
}

} // namespace evented::cli
