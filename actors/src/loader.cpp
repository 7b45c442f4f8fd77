#include "workers.hpp"

#include <deque>

namespace evented::detail {

namespace {

/// Shares the loads among a few workers.
class loader : public caf::event_based_actor {
public:
  using job_ptr = std::shared_ptr<load_job>;

  loader(caf::actor_config& cfg, std::shared_ptr<store> where)
    : caf::event_based_actor(cfg) {
    for (unsigned i = 0; i < where->options().readers; ++i)
      idle_.push_back(spawn_load_worker(system(), where));
    workers_ = idle_;
    set_exit_handler([this](caf::exit_msg& x) {
      stopping_ = true;
      reason_ = std::move(x.reason);
      quit_when_idle();
    });
  }

  const char* name() const override { return "evented.loader"; }

  caf::behavior make_behavior() override {
    return {
      [this](load_order& x) {
        x.job->entity = current_sender();
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
    quit_when_idle();
  }

  void on_worked(load_batch& batch) {
    if (batch.lost) {
      // To the front, in their order.
      for (auto i = batch.jobs.rbegin(); i != batch.jobs.rend(); ++i)
        queue_.push_front(std::move(*i));
      if (!waiting_) {
        waiting_ = true;
        seam::delayed_send(this, backoff(failures_++), retry{});
      }
      keep_ticking();
    } else {
      failures_ = 0;
      for (auto& job : batch.jobs) {
        auto to = caf::actor_cast<caf::actor>(std::move(job->entity));
        job->entity = nullptr;
        seam::send(this, to, load_done{std::move(job)});
      }
    }
    pump();
  }

  void look_at_deadlines() {
    auto now = seam::now(this);
    auto remind = [&](load_job& job) {
      if (job.cancelled || job.first_deadline > now)
        return;
      seam::send(this, caf::actor_cast<caf::actor>(job.entity), overdue{false});
      // The entity cancels what it no longer wants; else it is asked again.
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

caf::actor spawn_loader(caf::actor_system& sys, std::shared_ptr<store> where) {
  return sys.spawn<loader>(std::move(where));
}

} // namespace evented::detail
