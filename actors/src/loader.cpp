#include "recovery.hpp"
#include "workers.hpp"

#include <algorithm>
#include <deque>
#include <span>

namespace evented::detail {

namespace {

/// Shares the loads among a few workers.
class loader : public caf::event_based_actor {
public:
  using job_ptr = std::shared_ptr<load_job>;

  loader(caf::actor_config& cfg, std::shared_ptr<store> where,
         std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg), counts_(counts) {
    for (unsigned i = 0; i < where->options().readers; ++i)
      idle_.push_back(spawn_load_worker(system(), where, counts));
    workers_ = idle_;
    seam::on_exit(this, [this](caf::exit_msg& x) {
      stopping_ = true;
      reason_ = std::move(x.reason);
      quit_when_idle();
    });
  }

  const char* name() const override { return "evented.loader"; }

  caf::behavior make_behavior() override {
    return {
      [this](load_order& x) {
        x.job->owner = current_sender();
        queue_.push_back(std::move(x.job));
        pump();
        keep_ticking();
      },
      [this](load_worked& x) {
        idle_.push_back(caf::actor_cast<caf::actor>(current_sender()));
        std::erase(running_, x.batch);
        on_worked(*x.batch);
      },
      [this](retry) {
        waiting_ = false;
        pump();
      },
      [this](tick) {
        ticking_ = false;
        look_at_deadlines();
        keep_ticking();
      },
    };
  }

  void on_exit() override {
    for (auto& x : workers_)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    workers_.clear();
    idle_.clear();
  }

private:
  /// How many entities one query loads at most.
  static constexpr std::size_t max_batch = 128;

  void pump() {
    while (!waiting_ && !idle_.empty() && !queue_.empty()) {
      auto batch = std::make_shared<load_batch>();
      while (!queue_.empty() && batch->jobs.size() < max_batch) {
        if (!queue_.front()->cancelled)
          batch->jobs.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      if (batch->jobs.empty())
        break;
      auto worker = std::move(idle_.back());
      idle_.pop_back();
      running_.push_back(batch);
      seam::send(this, worker, load_work{std::move(batch)});
    }
    counts_->loads_waiting.set(static_cast<std::int64_t>(queue_.size()));
    quit_when_idle();
  }

  void on_worked(load_batch& batch) {
    if (batch.lost) {
      // To the front, in their order.
      queue_.insert(queue_.begin(), batch.jobs.begin(), batch.jobs.end());
      if (!waiting_) {
        waiting_ = true;
        seam::delayed_send(this, backoff(failures_++), retry{});
      }
      keep_ticking();
    } else {
      failures_ = 0;
      auto done = std::stable_partition(batch.jobs.begin(), batch.jobs.end(),
                                        [](auto& x) { return !x->finished(); });
      queue_.insert(queue_.begin(), batch.jobs.begin(), done);
      answer({done, batch.jobs.end()});
    }
    pump();
  }

  void answer(std::span<job_ptr> done) {
    // Those that wake up together have one owner, the region.
    while (!done.empty()) {
      auto owner = done.front()->owner;
      load_done answer;
      while (!done.empty() && done.front()->owner == owner) {
        answer.jobs.push_back(std::move(done.front()));
        done = done.subspan(1);
      }
      for (auto& job : answer.jobs)
        job->owner = nullptr;
      seam::send(this, caf::actor_cast<caf::actor>(owner), std::move(answer));
    }
  }

  void look_at_deadlines() {
    auto now = seam::now(this);
    auto remind = [&](load_job& job) {
      if (job.cancelled || job.first_deadline > now)
        return;
      seam::send(this, caf::actor_cast<caf::actor>(job.owner),
                 overdue{false, job.incarnation});
      // The owner cancels what it no longer wants; else it is asked again.
      job.first_deadline = now + std::chrono::milliseconds{500};
    };
    std::erase_if(queue_, [](auto& x) { return x->cancelled.load(); });
    for (auto& job : queue_)
      remind(*job);
    // A worker may hang on a connection that is dead.
    for (auto& batch : running_)
      for (auto& job : batch->jobs)
        remind(*job);
    quit_when_idle();
  }

  void keep_ticking() {
    if (ticking_ || (queue_.empty() && running_.empty()))
      return;
    ticking_ = true;
    seam::delayed_send(this, tick_interval, tick{});
  }

  void quit_when_idle() {
    if (stopping_ && queue_.empty() && idle_.size() == workers_.size())
      quit(reason_);
  }

  std::shared_ptr<metrics> counts_;
  std::vector<caf::actor> workers_;
  std::vector<caf::actor> idle_;
  std::deque<job_ptr> queue_;
  std::vector<std::shared_ptr<load_batch>> running_;
  bool waiting_ = false;
  bool ticking_ = false;
  bool stopping_ = false;
  unsigned failures_ = 0;
  caf::error reason_;
};

} // namespace

caf::actor spawn_loader(caf::actor_system& sys, std::shared_ptr<store> where,
                        std::shared_ptr<metrics> counts) {
  return sys.spawn<loader>(std::move(where), std::move(counts));
}

} // namespace evented::detail
