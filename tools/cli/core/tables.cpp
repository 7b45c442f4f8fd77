#include "tables.hpp"

#include "progress.hpp"

#include <evented/entity_id.hpp>

#include <nlohmann/json.hpp>

namespace evented::cli {

namespace {

using nlohmann::json;

struct exported_table {
  const char* name;
  const char* key;
  /// Which rows belong to what was exported; x is the row, $1 the last number.
  const char* condition;
};

constexpr exported_table tables[] = {
  {"horizon", "horizons", "true"},
  {"snapshot", "snapshots",
   "exists (select from {schema}.event as e where e.type_name = x.type_name "
   "and e.entity_id = x.entity_id and e.version = x.version and e.seq_no <= "
   "$1::bigint) or exists (select from {schema}.horizon as h where h.type_name "
   "= x.type_name and h.entity_id = x.entity_id and h.version >= x.version)"},
  {"command", "commands",
   "case when x.seq_no > 0 then x.seq_no <= $1::bigint else x.version = 0 or "
   "exists (select from {schema}.event as e where e.type_name = x.type_name "
   "and e.entity_id = x.entity_id and e.version = x.version and e.seq_no <= "
   "$1::bigint) or exists (select from {schema}.horizon as h where h.type_name "
   "= x.type_name and h.entity_id = x.entity_id and h.version >= x.version) "
   "end"},
};

} // namespace

std::string export_header(journal& x, std::uint64_t up_to) {
  return json{
           {"evented_export", export_format},
           {"ids", to_string(x.options.ids)},
           {"payloads", to_string(x.options.payloads)},
           {"schema_version", x.version},
           {"up_to", up_to},
           {"last_number", x.run("select {schema}.last_number()").number(0, 0)}}
           .dump()
         + '\n';
}

json write_tables(journal& x, line_writer& to, std::uint64_t up_to) {
  json counts;
  // One look at all of them: an operator may trim meanwhile.
  x.db.run("begin isolation level repeatable read read only");
  for (auto& table : tables) {
    std::uint64_t count = 0;
    std::string name = table.name;
    x.db.stream(x.sql("select jsonb_build_object('" + name
                      + "', to_jsonb(x))::text from {schema}." + name
                      + " as x where $1::bigint >= 0 and (" + table.condition
                      + ")"),
                {up_to}, [&](const result& row) {
                  to.buffer() += row.bytes(0, 0);
                  to.buffer() += '\n';
                  to.flush_some();
                  ++count;
                });
    counts[table.key] = count;
  }
  x.db.run("commit");
  return counts;
}

} // namespace evented::cli
