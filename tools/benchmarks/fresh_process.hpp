#pragma once

#include "bench_journal.hpp"
#include "load.hpp"
#include "tally.hpp"

#include <evented/actors.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace bench {

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

  fresh_process(const fresh_process&) = delete;

  fresh_process& operator=(const fresh_process&) = delete;

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
    auto begin = std::chrono::steady_clock::now();
    sys_->spawn<asker<Command>>(region_, ids, version, std::move(done));
    auto failure = end.get();
    if (!failure.empty())
      throw std::runtime_error(failure);
    return std::chrono::duration<double>(std::chrono::steady_clock::now()
                                         - begin)
      .count();
  }

private:
  evented::config<caf::id_block::bench> cfg_;
  std::optional<caf::actor_system> sys_;
  std::optional<evented::journal> journal_;
  caf::actor region_;
};

} // namespace bench
