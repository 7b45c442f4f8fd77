#include "load.hpp"

#include "cpu_time.hpp"
#include "tally.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace bench {

namespace {

using steady = std::chrono::steady_clock;

/// Between a driver and the thread that measures.
struct progress {
  /// Written by the driver alone.
  std::atomic<std::int64_t> answered{0};
  std::atomic<bool> stop{false};

  std::mutex mutex;
  std::condition_variable changed;
  bool drained = false;
  std::string failure;
  /// To be read once the driver has drained.
  std::vector<double> latencies;

  /// Waits until the driver has no commands under way, at most `duration`.
  /// @throws std::runtime_error where an answer was wrong
  bool wait_for_end(steady::duration duration) {
    std::unique_lock guard{mutex};
    changed.wait_for(guard, duration,
                     [this] { return drained || !failure.empty(); });
    if (!failure.empty())
      throw std::runtime_error(failure);
    return drained;
  }
};

/// Sends a command to each of its entities, then to random ones.
class load_driver : public caf::event_based_actor {
public:
  load_driver(caf::actor_config& cfg, std::shared_ptr<progress> state,
              caf::actor region, std::vector<evented::uuid> ids,
              std::size_t in_flight, unsigned seed)
    : caf::event_based_actor(cfg),
      state_(std::move(state)),
      region_(std::move(region)),
      ids_(std::move(ids)),
      versions_(ids_.size(), 0),
      in_flight_(in_flight),
      alone_(in_flight == 1),
      random_(seed) {
    // nop
  }

  const char* name() const override { return "load_driver"; }

  caf::behavior make_behavior() override {
    for (std::size_t i = 0; i < in_flight_; ++i)
      next();
    return {[](evented::detail::tick) {}};
  }

  void on_exit() override { region_ = nullptr; }

private:
  void next() {
    begin_ = steady::now();
    auto i
      = touched_ < ids_.size() ? touched_++ : random_() * ids_.size() >> 32;
    // No timeout: the entities have theirs, and CAF's cost a lock each.
#if EVENTED_CAF < 10000
    request(region_, caf::infinite, ids_[i], add{1})
#else
    mail(ids_[i], add{1})
      .request(region_, caf::infinite)
#endif
      .then([this, i](const evented::accepted& x) { on_accepted(i, x); },
            [this](const caf::error& why) { fail(render(why)); });
  }

  void on_accepted(std::size_t i, const evented::accepted& x) {
    if (x.version != ++versions_[i])
      fail("an entity answered with version " + std::to_string(x.version)
           + " where " + std::to_string(versions_[i]) + " is due");
    if (alone_)
      state_->latencies.push_back(
        std::chrono::duration<double>(steady::now() - begin_).count());
    auto& counter = state_->answered;
    counter.store(counter.load(std::memory_order_relaxed) + 1,
                  std::memory_order_relaxed);
    if (!state_->stop.load(std::memory_order_relaxed)) {
      next();
    } else if (--in_flight_ == 0) {
      std::unique_lock guard{state_->mutex};
      state_->drained = true;
      state_->changed.notify_all();
    }
  }

  std::string render(const caf::error& why) {
#if EVENTED_CAF < 1800
    return system().render(why);
#else
    return caf::to_string(why);
#endif
  }

  void fail(const std::string& why) {
    state_->stop = true;
    std::unique_lock guard{state_->mutex};
    if (state_->failure.empty())
      state_->failure = "a command was not accepted as it should be: " + why;
    state_->changed.notify_all();
  }

