#include "database.hpp"
#include "load.hpp"
#include "pgbench.hpp"
#include "row.hpp"
#include "tally.hpp"

#include <evented/actors.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <stdexcept>

namespace bench {

namespace {

// The ancestor's transaction per event: the view, then the checkpoint.
constexpr const char* ancestor_tables = R"(
create schema if not exists ancestor_bench_projection;
create table if not exists ancestor_bench_projection.projection (
  name text primary key, seq_no bigint);
create table if not exists ancestor_bench_projection.view (
  entity_id uuid primary key, value bigint not null);
)";

constexpr const char* ancestor_script = R"(
\set entity random(0, 9999)
\set id :entity * 40353607 % 900000000000 + 100000000000
begin;
insert into ancestor_bench_projection.view values (('00000000-0000-4000-8000-' || :id)::uuid, 1) on conflict (entity_id) do update set value = view.value + 1;
insert into ancestor_bench_projection.projection values ('view', 1) on conflict (name) do update set seq_no = projection.seq_no + 1;
commit;
)";

// Events of 10 000 entities, as the append function stores them.
std::string fill(const std::string& schema, std::int64_t events) {
  return "insert into " + schema
         + ".event (type_name, entity_id, version, slice, event_name, "
           "schema_version, append_id, event, metadata) "
           "select 'tally', ('00000000-0000-4000-8000-' || (entity::bigint * "
           "40353607 % 900000000000 + 100000000000))::uuid, version, entity % "
           "1024, 'added', 1, gen_random_uuid(), '{\"inc\": 1}', "
           "'{\"unix_ms\": 1700000000000}' "
           "from generate_series(1, "
         + std::to_string(events / 10'000)
         + ") as version, generate_series(0, 9999) as entity";
}

void drop_schema(const std::string& url, const std::string& schema) {
  connection{url}.run("drop schema if exists " + schema + " cascade");
}

/// How fast a projection catches up with half a million events.
class catch_up : public row {
public:
  /// @param schema one of its own, since all rows are prepared first
  explicit catch_up(std::string schema) : schema_(std::move(schema)) {
    // nop
  }

  ~catch_up() override {
    try {
      if (!url_.empty()) {
        drop_schema(url_, schema_);
        drop_schema(url_, "ancestor_bench_projection");
      }
    } catch (const std::exception&) {
      // The next run does it.
    }
  }

  std::string unit() const override { return "events/s"; }

  void prepare(const environment& env) override {
    url_ = env.url;
    drop_schema(url_, schema_);
    connection db{url_};
    db.run(ancestor_tables);
    ancestor_.emplace(url_, ancestor_script);
    evented::journal_options where;
    where.url = url_;
    where.schema = schema_;
    evented::open_store(where);
    // Fewer where it has to be quick.
    events_ = env.smoke ? 10'000 : env.quick ? 50'000 : 500'000;
    std::printf("  storing %lld events\n", static_cast<long long>(events_));
    db.run(fill(schema_, events_));
    db.run("create table " + schema_
           + ".view (entity_id uuid primary key, value bigint not null)");
    checkpoint(url_);
  }

  double ours(const environment& env) override {
    connection db{url_};
    db.run("truncate " + schema_ + ".view");
    checkpoint(url_);
    evented::config<> cfg;
    set_scheduler(cfg, env);
    caf::actor_system sys{cfg};
    evented::journal_options where;
    where.url = url_;
    where.schema = schema_;
    evented::journal journal{sys, where};
    auto begin = std::chrono::steady_clock::now();
    auto view = spawn(sys, journal, "view_" + std::to_string(++run_));
    caf::scoped_actor self{sys};
    self
      ->request(view, std::chrono::minutes{10},
                evented::control::wait_until{
                  evented::uuid{}, static_cast<std::uint64_t>(events_),
                  std::chrono::minutes{9}})
      .receive([](const evented::reached&) {},
               [&](const caf::error& err) {
                 throw std::runtime_error(evented::render(sys, err));
               });
    auto end = std::chrono::steady_clock::now();
    if (db.number("select coalesce(sum(value), 0) from " + schema_ + ".view")
        != events_)
      throw std::runtime_error("the view does not equal the journal");
    auto result = static_cast<double>(events_)
                  / std::chrono::duration<double>(end - begin).count();
    std::printf("  %s: ours %.0f/s\n", name().c_str(), result);
    return result;
  }

  double baseline(const environment& env) override {
    checkpoint(url_);
    // As the ancestor runs it: one projection, one connection.
    auto x = ancestor_->run(1, env.duration);
    std::printf("  %s: baseline %.0f/s\n", name().c_str(), x.per_second);
    return x.per_second;
  }

protected:
  const std::string& schema() const noexcept { return schema_; }

  virtual caf::actor spawn(caf::actor_system& sys,
                           const evented::journal& journal, std::string name)
    = 0;

private:
  std::string schema_;
  std::string url_;
  std::optional<pgbench> ancestor_;
  std::int64_t events_ = 0;
  int run_ = 0;
};

class by_event : public catch_up {
public:
  by_event() : catch_up("evented_bench_event") {
    // nop
  }

  std::string name() const override { return "projection.event"; }

protected:
  caf::actor spawn(caf::actor_system& sys, const evented::journal& journal,
                   std::string name) override {
    return evented::spawn_projection<tally>(
      sys, journal, std::move(name),
      [upsert = "insert into " + schema()
                + ".view values ($1, $2) on conflict (entity_id) do update "
                  "set value = view.value + excluded.value"](
        const evented::recorded<tally>& e, evented::transaction& tx) {
        if (auto* x = e.as<added>())
          tx.send(upsert, e.id, x->inc);
      });
  }
};

class by_batch : public catch_up {
public:
  by_batch() : catch_up("evented_bench_batch") {
    // nop
  }

  std::string name() const override { return "projection.batch"; }

protected:
  caf::actor spawn(caf::actor_system& sys, const evented::journal& journal,
                   std::string name) override {
    evented::projection_options options;
    options.max_batch = 5000;
    return evented::spawn_projection<tally>(
      sys, journal, std::move(name),
      [upsert = "insert into " + schema()
                + ".view select * from unnest($1::uuid[], $2::bigint[]) on "
                  "conflict (entity_id) do update set value = view.value + "
                  "excluded.value"](const evented::batch<tally>& events,
                                    evented::transaction& tx) {
        std::map<evented::uuid, std::uint64_t> sums;
        for (auto& e : events)
          if (auto* x = e.as<added>())
            sums[e.id] += x->inc;
        std::string ids = "{";
        std::string values = "{";
        for (auto& [id, sum] : sums) {
          ids += (ids.size() > 1 ? "," : "") + to_string(id);
          values += (values.size() > 1 ? "," : "") + std::to_string(sum);
        }
        tx.exec(upsert, ids + "}", values + "}");
      },
      options);
  }
};

} // namespace

std::unique_ptr<row> make_projection_event() {
  return std::make_unique<by_event>();
}

std::unique_ptr<row> make_projection_batch() {
  return std::make_unique<by_batch>();
}

} // namespace bench
