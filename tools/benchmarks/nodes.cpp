// What it costs to reach an entity, here and on another node, and what a second
// node brings.

#include "bench_journal.hpp"
#include "load.hpp"
#include "node_process.hpp"
#include "row.hpp"
#include "tally.hpp"

#include <evented/actors/cluster.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

namespace bench {

namespace {

using steady = std::chrono::steady_clock;

// -- load ---------------------------------------------------------------------

/// What the senders of a load share.
struct tallied {
  std::atomic<std::int64_t> answered{0};
  std::atomic<bool> stop{false};
  std::atomic<int> running{0};

  std::mutex mutex;
  std::string failure;
  /// In microseconds.
  std::vector<double> latencies;
};

/// Keeps so many messages under way, each to a random one of its IDs.
template <class Message, class Answer>
class sender : public caf::event_based_actor {
public:
  sender(caf::actor_config& cfg, caf::actor to, std::vector<evented::uuid> ids,
         Message message, std::size_t in_flight, tallied& with)
    : caf::event_based_actor(cfg),
      to_(std::move(to)),
      ids_(std::move(ids)),
      message_(message),
      in_flight_(in_flight),
      alone_(in_flight == 1),
      tallied_(with) {
    ++tallied_.running;
  }

  caf::behavior make_behavior() override {
    for (std::size_t i = 0; i < in_flight_; ++i)
      next();
    return {[](evented::detail::tick) {}};
  }

  void on_exit() override {
    to_ = nullptr;
    std::lock_guard guard{tallied_.mutex};
    tallied_.latencies.insert(tallied_.latencies.end(), latencies_.begin(),
                              latencies_.end());
    --tallied_.running;
  }

private:
  void next() {
    begin_ = steady::now();
    // Each once at first, so that all are awake.
    auto i = touched_ < ids_.size() ? touched_++ : random_() % ids_.size();
#if EVENTED_CAF < 10000
    request(to_, caf::infinite, ids_[i], message_)
#else
    mail(ids_[i], message_)
      .request(to_, caf::infinite)
#endif
      .then([this](const Answer&) { on_answer(); },
            [this](const caf::error& why) {
              std::lock_guard guard{tallied_.mutex};
              tallied_.failure = evented::render(system(), why);
              quit();
            });
  }

  void on_answer() {
    ++tallied_.answered;
    if (alone_)
      latencies_.push_back(
        std::chrono::duration<double, std::micro>(steady::now() - begin_)
          .count());
    if (!tallied_.stop)
      next();
    else if (--in_flight_ == 0)
      quit();
  }

  caf::actor to_;
  std::vector<evented::uuid> ids_;
  Message message_;
  std::size_t in_flight_;
  bool alone_;
  tallied& tallied_;
  std::size_t touched_ = 0;
  std::mt19937 random_{1};
  steady::time_point begin_;
  std::vector<double> latencies_;
};

/// What came of it.
struct outcome {
  double per_second = 0;
  /// Where one sender had one message under way.
  double median_us = 0;
};

template <class Answer, class Message>
outcome put_load(const environment& env, caf::actor_system& sys,
                 const caf::actor& to, Message message, std::size_t senders,
                 std::size_t in_flight, std::size_t entities) {
  tallied all;
  for (std::size_t i = 0; i < senders; ++i) {
    std::vector<evented::uuid> ids(entities / senders);
    for (auto& id : ids)
      id = evented::uuid::v4();
    sys.spawn<sender<Message, Answer>>(to, std::move(ids), message, in_flight,
                                       std::ref(all));
  }
  auto failed = [&] {
    std::lock_guard guard{all.mutex};
    return !all.failure.empty();
  };
  auto until = [&](steady::time_point end, auto&& done) {
    while (steady::now() < end && !failed() && !done())
      std::this_thread::sleep_for(5ms);
  };
  auto warm = static_cast<std::int64_t>(2 * entities);
  until(steady::now() + 120s, [&] { return all.answered >= warm; });
  auto before = all.answered.load();
  auto begin = steady::now();
  until(begin + env.duration, [] { return false; });
  outcome result;
  result.per_second
    = static_cast<double>(all.answered - before)
      / std::chrono::duration<double>(steady::now() - begin).count();
  all.stop = true;
  auto give_up = steady::now() + 120s;
  while (all.running > 0 && steady::now() < give_up)
    std::this_thread::sleep_for(5ms);
  if (failed())
    throw std::runtime_error(all.failure);
  if (all.running > 0 || before < warm)
    throw std::runtime_error("messages are left without an answer");
  auto& xs = all.latencies;
  if (xs.size() > 2 * entities) {
    // Without those that woke the entities up.
    xs.erase(xs.begin(), xs.begin() + static_cast<std::ptrdiff_t>(entities));
    auto middle = xs.begin() + static_cast<std::ptrdiff_t>(xs.size() / 2);
    std::nth_element(xs.begin(), middle, xs.end());
    result.median_us = *middle;
  }
  return result;
}

// -- processes ----------------------------------------------------------------

/// This process, which sends to the entities of so many nodes.
class front {
public:
  front(const environment& env, const bench_journal& where, std::size_t nodes) {
    for (std::size_t i = 0; i < nodes; ++i)
      nodes_.push_back(
        std::make_unique<node_process>(where, "n" + std::to_string(i + 1)));
    set_scheduler(cfg_, env);
    evented::use_nodes(cfg_);
    sys_.emplace(cfg_);
    journal_.emplace(*sys_, where.options());
    evented::cluster_options how;
    how.name = "front";
    how.owns_entities = false;
    cluster_.emplace(*sys_, *journal_, how);
    tallies_ = evented::spawn_entities<tally>(*sys_, *journal_, *cluster_);
    auto give_up = steady::now() + 60s;
    while (!settled()) {
      if (steady::now() > give_up)
        throw std::runtime_error("the nodes do not share their shards");
      std::this_thread::sleep_for(10ms);
    }
  }

