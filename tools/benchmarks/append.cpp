#include "database.hpp"
#include "load.hpp"
#include "pgbench.hpp"
#include "row.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <stdexcept>

namespace bench {

namespace {

constexpr const char* schema = "evented_bench";

// The ancestor's table, with 10 events for each of 10 000 entities, so that the
// planner knows it and uses its index.
constexpr const char* ancestor_table = R"(
create schema ancestor_bench;
create table ancestor_bench.event (
  seq_no    bigserial primary key,
  entity_id uuid,
  version   bigint,
  type_name text,
  event     jsonb,
  metadata  jsonb,
  unique (entity_id, type_name, version)
);
insert into ancestor_bench.event
  (entity_id, version, type_name, event, metadata)
select ('00000000-0000-4000-8000-'
        || (entity::bigint * 40353607 % 900000000000 + 100000000000))::uuid,
       version, 'tally', '{"inc": 1}', '{"unix_ms": 1700000000000}'
  from generate_series(1, 10) as version,
       generate_series(0, 9999) as entity;
)";

// The ancestor's transaction per command. The entities are divided among the
// clients, so that no two race for a version; their IDs are spread like random
// ones, and numbers of 12 digits, which are the end of a UUID.
constexpr const char* ancestor_script = R"(
\set entity :client_id + :clients * random(0, 10000 / :clients - 1)
\set id :entity * 40353607 % 900000000000 + 100000000000
begin;
select coalesce(max(version), 0) + 1 as version from ancestor_bench.event where type_name = 'tally' and entity_id = ('00000000-0000-4000-8000-' || :id)::uuid \gset
insert into ancestor_bench.event (entity_id, version, type_name, event, metadata) values (('00000000-0000-4000-8000-' || :id)::uuid, :version, 'tally', '{"inc": 1}', '{"unix_ms": 1700000000000}');
commit;
)";

void drop_schemas(const std::string& url) {
  connection{url}.run(std::string{"drop schema if exists ancestor_bench, "}
                      + schema + " cascade");
}

/// Leaves nothing behind on a server that lives on.
void clean_up(const std::string& url) noexcept {
  try {
    if (!url.empty())
      drop_schemas(url);
  } catch (const std::exception&) {
    // The next run does it.
  }
}

/// Puts a load on the journal and checks that the table holds an event for each
/// accepted command and no other.
load_result checked_load(const environment& env, load_options options) {
  checkpoint(env.url);
  options.journal.url = env.url;
  options.journal.schema = schema;
  auto rows = [&] {
    connection db{env.url};
    auto table = std::string{schema} + ".event";
    if (db.run("select to_regclass('" + table + "')").empty())
      return std::int64_t{0};
    return db.number("select count(*) from " + table);
  };
  auto before = rows();
  auto result = run_load(env, options);
  auto stored = rows() - before;
  if (stored != result.accepted)
    throw std::runtime_error(std::to_string(result.accepted)
                             + " commands were accepted, but "
                             + std::to_string(stored) + " events are stored");
  return result;
}

// -- append.throughput --------------------------------------------------------

class append_throughput : public row {
public:
  ~append_throughput() override { clean_up(url_); }

  std::string name() const override { return "append.throughput"; }

  std::string unit() const override { return "commands/s"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    drop_schemas(url_);
    connection db{url_};
    db.run(ancestor_table);
    db.run("vacuum analyze ancestor_bench.event");
    ancestor_.emplace(url_, ancestor_script);
    checkpoint(url_);
    // Twice, since a busy moment must not decide.
    std::map<unsigned, double> found;
    for (auto pass = 0; pass < 2; ++pass)
      for (auto clients : {1u, 2u, 4u, 8u, 16u, 32u})
        found[clients] = std::max(
          found[clients], ancestor_->run(clients, env.calibration).per_second);
    for (auto& [clients, x] : found) {
      std::printf("  pgbench, the ancestor's sequence, %2u clients: %8.0f/s\n",
                  clients, x);
      if (x > found[clients_])
        clients_ = clients;
    }
  }

  double ours(const environment& env) override {
    auto x = checked_load(env, {});
    std::printf("  %s: ours %.0f/s, %lld events stored for as many accepted "
                "commands; CPU per command: here %.1f us, PostgreSQL %.1f us\n",
                name().c_str(), x.commands_per_second,
                static_cast<long long>(x.accepted), x.own_cpu, x.server_cpu);
    return x.commands_per_second;
  }

  double baseline(const environment& env) override {
    checkpoint(url_);
    connection db{url_};
    auto count = "select count(*) from ancestor_bench.event";
    auto before = db.number(count);
    auto x = ancestor_->run(clients_, env.duration);
    if (db.number(count) - before != x.transactions)
      throw std::runtime_error("pgbench has not stored what it counts");
    std::printf("  %s: baseline %.0f/s, %u clients\n", name().c_str(),
                x.per_second, clients_);
    return x.per_second;
  }

private:
  std::string url_;
  std::optional<pgbench> ancestor_;
  unsigned clients_ = 1;
};

// -- append.batch -------------------------------------------------------------

class append_batch : public row {
public:
  ~append_batch() override { clean_up(url_); }

  std::string name() const override { return "append.batch"; }

  std::string unit() const override { return "commands/commit"; }

  void prepare(const environment& env) override { url_ = env.url; }

  double ours(const environment& env) override {
    commit_counter commits{env.url};
    load_options options;
    options.entities = 1000;
    options.in_flight = 1000;
    options.journal.url = env.url;
    options.journal.schema = schema;
    auto x = run_load(env, options);
    auto committed = commits.settled();
    auto mean
      = static_cast<double>(x.accepted) / static_cast<double>(committed);
    std::printf("  %s: %lld commands in %lld commits, start-up included: %.1f; "
                "%.0f/s; CPU per command: here %.1f us, PostgreSQL %.1f us\n",
                name().c_str(), static_cast<long long>(x.accepted),
                static_cast<long long>(committed), mean, x.commands_per_second,
                x.own_cpu, x.server_cpu);
    return mean;
  }

  /// The ancestor commits each command by itself.
  double baseline(const environment&) override { return 1; }

private:
  std::string url_;
};

} // namespace

std::unique_ptr<row> make_append_throughput() {
  return std::make_unique<append_throughput>();
}

std::unique_ptr<row> make_append_batch() {
  return std::make_unique<append_batch>();
}

} // namespace bench
