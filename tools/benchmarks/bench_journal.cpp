#include "bench_journal.hpp"

#include "database.hpp"

#include <evented/store.hpp>

#include <exception>

namespace bench {

evented::uuid id_of(std::uint64_t n) {
  auto digits = std::to_string(n * 40353607 % 900000000000 + 100000000000);
  return evented::uuid::parse("00000000-0000-4000-8000-" + digits).value();
}

bench_journal::~bench_journal() {
  try {
    if (!url_.empty())
      drop();
  } catch (const std::exception&) {
    // The next run does it.
  }
}

evented::journal_options bench_journal::options() const {
  evented::journal_options result;
  result.url = url_;
  result.schema = schema_;
  return result;
}

void bench_journal::fill(const std::string& url, std::uint64_t entities,
                         std::uint64_t versions) {
  url_ = url;
  drop();
  evented::open_store(options());
  connection db{url};
  // Slices do not matter to entities.
  db.run("insert into " + schema_
         + ".event (type_name, entity_id, version, slice, event_name, "
           "schema_version, append_id, event, metadata) "
           "select 'tally', ('00000000-0000-4000-8000-' || (entity::bigint * "
           "40353607 % 900000000000 + 100000000000))::uuid, version, 0, "
           "'added', 1, gen_random_uuid(), '{\"inc\": 1}', '{\"unix_ms\": "
           "1700000000000}' from generate_series(1, "
         + std::to_string(versions) + ") as version, generate_series(0, "
         + std::to_string(entities) + " - 1) as entity");
  db.run("vacuum analyze " + schema_ + ".event");
  checkpoint(url);
}

void bench_journal::drop() {
  connection{url_}.run("drop schema if exists " + schema_ + " cascade");
}

} // namespace bench
