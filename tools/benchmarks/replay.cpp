// What it costs to read entities back: one with a long history, and many at once.

#include "cpu_time.hpp"
#include "database.hpp"
#include "fresh_process.hpp"
#include "pgbench.hpp"
#include "row.hpp"

#include <algorithm>
#include <cstdio>
#include <libpq-fe.h>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>

namespace bench {

namespace {

// -- replay.long --------------------------------------------------------------

class replay_long : public row {
public:
  std::string name() const override { return "replay.long"; }

  std::string unit() const override { return "events/s"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    journal_.fill(url_, 1, versions);
  }

  double ours(const environment& env) override {
    fresh_process process{env, journal_};
    process.connect();
    auto result = static_cast<double>(versions)
                  / process.ask_all<look>({id_of(0)}, versions);
    std::printf("  %s: ours %.0f/s\n", name().c_str(), result);
    return result;
  }

  /// Fetches what a replay needs in one go, and drops it.
  double baseline(const environment&) override {
    std::unique_ptr<PGconn, decltype(&PQfinish)> db{PQconnectdb(url_.c_str()),
                                                    &PQfinish};
    auto sql = "select version, event_name, schema_version, event from "
               + journal_.schema()
               + ".event where type_name = 'tally' and entity_id = '"
               + to_string(id_of(0)) + "' order by version";
    auto begin = std::chrono::steady_clock::now();
    std::unique_ptr<PGresult, decltype(&PQclear)> rows{
      PQexec(db.get(), sql.c_str()), &PQclear};
    auto end = std::chrono::steady_clock::now();
    if (PQntuples(rows.get()) != static_cast<int>(versions))
      throw std::runtime_error(PQerrorMessage(db.get()));
    auto result = static_cast<double>(versions)
                  / std::chrono::duration<double>(end - begin).count();
    std::printf("  %s: baseline %.0f/s\n", name().c_str(), result);
    return result;
  }

private:
  static constexpr std::uint64_t versions = 200'000;

  std::string url_;
  bench_journal journal_{"evented_bench_replay"};
};

// -- replay.cold --------------------------------------------------------------

/// @param Command what wakes them up: `look`, which stores nothing, or `add`
template <class Command>
class replay_cold : public row {
public:
  static constexpr bool stores = std::is_same_v<Command, add>;

  std::string name() const override {
    return stores ? "replay.cold_write" : "replay.cold";
  }

  std::string unit() const override { return "entities/s"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    if (env.smoke)
      entities_ = 100;
    journal_.fill(url_, entities_, versions);
    select_.emplace(
      url_,
      std::string{"\\set id random(0, 9999) * 40353607 % 900000000000 + "
                  "100000000000\n"
                  "select seq_no, version, event_name, schema_version, "
                  "event, metadata from "}
        + journal_.schema()
        + ".event where type_name = 'tally' and entity_id = "
          "('00000000-0000-4000-8000-' || :id)::uuid order by version;\n");
    if (env.quick) {
      clients_ = 2;
      return;
    }
    std::map<unsigned, double> found;
    for (auto pass = 0; pass < 2; ++pass)
      for (auto clients : {1u, 2u, 4u, 8u, 16u, 32u})
        found[clients] = std::max(
          found[clients], select_->run(clients, env.calibration).per_second);
    for (auto& [clients, x] : found) {
      std::printf("  pgbench, a select per entity, %2u clients: %8.0f/s\n",
                  clients, x);
      if (x > found[clients_])
        clients_ = clients;
    }
  }

