// What an entity takes while it is awake and has nothing to do.

#include "fresh_process.hpp"
#include "row.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <cstdio>
#include <malloc.h>

namespace bench {

namespace {

/// What this process has taken from the heap, without what it has given back.
double heap() {
  auto x = mallinfo2();
  return static_cast<double>(x.uordblks + x.hblkhd);
}

class bare_actor : public caf::event_based_actor {
public:
  using caf::event_based_actor::event_based_actor;

  caf::behavior make_behavior() override {
    return {[](add x) { return x.inc; }};
  }
};

class entity_memory : public row {
public:
  std::string name() const override { return "entity.memory"; }

  std::string unit() const override { return "bytes, less is better"; }

  void prepare(const environment& env) override {
    if (env.smoke)
      count_ = 1000;
    journal_.fill(env.url, 1, 1);
  }

  /// Above the state, with what the region keeps of each.
  double ours(const environment& env) override {
    fresh_process process{env, journal_};
    // What comes once is there before.
    process.connect();
    std::vector<evented::uuid> ids(count_);
    for (auto& id : ids)
      id = evented::uuid::v4();
    auto before = heap();
    process.ask_all<look>(ids, 0);
    auto result
      = (heap() - before) / static_cast<double>(count_) - sizeof(tally);
    std::printf("  %s: ours %.0f bytes\n", name().c_str(), result);
    return result;
  }

  double baseline(const environment& env) override {
    evented::config<caf::id_block::bench> cfg;
    set_scheduler(cfg, env);
    caf::actor_system sys{cfg};
    std::vector<caf::actor> actors;
    actors.reserve(count_);
    auto before = heap();
    for (std::size_t i = 0; i < count_; ++i)
      actors.push_back(sys.spawn<bare_actor>());
    auto result = (heap() - before) / static_cast<double>(count_);
    std::printf("  %s: baseline %.0f bytes, a bare actor\n", name().c_str(),
                result);
    for (auto& x : actors)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    return result;
  }

private:
  std::size_t count_ = 50'000;

  bench_journal journal_{"evented_bench_memory"};
};

} // namespace

std::unique_ptr<row> make_entity_memory() {
  return std::make_unique<entity_memory>();
}

} // namespace bench
