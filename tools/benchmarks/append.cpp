// What it costs to store events.

#include "ancestor.hpp"
#include "bench_journal.hpp"
#include "copy.hpp"
#include "database.hpp"
#include "load.hpp"
#include "row.hpp"

#include <cstdio>
#include <stdexcept>

namespace bench {

namespace {

/// Puts a load on the journal and checks that the table holds an event for each
/// accepted command and no other.
load_result checked_load(const environment& env, const load_options& options) {
  checkpoint(env.url);
  connection db{env.url};
  auto count = "select count(*) from " + options.journal.schema + ".event";
  auto before = db.number(count);
  auto result = run_load(env, options);
  auto stored = db.number(count) - before;
  if (stored != result.accepted)
    throw std::runtime_error(std::to_string(result.accepted)
                             + " commands were accepted, but "
                             + std::to_string(stored) + " events are stored");
  return result;
}

/// A load on a journal of its own, against something else.
class append_row : public row {
public:
  explicit append_row(std::string name) : name_(std::move(name)) {
    // nop
  }

  std::string name() const override { return name_; }

  std::string unit() const override { return "commands/s"; }

protected:
  /// Puts a load on a journal, says what came of it, and returns commands per
  /// second.
  double load(const environment& env, const bench_journal& where,
              load_options options, const std::string& what = "ours") {
    options.journal.url = where.options().url;
    options.journal.schema = where.schema();
    auto x = checked_load(env, options);
    std::printf("  %s: %s %.0f/s, %lld events stored for as many accepted "
                "commands; CPU per command: here %.1f us, PostgreSQL %.1f us\n",
                name_.c_str(), what.c_str(), x.commands_per_second,
                static_cast<long long>(x.accepted), x.own_cpu, x.server_cpu);
    return x.commands_per_second;
  }

private:
  std::string name_;
};

/// Against the ancestor's sequence.
class append_vs_ancestor : public append_row {
public:
  append_vs_ancestor(std::string name, const std::string& suffix,
                     ancestor::sequence what, load_options options)
    : append_row(std::move(name)),
      what_(what),
      options_(std::move(options)),
      journal_("evented_bench_" + suffix),
      ancestor_("ancestor_bench_" + suffix) {
    // nop
  }

  void prepare(const environment& env) override {
    journal_.fill(env.url, 0, 0);
    if (what_.view) {
      auto view = journal_.schema() + ".view";
      connection{env.url}.run(
        "create table " + view
        + " (entity_id uuid primary key, value bigint not null)");
      options_.view = view;
    }
    ancestor_.prepare(env.url, what_);
    // The hot entity is compared with a single client.
    if (!what_.one_entity)
      ancestor_.calibrate(env);
  }

  double ours(const environment& env) override {
    return load(env, journal_, options_);
  }

  double baseline(const environment& env) override {
    auto x = ancestor_.run(env);
    std::printf("  %s: baseline %.0f/s, %u clients\n", name().c_str(), x,
                ancestor_.clients());
    return x;
  }

private:
  ancestor::sequence what_;
  load_options options_;
  bench_journal journal_;
  ancestor ancestor_;
};

/// Against COPY of the same rows.
class append_vs_copy : public append_row {
public:
  append_vs_copy() : append_row("append.vs_copy") {
    // nop
  }

  void prepare(const environment& env) override {
    journal_.fill(env.url, 0, 0);
    copied_.fill(env.url, 0, 0);
  }

  double ours(const environment& env) override {
    return load(env, journal_, {});
  }

  double baseline(const environment& env) override {
    checkpoint(env.url);
    auto x = copy_events(env.url, copied_.schema(), env.duration, versions_);
    std::printf("  %s: baseline %.0f/s\n", name().c_str(), x);
    return x;
  }

private:
  bench_journal journal_{"evented_bench_vs_copy"};
  bench_journal copied_{"evented_bench_copied"};
  std::vector<std::uint64_t> versions_ = std::vector<std::uint64_t>(10'000);
};

/// Several writers against one.
class append_scaling : public append_row {
public:
  explicit append_scaling(unsigned writers)
    : append_row("append.scaling_" + std::to_string(writers)),
      writers_(writers),
      journal_("evented_bench_scaling_" + std::to_string(writers)) {
    // nop
  }

  void prepare(const environment& env) override {
    journal_.fill(env.url, 0, 0);
  }

  double ours(const environment& env) override {
    return measure(env, writers_, "ours");
  }

  double baseline(const environment& env) override {
    return measure(env, 1, "baseline");
  }

private:
  double measure(const environment& env, unsigned writers, const char* side) {
    load_options options;
    options.journal.writers = writers;
    return load(env, journal_, options, side);
  }

  unsigned writers_;
  bench_journal journal_;
};

/// With many events in the table against few.
class append_growth : public append_row {
public:
  append_growth() : append_row("append.growth") {
    // nop
  }

  void prepare(const environment& env) override {
    // Ten million take minutes.
    auto versions = env.smoke ? 11u : env.quick ? 30u : 1000u;
    std::printf("  storing %u events\n", 10'000 * versions);
    large_.fill(env.url, 10'000, versions);
    small_.fill(env.url, 10'000, 10);
  }

  double ours(const environment& env) override {
    return load(env, large_, {}, "ours, with many events,");
  }

  double baseline(const environment& env) override {
    return load(env, small_, {}, "baseline, with few,");
  }

private:
  bench_journal large_{"evented_bench_large"};
  bench_journal small_{"evented_bench_small"};
};

// -- append.batch -------------------------------------------------------------

class append_batch : public row {
public:
  std::string name() const override { return "append.batch"; }

  std::string unit() const override { return "commands/commit"; }

  void prepare(const environment& env) override {
    journal_.fill(env.url, 0, 0);
  }

  double ours(const environment& env) override {
    commit_counter commits{env.url};
    load_options options;
    options.entities = 1000;
    options.in_flight = 1000;
    options.journal = journal_.options();
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
  bench_journal journal_{"evented_bench_batch_size"};
};

load_options one_entity() {
  load_options result;
  result.entities = 1;
  result.in_flight = 256;
  return result;
}

} // namespace

std::unique_ptr<row> make_append_throughput() {
  return std::make_unique<append_vs_ancestor>(
    "append.throughput", "throughput", ancestor::sequence{}, load_options{});
}

std::unique_ptr<row> make_append_listener() {
  return std::make_unique<append_vs_ancestor>("append.listener", "listener",
                                              ancestor::sequence{.view = true},
                                              load_options{});
}

std::unique_ptr<row> make_append_hot() {
  return std::make_unique<append_vs_ancestor>(
    "append.hot", "hot", ancestor::sequence{.one_entity = true}, one_entity());
}

std::unique_ptr<row> make_append_vs_copy() {
  return std::make_unique<append_vs_copy>();
}

std::unique_ptr<row> make_append_scaling(unsigned writers) {
  return std::make_unique<append_scaling>(writers);
}

std::unique_ptr<row> make_append_growth() {
  return std::make_unique<append_growth>();
}

std::unique_ptr<row> make_append_batch() {
  return std::make_unique<append_batch>();
}

} // namespace bench