  double ours(const environment& env) override {
    checkpoint(url_);
    std::vector<evented::uuid> ids;
    for (std::uint64_t i = 0; i < entities_; ++i)
      ids.push_back(id_of(i));
    fresh_process process{env, journal_};
    // Its connections are made with the first commands; the baseline's are not
    // counted either.
    process.connect();
    auto version = stores ? ++version_ : version_;
    auto own_cpu = own_cpu_seconds();
    auto server_cpu = server_cpu_seconds(env.server);
    auto result = static_cast<double>(entities_)
                  / process.template ask_all<Command>(ids, version);
    auto us = 1e6 / static_cast<double>(entities_);
    own_cpu = us * (own_cpu_seconds() - own_cpu);
    server_cpu = us * (server_cpu_seconds(env.server) - server_cpu);
    connection db{url_};
    auto connections = db.number(
      "select count(*) from pg_stat_activity where application_name = "
      "'evented' "
      "or (datname = current_database() and backend_type = 'client backend' "
      "and pid <> pg_backend_pid())");
    std::printf("  %s: ours %.0f/s, one command each, %lld events before, %lld "
                "connections; CPU per entity: here %.1f us, PostgreSQL %.1f "
                "us\n",
                name().c_str(), result,
                static_cast<long long>(stores ? version - 1 : version),
                static_cast<long long>(connections), own_cpu, server_cpu);
    return result;
  }

  double baseline(const environment& env) override {
    auto x = select_->run(clients_, env.duration);
    std::printf("  %s: baseline %.0f/s, %u clients\n", name().c_str(),
                x.per_second, clients_);
    return x.per_second;
  }

private:
  std::uint64_t entities_ = 10'000;
  static constexpr std::uint64_t versions = 10;

  std::string url_;
  bench_journal journal_{stores ? "evented_bench_cold_write"
                                : "evented_bench_cold"};
  std::optional<pgbench> select_;
  unsigned clients_ = 1;
  std::uint64_t version_ = versions;
};

// -- replay.snapshot ----------------------------------------------------------

class replay_snapshot : public row {
public:
  std::string name() const override { return "replay.snapshot"; }

  std::string unit() const override { return "ms, less is better"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    if (env.quick)
      version_ = env.smoke ? 9'900 : 99'900;
    auto newest = version_ / 1000 * 1000;
    journal_.fill(url_, 1, version_);
    // Its snapshots were written all the time; the newest is a while back.
    connection{url_}.run(
      "insert into " + journal_.schema()
      + ".snapshot (type_name, entity_id, version, schema_version, state) "
        "select type_name, entity_id, version, 1, json_build_object('value', "
        "version) from "
      + journal_.schema() + ".event where version in ("
      + std::to_string(newest - 1000) + ", " + std::to_string(newest) + ")");
  }

  double ours(const environment& env) override {
    return first_command(env, [this] {
      return std::pair{id_of(0), ++version_};
    });
  }

  double baseline(const environment& env) override {
    return first_command(env, [] {
      return std::pair{evented::uuid::v4(), std::uint64_t{1}};
    });
  }

private:
  static constexpr int processes = 7;

  /// Returns how long the first command of an entity takes in a process that has
  /// just started but has all of its connections; the median of several.
  /// @param next returns the entity, and the version that it is to answer with
  template <class F>
  double first_command(const environment& env, F next) {
    evented::entity_options<tally> how;
    how.snapshots({.every = 1000});
    std::vector<double> found;
    for (int i = 0; i < processes; ++i) {
      fresh_process process{env, journal_, how};
      process.connect();
      auto [id, version] = next();
      found.push_back(1000 * process.ask_all({id}, version));
    }
    std::sort(found.begin(), found.end());
    std::printf("  %s: %.2f to %.2f ms, median %.2f ms\n", name().c_str(),
                found.front(), found.back(), found[processes / 2]);
    return found[processes / 2];
  }

  std::string url_;
  bench_journal journal_{"evented_bench_snapshot"};
  std::uint64_t version_ = 999'900;
};

} // namespace

std::unique_ptr<row> make_replay_long() {
  return std::make_unique<replay_long>();
}

std::unique_ptr<row> make_replay_cold() {
  return std::make_unique<replay_cold<look>>();
}

std::unique_ptr<row> make_replay_cold_write() {
  return std::make_unique<replay_cold<add>>();
}

std::unique_ptr<row> make_replay_snapshot() {
  return std::make_unique<replay_snapshot>();
}

} // namespace bench
