#include "database.hpp"
#include "load.hpp"
#include "row.hpp"
#include "tally.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <unordered_map>
#include <vector>

using namespace std::chrono_literals;

namespace bench {

namespace {

using steady = std::chrono::steady_clock;

constexpr const char* schema = "evented_bench_lag";

/// When each event was answered, and when it was in the view.
struct times {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, steady::time_point> answered;
  std::unordered_map<std::uint64_t, steady::time_point> visible;
  std::string failure;
  std::atomic<bool> stop{false};
  std::atomic<bool> drained{false};
};

/// Sends commands to random entities, as many in a second as it is told.
class pacer : public caf::event_based_actor {
public:
  pacer(caf::actor_config& cfg, std::shared_ptr<times> state, caf::actor region,
        double rate)
    : caf::event_based_actor(cfg),
      state_(std::move(state)),
      region_(std::move(region)),
      rate_(rate) {
    for (auto& id : ids_)
      id = evented::uuid::v4();
  }

  const char* name() const override { return "pacer"; }

  caf::behavior make_behavior() override {
    evented::seam::send(this, this, evented::detail::tick{});
    return {[this](evented::detail::tick) {
      if (state_->stop) {
        if (under_way_ == 0)
          state_->drained = true;
        else
          evented::seam::delayed_send(this, 1ms, evented::detail::tick{});
        return;
      }
      auto due
        = std::chrono::duration<double>(steady::now() - begin_).count() * rate_;
      for (; static_cast<double>(sent_) < due; ++sent_)
        next();
      evented::seam::delayed_send(this, 1ms, evented::detail::tick{});
    }};
  }

  void on_exit() override { region_ = nullptr; }

private:
  void next() {
    ++under_way_;
    auto& id = ids_[random_() % ids_.size()];
#if EVENTED_CAF < 10000
    request(region_, caf::infinite, id, add{1})
#else
    mail(id, add{1})
      .request(region_, caf::infinite)
#endif
      .then(
        [this](const evented::accepted& x) {
          auto now = steady::now();
          --under_way_;
          std::lock_guard guard{state_->mutex};
          state_->answered.emplace(x.seq_no, now);
        },
        [this](const caf::error& why) {
          --under_way_;
          std::lock_guard guard{state_->mutex};
          state_->failure = evented::render(system(), why);
        });
  }

  std::shared_ptr<times> state_;
  caf::actor region_;
  double rate_;
  steady::time_point begin_ = steady::now();
  std::int64_t sent_ = 0;
  std::int64_t under_way_ = 0;
  std::minstd_rand random_{1};
  std::vector<evented::uuid> ids_ = std::vector<evented::uuid>(1000);
};

void drop_schema(const std::string& url) {
  connection{url}.run(std::string{"drop schema if exists "} + schema
                      + " cascade");
}

/// The median time from the reply of a command to its event in the view.
class projection_lag : public row {
public:
  projection_lag(std::string name, double rate)
    : name_(std::move(name)), rate_(rate) {
    // nop
  }

  ~projection_lag() override {
    try {
      if (!url_.empty())
        drop_schema(url_);
    } catch (const std::exception&) {
      // The next run does it.
    }
  }

  std::string name() const override { return name_; }

  std::string unit() const override { return "ms"; }

  void prepare(const environment& env) override { url_ = env.url; }

  double ours(const environment& env) override {
    drop_schema(url_);
    checkpoint(url_);
    evented::config<caf::id_block::bench> cfg;
    set_scheduler(cfg, env);
    caf::actor_system sys{cfg};
    evented::journal_options where;
    where.url = url_;
    where.schema = schema;
    evented::journal journal{sys, where};
    evented::sql(journal, std::string{"create table "} + schema
                            + ".view (entity_id uuid primary key, value "
                              "bigint not null)");
    auto state = std::make_shared<times>();
    auto region = evented::spawn_entities<tally>(sys, journal);
    auto view = evented::spawn_projection<tally>(
      sys, journal, "view",
      [state, upsert = std::string{"insert into "} + schema
                       + ".view values ($1, $2) on conflict (entity_id) do "
                         "update set value = view.value + excluded.value"](
        const evented::recorded<tally>& e, evented::transaction& tx,
        evented::effects& fx) {
        tx.send(upsert, e.id, e.as<added>()->inc);
        fx.then(e, [state, seq_no = e.seq_no] {
          auto now = steady::now();
          std::lock_guard guard{state->mutex};
          state->visible.emplace(seq_no, now);
        });
      });
    auto sender = sys.spawn<pacer>(state, region, rate_);
    std::this_thread::sleep_for(env.duration);
    state->stop = true;
    auto all = [&] {
      std::lock_guard guard{state->mutex};
      return state->drained && state->visible.size() >= state->answered.size();
    };
    auto deadline = steady::now() + 60s;
    while (!all() && steady::now() < deadline)
      std::this_thread::sleep_for(1ms);
    caf::anon_send_exit(sender, caf::exit_reason::user_shutdown);
    std::vector<double> found;
    std::lock_guard guard{state->mutex};
    if (!state->failure.empty())
      throw std::runtime_error("a command failed: " + state->failure);
    for (auto& [seq_no, at] : state->answered) {
      auto seen = state->visible.find(seq_no);
      if (seen == state->visible.end())
        throw std::runtime_error("an event has not reached the view");
      found.push_back(
        std::chrono::duration<double, std::milli>(seen->second - at).count());
    }
    if (found.empty())
      throw std::runtime_error("nothing was answered");
    std::sort(found.begin(), found.end());
    auto part = [&](double x) {
      return found[static_cast<std::size_t>(
        x * static_cast<double>(found.size() - 1))];
    };
    std::printf("  %s: %zu events, median %.2f ms, 95 %% %.2f ms, 99 %% %.2f "
                "ms\n",
                name_.c_str(), found.size(), part(0.5), part(0.95), part(0.99));
    return part(0.5);
  }

  /// The bound that it has to keep.
  double baseline(const environment&) override { return 5; }

private:
  std::string name_;
  double rate_;
  std::string url_;
};

} // namespace

std::unique_ptr<row> make_projection_lag() {
  return std::make_unique<projection_lag>("projection.lag", 5000);
}

std::unique_ptr<row> make_projection_lag_1000() {
  return std::make_unique<projection_lag>("projection.lag_1000", 1000);
}

} // namespace bench
