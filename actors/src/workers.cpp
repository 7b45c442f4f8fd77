#include "workers.hpp"

#include "lazy_session.hpp"
#include "recovery.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace evented::detail {

namespace {

thread_local std::minstd_rand jitter{std::random_device{}()};

} // namespace

void seed_backoff(unsigned seed) {
  jitter.seed(seed);
}

std::chrono::milliseconds backoff(unsigned failures) {
  auto most = std::min(1000u, 10u << std::min(failures, 7u));
  return std::chrono::milliseconds{
    std::uniform_int_distribution<unsigned>{5, most}(jitter)};
}

namespace {

class append_worker : public caf::event_based_actor {
public:
  append_worker(caf::actor_config& cfg, std::shared_ptr<store> where,
                std::shared_ptr<frontier_watch> watch,
                std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg),
      session_(std::move(where), counts),
      watch_(std::move(watch)),
      counts_(std::move(counts)) {
    // nop
  }

  const char* name() const override { return "evented.append_worker"; }

  caf::behavior make_behavior() override {
    return {[this](append_work& work) {
      auto stored = run(*work.batch);
      seam::send(this, caf::actor_cast<caf::actor>(current_sender()),
                 append_worked{std::move(work.batch)});
      // Answers first: whoever waits for one is closer than who reads on.
      if (stored)
        watch_->committed();
    }};
  }

private:
  /// Returns whether events were stored.
  bool run(append_batch& batch) {
    std::size_t stored = 0;
    batch.pause = false;
    batch.lost = false;
    try {
      auto& session = session_.get();
      std::vector<append_request*> requests;
      requests.reserve(batch.jobs.size());
      // Connecting may have taken long; what was withdrawn meanwhile has been
      // answered with `errc::unavailable` and must never be stored.
      for (auto& job : batch.jobs)
        if (job->advance(append_stage::sent))
          requests.push_back(&job->request);
      auto begin = clock::now();
      auto commands = count_steps(requests);
      if (!requests.empty() && !session.append(requests))
        batch.pause = is_blocked(requests);
      stored = count_stored(requests);
      counts_->events_stored.add(stored);
      if (commands > 0) {
        counts_->commit_time.observe(clock::now() - begin);
        counts_->batch_commands.observe(commands);
        counts_->batch_bytes.observe(count_bytes(batch));
      }
    } catch (const std::exception& e) {
      session_.drop(e);
      batch.pause = true;
      batch.lost = true;
    }
    return stored > 0;
  }

  /// Returns how many commands this attempt is about.
  static std::size_t count_steps(const std::vector<append_request*>& requests) {
    std::size_t result = 0;
    for (auto* request : requests)
      for (auto& step : request->steps)
        result += step.status == append_status::pending ? 1 : 0;
    return result;
  }

  static std::size_t count_bytes(const append_batch& batch) {
    std::size_t result = 0;
    for (auto& job : batch.jobs)
      if (job->stage == append_stage::sent)
        result += job->bytes;
    return result;
  }

  static std::size_t
  count_stored(const std::vector<append_request*>& requests) {
    std::size_t result = 0;
    for (auto* request : requests)
      for (auto& step : request->steps)
        if (step.status == append_status::stored)
          result += step.events.size();
    return result;
  }

  static bool is_blocked(const std::vector<append_request*>& requests) {
    for (auto* request : requests)
      for (auto& step : request->steps)
        if (step.status == append_status::pending && !step.message.empty())
          return true;
    return false;
  }

  lazy_session session_;
  std::shared_ptr<frontier_watch> watch_;
  std::shared_ptr<metrics> counts_;
};

class load_worker : public caf::event_based_actor {
public:
  load_worker(caf::actor_config& cfg, std::shared_ptr<store> where,
              std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg),
      session_(std::move(where), counts),
      counts_(std::move(counts)) {
    // nop
  }

  const char* name() const override { return "evented.load_worker"; }

  caf::behavior make_behavior() override {
    return {[this](load_work& work) {
      run(*work.batch);
      seam::send(this, caf::actor_cast<caf::actor>(current_sender()),
                 load_worked{std::move(work.batch)});
    }};
  }

private:
  /// How many events one query fetches at most.
  static constexpr std::size_t max_events = 4096;

  void run(load_batch& batch) {
    batch.lost = false;
    std::vector<load_request> requests;
    requests.reserve(batch.jobs.size());
    for (auto& job : batch.jobs)
      requests.push_back(job->next());
    try {
      auto& session = session_.get();
      auto begin = clock::now();
      auto found = session.load(requests, max_events);
      counts_->load_time.observe(clock::now() - begin);
      counts_->load_entities.observe(batch.jobs.size());
      for (std::size_t i = 0; i < batch.jobs.size(); ++i) {
        counts_->events_loaded.add(found[i].events.size());
        batch.jobs[i]->take(found[i]);
      }
    } catch (const connection_lost& e) {
      session_.drop(e);
      batch.lost = true;
    } catch (const sql_error& e) {
      // Class 42: a missing table or privilege; no attempt mends that. All else
      // may pass.
      if (!e.sqlstate().starts_with("42")) {
        session_.drop(e);
        batch.lost = true;
      } else {
        fail(batch, error{errc::refused, e.what()});
      }
    } catch (const error& e) {
      fail(batch, e);
    } catch (const std::exception& e) {
      session_.drop(e);
      batch.lost = true;
    }
  }

  static void fail(load_batch& batch, const error& why) {
    for (auto& job : batch.jobs)
      job->fail(why.code(), why.what());
  }

  lazy_session session_;
  std::shared_ptr<metrics> counts_;
};

} // namespace

caf::actor spawn_append_worker(caf::actor_system& sys,
                               std::shared_ptr<store> where,
                               std::shared_ptr<frontier_watch> watch,
                               std::shared_ptr<metrics> counts) {
  return spawn_worker<append_worker>(sys, std::move(where), std::move(watch),
                                     std::move(counts));
}

caf::actor spawn_load_worker(caf::actor_system& sys,
                             std::shared_ptr<store> where,
                             std::shared_ptr<metrics> counts) {
  return spawn_worker<load_worker>(sys, std::move(where), std::move(counts));
}

} // namespace evented::detail
