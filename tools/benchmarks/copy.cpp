#include "copy.hpp"

#include "bench_journal.hpp"

#include <fmt/format.h>

#include <iterator>
#include <libpq-fe.h>
#include <memory>
#include <random>
#include <stdexcept>

namespace bench {

double copy_events(const std::string& url, const std::string& schema,
                   std::chrono::milliseconds duration,
                   std::vector<std::uint64_t>& versions) {
  using steady = std::chrono::steady_clock;
  std::unique_ptr<PGconn, decltype(&PQfinish)> db{PQconnectdb(url.c_str()),
                                                  &PQfinish};
  auto check = [&](PGresult* result, ExecStatusType expected) {
    auto status = PQresultStatus(result);
    PQclear(result);
    if (status != expected)
      throw std::runtime_error(PQerrorMessage(db.get()));
  };
  std::vector<std::string> ids;
  for (std::uint64_t i = 0; i < versions.size(); ++i)
    ids.push_back(to_string(id_of(i)));
  std::mt19937 random;
  std::uint64_t rows = 0;
  std::string buf;
  auto begin = steady::now();
  check(PQexec(db.get(),
               ("copy " + schema
                + ".event (type_name, entity_id, version, slice, event_name, "
                  "schema_version, append_id, event, metadata) from stdin")
                 .c_str()),
        PGRES_COPY_IN);
  while (steady::now() - begin < duration) {
    buf.clear();
    for (auto i = 0; i < 128; ++i, ++rows) {
      auto entity = random() * ids.size() >> 32;
      fmt::format_to(std::back_inserter(buf),
                     "tally\t{}\t{}\t{}\tadded\t1\t{:08x}-0000-4000-8000-"
                     "{:012x}\t{{\"inc\": 1}}\t{{\"unix_ms\": "
                     "1700000000000}}\n",
                     ids[entity], ++versions[entity], entity % 1024, random(),
                     rows);
    }
    if (PQputCopyData(db.get(), buf.data(), static_cast<int>(buf.size())) != 1)
      throw std::runtime_error(PQerrorMessage(db.get()));
  }
  PQputCopyEnd(db.get(), nullptr);
  check(PQgetResult(db.get()), PGRES_COMMAND_OK);
  return static_cast<double>(rows)
         / std::chrono::duration<double>(steady::now() - begin).count();
}

} // namespace bench