  front(const front&) = delete;

  front& operator=(const front&) = delete;

  caf::actor_system& sys() { return *sys_; }

  /// Stands for the entities.
  const caf::actor& tallies() const { return tallies_; }

  /// Returns the actor on the first node that is no entity.
  caf::actor plain() {
    auto found
      = sys_->middleman().remote_actor("127.0.0.1", nodes_.front()->port());
    if (!found)
      throw std::runtime_error("a node cannot be reached");
    return *found;
  }

private:
  bool settled() const {
    std::size_t owners = 0;
    auto shards = 0;
    for (auto& x : cluster_->state().nodes) {
      owners += x.shards > 0 && x.linked ? 1 : 0;
      shards += x.shards;
    }
    return owners == nodes_.size() && shards == 256;
  }

  // In the order in which they are made; the nodes go last.
  std::vector<std::unique_ptr<node_process>> nodes_;
  evented::config<caf::id_block::bench> cfg_;
  std::optional<caf::actor_system> sys_;
  std::optional<evented::journal> journal_;
  std::optional<evented::cluster> cluster_;
  caf::actor tallies_;
};

/// A row with a journal of its own.
class node_row : public row {
public:
  node_row(std::string name, std::string unit, const std::string& schema)
    : name_(std::move(name)),
      unit_(std::move(unit)),
      journal_("evented_bench_" + schema) {
    // nop
  }

  std::string name() const override { return name_; }

  std::string unit() const override { return unit_; }

  void prepare(const environment& env) override {
    journal_.fill(env.url, 0, 0);
  }

protected:
  /// Prints a measurement and returns it.
  double told(const char* what, double x, const char* unit) const {
    std::printf("  %s: %s %.1f %s\n", name_.c_str(), what, x, unit);
    return x;
  }

  std::string name_;
  std::string unit_;
  bench_journal journal_;
};

// -- one message at a time ----------------------------------------------------

/// The median of one query at a time to entities that are awake.
double median_of(const environment& env, caf::actor_system& sys,
                 const caf::actor& to) {
  return put_load<std::uint64_t>(env, sys, to, compute{1}, 1, 1,
                                 env.smoke ? 10 : 100)
    .median_us;
}

class hop_region : public node_row {
public:
  hop_region() : node_row("hop.region", "us, less is better", "hop_region") {
    // nop
  }

  double ours(const environment& env) override {
    evented::config<caf::id_block::bench> cfg;
    set_scheduler(cfg, env);
    caf::actor_system sys{cfg};
    evented::journal journal{sys, journal_.options()};
    auto tallies = evented::spawn_entities<tally>(sys, journal);
    return told("a query through the region", median_of(env, sys, tallies),
                "us");
  }

  double baseline(const environment& env) override {
    evented::config<caf::id_block::bench> cfg;
    set_scheduler(cfg, env);
    caf::actor_system sys{cfg};
    return told("a request to an actor", median_of(env, sys, spawn_plain(sys)),
                "us");
  }
};

class hop_remote : public node_row {
public:
  hop_remote() : node_row("hop.remote", "us, less is better", "hop_remote") {
    // nop
  }

  double ours(const environment& env) override {
    front here{env, journal_, 1};
    return told("a query to an entity of another node",
                median_of(env, here.sys(), here.tallies()), "us");
  }

  double baseline(const environment& env) override {
    front here{env, journal_, 1};
    return told("a request to an actor in another process",
                median_of(env, here.sys(), here.plain()), "us");
  }
};

// -- a second node ------------------------------------------------------------

/// @param Message what is sent to 2000 entities: `compute`, whose answers take a
///        core most of its time, or `add`, which the database carries
template <class Message, class Answer>
class second_node : public node_row {
public:
  using node_row::node_row;

  double ours(const environment& env) override { return load(env, 2); }

  double baseline(const environment& env) override { return load(env, 1); }

private:
  double load(const environment& env, std::size_t nodes) {
    front here{env, journal_, nodes};
    constexpr auto computes = std::is_same_v<Message, compute>;
    auto x = put_load<Answer>(
      env, here.sys(), here.tallies(), computes ? Message{500'000} : Message{1},
      computes ? 4 : 32, computes ? 16 : 128, env.smoke ? 32 : 2048);
    return told(nodes == 1 ? "one node" : "two nodes", x.per_second, "/s");
  }
};

} // namespace

std::unique_ptr<row> make_hop_region() {
  return std::make_unique<hop_region>();
}

std::unique_ptr<row> make_hop_remote() {
  return std::make_unique<hop_remote>();
}

std::unique_ptr<row> make_nodes_scaling() {
  return std::make_unique<second_node<compute, std::uint64_t>>(
    "nodes.scaling", "queries/s", "nodes_scaling");
}

std::unique_ptr<row> make_append_scaling_nodes() {
  return std::make_unique<second_node<add, evented::accepted>>(
    "append.scaling_nodes", "commands/s", "scaling_nodes");
}

} // namespace bench
