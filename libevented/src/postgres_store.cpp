#include "postgres_store.hpp"

#include "detail/conninfo.hpp"
#include "detail/schema.hpp"

namespace evented::detail {

postgres_store::postgres_store(const journal_options& options)
  : options_(options), shown_(options) {
  shown_.url = secret{};
  shown_.password = secret{};
}

pq::settings postgres_store::settings() const {
  return {conninfo(options_), options_.statement_timeout, options_.lock_timeout,
          options_.pooler == pooler::transaction};
}

void postgres_store::open() {
  auto how = settings();
  // A migration takes the time it takes: the watchdog is for appends.
  how.statement_timeout = std::chrono::hours{24};
  pq::connection db{how, *dog_};
  open_schema(db, options_);
}

std::unique_ptr<store_session> postgres_store::connect() {
  return make_postgres_session(shown_, settings(), dog_);
}

} // namespace evented::detail
