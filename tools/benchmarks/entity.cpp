// What entities cost when they wake up, and when all want the same one.

#include "cpu_time.hpp"
#include "database.hpp"
#include "load.hpp"
#include "pgbench.hpp"
#include "row.hpp"
#include "tally.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <cstdio>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace bench {

namespace {

using steady = std::chrono::steady_clock;

/// A journal of a row's own, which goes with it.
class bench_journal {
public:
  explicit bench_journal(std::string schema) : schema_(std::move(schema)) {
    // nop
  }

  ~bench_journal() {
    try {
      if (!url_.empty())
        drop();
    } catch (const std::exception&) {
      // The next run does it.
    }
  }

  [[nodiscard]] const std::string& schema() const noexcept { return schema_; }

  [[nodiscard]] evented::journal_options options() const {
    evented::journal_options result;
    result.url = url_;
    result.schema = schema_;
    return result;
  }

  /// Makes it, with `versions` events for each of `entities` entities.
  void fill(const std::string& url, std::uint64_t entities,
            std::uint64_t versions);

private:
  void drop() {
    connection{url_}.run("drop schema if exists " + schema_ + " cascade");
  }

  std::string url_;
  std::string schema_;
};

/// Entities have IDs that pgbench can write: a number of 12 digits at the end.
evented::uuid id_of(std::uint64_t n) {
  auto digits = std::to_string(n * 40353607 % 900000000000 + 100000000000);
  return evented::uuid::parse("00000000-0000-4000-8000-" + digits).value();
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

/// Sends one command to each of many entities and waits for all answers.
template <class Command>
class asker : public caf::event_based_actor {
public:
  asker(caf::actor_config& cfg, caf::actor region,
        std::vector<evented::uuid> ids, std::uint64_t version,
        std::promise<std::string> done)
    : caf::event_based_actor(cfg),
      region_(std::move(region)),
      ids_(std::move(ids)),
      version_(version),
      done_(std::move(done)) {
    // nop
  }

  caf::behavior make_behavior() override {
    // Answers to plain messages are plain messages, and errors too.
    for (auto& id : ids_)
      evented::seam::send(this, region_, id, Command{1});
    return {
      [this](const evented::accepted& a) { check(a.version); },
      // Each event has added 1.
      [this](const evented::accepted& a, std::uint64_t value) {
        check(a.version == value ? value : 0);
      },
      [this](const caf::error& err) { finish(evented::render(system(), err)); },
    };
  }

private:
  void check(std::uint64_t version) {
    finish(version == version_
             ? ""
             : "an entity answers with version " + std::to_string(version));
  }

  void finish(const std::string& failure) {
    if (failure.empty() && ++answered_ < ids_.size())
      return;
    done_.set_value(failure);
    quit();
  }

  caf::actor region_;
  std::vector<evented::uuid> ids_;
  std::uint64_t version_;
  std::promise<std::string> done_;
  std::size_t answered_ = 0;
};

/// A process that has just started.
class fresh_process {
public:
  fresh_process(const environment& env, const bench_journal& where,
                const evented::entity_options<tally>& how = {}) {
    set_scheduler(cfg_, env);
    sys_.emplace(cfg_);
    journal_.emplace(*sys_, where.options());
    region_ = evented::spawn_entities<tally>(*sys_, *journal_, how);
  }

  ~fresh_process() {
    region_ = nullptr;
    journal_.reset();
  }

  /// Has every appender and loader connect to the database.
  void connect() {
    // Enough for each to have something to do.
    std::vector<evented::uuid> others(256);
    for (auto& id : others)
      id = evented::uuid::v4();
    ask_all(others, 1);
  }

  /// Sends one command to each and waits for all answers, which must carry this
  /// version. Returns the seconds that took.
  template <class Command = add>
  double ask_all(const std::vector<evented::uuid>& ids, std::uint64_t version) {
    std::promise<std::string> done;
    auto end = done.get_future();
    auto begin = steady::now();
    sys_->spawn<asker<Command>>(region_, ids, version, std::move(done));
    auto failure = end.get();
    if (!failure.empty())
      throw std::runtime_error(failure);
    return std::chrono::duration<double>(steady::now() - begin).count();
  }

private:
  evented::config<caf::id_block::bench> cfg_;
  std::optional<caf::actor_system> sys_;
  std::optional<evented::journal> journal_;
  caf::actor region_;
};

// -- entity.wake --------------------------------------------------------------

/// @param Command what wakes them up: `look`, which stores nothing, or `add`
template <class Command>
class entity_wake : public row {
public:
  static constexpr bool stores = std::is_same_v<Command, add>;

  std::string name() const override {
    return stores ? "entity.wake_write" : "entity.wake";
  }

  std::string unit() const override { return "entities/s"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    journal_.fill(url_, entities, versions);
    select_.emplace(
      url_,
      std::string{"\\set id random(0, 9999) * 40353607 % 900000000000 + "
                  "100000000000\n"
                  "select seq_no, version, event_name, schema_version, "
                  "event, metadata from "}
        + journal_.schema()
        + ".event where type_name = 'tally' and entity_id = "
          "('00000000-0000-4000-8000-' || :id)::uuid order by version;\n");
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
    for (std::uint64_t i = 0; i < entities; ++i)
      ids.push_back(id_of(i));
    fresh_process process{env, journal_};
    // Its connections are made with the first commands; the baseline's are not
    // counted either.
    process.connect();
    auto version = stores ? ++version_ : version_;
    auto own_cpu = own_cpu_seconds();
    auto server_cpu = server_cpu_seconds(env.server);
    auto result = static_cast<double>(entities)
                  / process.template ask_all<Command>(ids, version);
    constexpr auto us = 1e6 / static_cast<double>(entities);
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
  static constexpr std::uint64_t entities = 10'000;
  static constexpr std::uint64_t versions = 10;

  std::string url_;
  bench_journal journal_{stores ? "evented_bench_wake_write"
                                : "evented_bench_wake"};
  std::optional<pgbench> select_;
  unsigned clients_ = 1;
  std::uint64_t version_ = versions;
};

// -- entity.long --------------------------------------------------------------

class entity_long : public row {
public:
  std::string name() const override { return "entity.long"; }

  std::string unit() const override { return "ms, less is better"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    journal_.fill(url_, 1, versions);
    // Its snapshots were written all the time; the newest is a while back.
    connection{url_}.run(
      "insert into " + journal_.schema()
      + ".snapshot (type_name, entity_id, version, schema_version, state) "
        "select type_name, entity_id, version, 1, json_build_object('value', "
        "version) from "
      + journal_.schema() + ".event where version in (998000, 999000)");
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
  static constexpr std::uint64_t versions = 999'900;
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
  bench_journal journal_{"evented_bench_long"};
  std::uint64_t version_ = versions;
};

// -- entity.hot ---------------------------------------------------------------

class entity_hot : public row {
public:
  std::string name() const override { return "entity.hot"; }

  std::string unit() const override { return "commands/s"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    journal_.fill(url_, 1, 10);
    connection db{url_};
    db.run("create table " + journal_.schema() + ".ancestor "
           + "(seq_no bigserial primary key, entity_id uuid, version bigint, "
             "type_name text, event jsonb, metadata jsonb, unique (entity_id, "
             "type_name, version))");
    const std::string id = "'00000000-0000-4000-8000-000000000001'";
    const std::string table = journal_.schema() + ".ancestor";
    ancestor_.emplace(
      url_, "begin;\nselect coalesce(max(version), 0) + 1 as version from "
              + table + " where type_name = 'tally' and entity_id = " + id
              + " \\gset\ninsert into " + table
              + " (entity_id, version, type_name, event, metadata) values ("
              + id
              + ", :version, 'tally', '{\"inc\": 1}', '{\"unix_ms\": "
                "1700000000000}');\ncommit;\n");
  }

  double ours(const environment& env) override {
    checkpoint(url_);
    load_options options;
    options.entities = 1;
    options.in_flight = 256;
    options.journal = journal_.options();
    auto x = run_load(env, options);
    std::printf("  %s: ours %.0f/s\n", name().c_str(), x.commands_per_second);
    return x.commands_per_second;
  }

  double baseline(const environment& env) override {
    checkpoint(url_);
    auto x = ancestor_->run(1, env.duration);
    std::printf("  %s: baseline %.0f/s, 1 client\n", name().c_str(),
                x.per_second);
    return x.per_second;
  }

private:
  std::string url_;
  bench_journal journal_{"evented_bench_hot"};
  std::optional<pgbench> ancestor_;
};

} // namespace

std::unique_ptr<row> make_entity_wake() {
  return std::make_unique<entity_wake<look>>();
}

std::unique_ptr<row> make_entity_wake_write() {
  return std::make_unique<entity_wake<add>>();
}

std::unique_ptr<row> make_entity_long() {
  return std::make_unique<entity_long>();
}

std::unique_ptr<row> make_entity_hot() {
  return std::make_unique<entity_hot>();
}

} // namespace bench
