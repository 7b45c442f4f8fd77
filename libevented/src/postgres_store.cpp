#include "postgres_store.hpp"

#include "detail/conninfo.hpp"
#include "detail/schema.hpp"

namespace evented::detail {

postgres_store::postgres_store(const journal_options& options)
  : options_(options), shown_(options) {
  shown_.url = secret{};
  shown_.password = secret{};
  shown_.listen_url = secret{};
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

std::unique_ptr<projection_session>
postgres_store::connect_projections(std::chrono::milliseconds limit) {
  auto how = settings();
  how.statement_timeout
    = limit.count() > 0 ? limit : options_.take_over * 2 / 5;
  return make_projection_session(shown_, how, dog_);
}

std::unique_ptr<membership_session> postgres_store::connect_membership() {
  return make_membership_session(shown_, settings(), dog_);
}

std::unique_ptr<watch_session> postgres_store::connect_watch() {
  auto listens = options_.wake_up == wake_up::notify;
  auto how = settings();
  if (how.pooled && listens) {
    // LISTEN belongs to a server connection, which a pooler would change.
    listens = !options_.listen_url.empty();
    if (listens) {
      auto direct = options_;
      direct.url = options_.listen_url;
      direct.host.clear();
      direct.port = 0;
      how.conninfo = conninfo(direct);
      how.pooled = false;
    }
  }
  return make_watch_session(shown_, how, dog_, listens);
}

} // namespace evented::detail
