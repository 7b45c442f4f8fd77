// How long one command takes where nothing else is under way.

#include "bench_journal.hpp"
#include "database.hpp"
#include "load.hpp"
#include "pgbench.hpp"
#include "row.hpp"

#include <cstdio>
#include <optional>

namespace bench {

namespace {

class append_latency : public row {
public:
  std::string name() const override { return "append.latency"; }

  std::string unit() const override { return "ms, less is better"; }

  void prepare(const environment& env) override {
    journal_.fill(env.url, 0, 0);
    connection db{env.url};
    auto table = journal_.schema() + ".plain";
    db.run("create table " + table
           + " (seq_no bigserial primary key, entity_id uuid, version bigint, "
             "type_name text, event jsonb, metadata jsonb, unique (entity_id, "
             "type_name, version))");
    insert_.emplace(env.url,
                    "insert into " + table
                      + " (entity_id, version, type_name, event, metadata) "
                        "values (gen_random_uuid(), 1, 'tally', '{\"inc\": "
                        "1}', '{\"unix_ms\": 1700000000000}');\n");
  }

  double ours(const environment& env) override {
    checkpoint(env.url);
    load_options options;
    options.entities = 1000;
    options.in_flight = 1;
    options.journal = journal_.options();
    auto x = run_load(env, options);
    std::printf("  %s: ours median %.3f ms, %.0f/s\n", name().c_str(),
                1000 * x.median_latency, x.commands_per_second);
    return 1000 * x.median_latency;
  }

  double baseline(const environment& env) override {
    checkpoint(env.url);
    auto x = insert_->run(1, env.duration, true);
    std::printf("  %s: baseline median %.3f ms, %.0f/s\n", name().c_str(),
                1000 * x.median_latency, x.per_second);
    return 1000 * x.median_latency;
  }

private:
  bench_journal journal_{"evented_bench_latency"};
  std::optional<pgbench> insert_;
};

} // namespace

std::unique_ptr<row> make_append_latency() {
  return std::make_unique<append_latency>();
}

} // namespace bench
