#include "detail/arrays.hpp"
#include "detail/schema.hpp"
#include "postgres_store.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unistd.h>

namespace evented::detail {

namespace {

/// Returns what an operator recognises this process by.
std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0)
    name = {'?'};
  return std::string{name.data()} + ":" + std::to_string(::getpid());
}

class postgres_watch : public watch_session {
public:
  postgres_watch(const journal_options& options, const pq::settings& how,
                 std::shared_ptr<watchdog> dog, bool listens)
    : options_(options),
      dog_(std::move(dog)),
      db_(how, *dog_),
      // PostgreSQL takes no longer name. Journals that share one wake each
      // other up for nothing.
      channel_(("evented_" + options.schema).substr(0, 63)),
      host_(host_name()),
      listens_(listens) {
    auto name = [this](const char* key, const std::string& sql) {
      db_.prepare(key, fill_in(sql, options_));
    };
    name("evented_look",
         "select coalesce(pg_sequence_last_value("
         "'{schema}.event_seq_no_seq'::regclass), 0), {schema}.frontier()");
    // Neither of these is worth an fsync: what a crash of the server takes
    // back, nobody is there to miss. Set in the same statement, so that it
    // holds behind a pooler, too.
    name("evented_announce", "select set_config('synchronous_commit', 'off', "
                             "true), pg_notify($1, '')");
    name("evented_heartbeat",
         "select set_config('synchronous_commit', 'off', true), "
         "{schema}.heartbeat($1::uuid[], $2::text[], $3::interval)");
    if (listens_)
      db_.listen(channel_);
  }

  [[nodiscard]] bool listens() const override { return listens_; }

  look_result look() override {
    try {
      auto found = db_.call("evented_look");
      auto frontier = pq::number(found[0][1]);
      return {frontier, std::max(frontier, pq::number(found[0][0]))};
    } catch (const sql_error& e) {
      if (e.sqlstate() == "EV003")
        throw error(errc::incompatible, e.what());
      throw;
    }
  }

  void announce() override { db_.call("evented_announce", channel_); }

  void heartbeat(const std::vector<uuid>& runners) override {
    array_builder ids{uuid_oid};
    array_builder hosts{text_oid};
    for (auto& x : runners) {
      ids.add_uuid(x);
      hosts.add(host_);
    }
    db_.call("evented_heartbeat", pq::binary{std::move(ids).finish()},
             pq::binary{std::move(hosts).finish()},
             std::to_string(options_.take_over.count() / 2) + " milliseconds");
  }

  bool wait(int wake_fd, std::chrono::milliseconds limit) override {
    return db_.wait(wake_fd, limit);
  }

private:
  journal_options options_;
  std::shared_ptr<watchdog> dog_;
  pq::connection db_;
  std::string channel_;
  std::string host_;
  bool listens_;
};

} // namespace

std::unique_ptr<watch_session>
make_watch_session(const journal_options& options, const pq::settings& how,
                   std::shared_ptr<watchdog> dog, bool listens) {
  return std::make_unique<postgres_watch>(options, how, std::move(dog),
                                          listens);
}

} // namespace evented::detail