  std::shared_ptr<progress> state_;
  caf::actor region_;
  std::vector<evented::uuid> ids_;
  std::vector<std::uint64_t> versions_;
  std::size_t in_flight_;
  /// Whether one command at a time is under way.
  bool alone_;
  steady::time_point begin_;
  std::size_t touched_ = 0;
  std::mt19937 random_;
};

using drivers = std::vector<std::shared_ptr<progress>>;

std::int64_t answered(const drivers& xs) {
  std::int64_t result = 0;
  for (auto& x : xs)
    result += x->answered.load(std::memory_order_relaxed);
  return result;
}

/// Lets time pass, and throws as soon as a driver fails.
void pass(const drivers& xs, steady::duration duration) {
  auto end = steady::now() + duration;
  for (auto now = steady::now(); now < end; now = steady::now())
    for (auto& x : xs)
      x->wait_for_end(std::min<steady::duration>(end - now, 20ms)
                      / static_cast<int>(xs.size()));
}

} // namespace

void set_scheduler(caf::actor_system_config& cfg, const environment& env) {
#if EVENTED_CAF < 1800
  cfg.set("scheduler.policy", env.policy == "sharing" ? caf::atom("sharing")
                                                      : caf::atom("stealing"));
#else
  cfg.set(evented::option_name("scheduler.policy"), env.policy);
#endif
  if (env.threads > 0)
    cfg.set(evented::option_name("scheduler.max-threads"),
            static_cast<std::size_t>(env.threads));
}

load_result run_load(const environment& env, load_options options) {
  if (env.smoke) {
    options.entities = std::min<std::size_t>(options.entities, 100);
    options.in_flight = std::min<std::size_t>(options.in_flight, 100);
  }
  evented::config<caf::id_block::bench> cfg;
  set_scheduler(cfg, env);
  caf::actor_system sys{cfg};
  evented::journal journal{sys, options.journal};
  evented::entity_options<tally> how;
  how.command_timeout = 30s;
  if (!options.view.empty())
    how.listener([upsert = "insert into " + options.view
                           + " values ($1, 1) on conflict (entity_id) do "
                             "update set value = view.value + 1"](
                   evented::committing<tally>& e, evented::transaction& tx) {
      tx.send(upsert, e.id);
    });
  auto region = evented::spawn_entities<tally>(sys, journal, how);

  drivers states;
  std::vector<caf::actor> actors;
  auto count
    = std::min<std::size_t>({env.drivers, options.entities, options.in_flight});
  for (unsigned i = 0; i < count; ++i) {
    std::vector<evented::uuid> ids(options.entities / count);
    for (auto& id : ids)
      id = evented::uuid::v4();
    states.push_back(std::make_shared<progress>());
    actors.push_back(sys.spawn<load_driver>(
      states.back(), region, std::move(ids), options.in_flight / count, i + 1));
  }
  auto stop = [&] {
    for (auto& x : states)
      x->stop = true;
  };

  load_result result;
  try {
    auto warm
      = static_cast<std::int64_t>(2 * options.entities + options.in_flight);
    auto give_up = steady::now() + 120s;
    while (answered(states) < warm) {
      if (steady::now() > give_up)
        throw std::runtime_error("the entities do not answer");
      pass(states, 20ms);
    }
    auto own_cpu = own_cpu_seconds();
    auto server_cpu = server_cpu_seconds(env.server);
    auto begin = steady::now();
    auto first = answered(states);
    pass(states, env.duration);
    auto commands = static_cast<double>(answered(states) - first);
    auto seconds = std::chrono::duration<double>(steady::now() - begin).count();
    auto us = 1e6 / commands;
    result.own_cpu = us * (own_cpu_seconds() - own_cpu);
    result.server_cpu = us * (server_cpu_seconds(env.server) - server_cpu);
    result.commands_per_second = commands / seconds;
    stop();
    for (auto& x : states)
      if (!x->wait_for_end(60s))
        throw std::runtime_error("commands are left without an answer");
    result.accepted = answered(states);
    if (auto& xs = states.front()->latencies; !xs.empty()) {
      auto middle = xs.begin() + static_cast<std::ptrdiff_t>(xs.size() / 2);
      std::nth_element(xs.begin(), middle, xs.end());
      result.median_latency = *middle;
    }
  } catch (...) {
    stop();
    for (auto& x : actors)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    throw;
  }
  for (auto& x : actors)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  return result;
}

} // namespace bench
