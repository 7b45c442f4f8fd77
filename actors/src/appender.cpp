#include "workers.hpp"

#include <deque>

namespace evented::detail {

namespace {

bool pending(const append_job& job) {
  for (auto& step : job.request.steps)
    if (step.status == append_status::pending)
      return true;
  return false;
}

bool maybe_sent(const append_job& job) {
  for (auto& step : job.request.steps)
    if (step.maybe_sent)
      return true;
  return false;
}

/// Collects the appends that arrive while the last commit is under way and
/// stores them with the next one.
class appender : public caf::event_based_actor {
public:
  using job_ptr = std::shared_ptr<append_job>;

  appender(caf::actor_config& cfg, std::shared_ptr<store> where)
    : caf::event_based_actor(cfg), options_(where->options()) {
    worker_ = spawn_append_worker(system(), std::move(where));
    set_exit_handler([this](caf::exit_msg& x) {
      stopping_ = true;
      reason_ = std::move(x.reason);
      quit_when_idle();
    });
  }

  const char* name() const override { return "evented.appender"; }

  caf::behavior make_behavior() override {
    return {
      [this](append_order& x) {
        x.job->entity = current_sender();
        queue_.push_back(std::move(x.job));
        pump();
        keep_ticking();
      },
      [this](append_worked& x) { on_worked(*x.batch); },
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
    caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
    worker_ = nullptr;
  }

private:
  /// Gives the worker something to do, if it has nothing.
  void pump() {
    if (busy_ || waiting_)
      return;
    if (batch_->jobs.empty()) {
      std::size_t bytes = 0;
      std::size_t commands = 0;
      while (!queue_.empty()) {
        auto& job = queue_.front();
        commands += job->request.steps.size();
        bytes += job->bytes;
        auto full = commands > options_.max_batch_commands
                    || bytes > options_.max_batch_bytes;
        if (full && !batch_->jobs.empty())
          break;
        batch_->jobs.push_back(std::move(job));
        queue_.pop_front();
      }
      failures_ = 0;
    }
    if (batch_->jobs.empty()) {
      quit_when_idle();
      return;
    }
    busy_ = true;
    seam::send(this, worker_, append_work{batch_});
  }

  void on_worked(append_batch& batch) {
    busy_ = false;
    std::vector<job_ptr> left;
    for (auto& job : batch.jobs) {
      if (pending(*job))
        left.push_back(std::move(job));
      else
        finish(std::move(job));
    }
    batch.jobs = std::move(left);
    if (!batch.jobs.empty() && batch.pause) {
      waiting_ = true;
      seam::delayed_send(this, backoff(failures_++), retry{});
      look_at_deadlines();
    }
    pump();
  }

  void finish(job_ptr job) {
    auto to = caf::actor_cast<caf::actor>(std::move(job->entity));
    job->entity = nullptr;
    seam::send(this, to, append_done{std::move(job)});
  }

  /// Reminds entities of commands whose time is up, and gives up on jobs of
  /// which none has any left.
  void look_at_deadlines() {
    auto now = clock::now();
    auto remind = [this](const job_ptr& job, bool sent) {
      seam::send(this, caf::actor_cast<caf::actor>(job->entity), overdue{sent});
    };
    auto look = [&](auto& jobs) {
      for (auto i = jobs.begin(); i != jobs.end();) {
        if ((*i)->last_deadline <= now) {
          finish(std::move(*i));
          i = jobs.erase(i);
        } else {
          if ((*i)->first_deadline <= now)
            remind(*i, maybe_sent(**i));
          ++i;
        }
      }
    };
    if (!busy_)
      look(batch_->jobs);
    else
      // The worker's thread owns the steps now: believe the worst.
      for (auto& job : batch_->jobs)
        if (job->first_deadline <= now)
          remind(job, batch_->sending || failures_ > 0);
    look(queue_);
  }

  void keep_ticking() {
    if (ticking_ || (queue_.empty() && batch_->jobs.empty()))
      return;
    ticking_ = true;
    seam::delayed_send(this, tick_interval, tick{});
  }

  void quit_when_idle() {
    if (stopping_ && !busy_ && queue_.empty() && batch_->jobs.empty())
      quit(reason_);
  }

  journal_options options_;
  caf::actor worker_;
  std::deque<job_ptr> queue_;
  std::shared_ptr<append_batch> batch_ = std::make_shared<append_batch>();
  /// Whether the worker has the batch.
  bool busy_ = false;
  /// Whether a pause is under way before the batch is tried again.
  bool waiting_ = false;
  bool ticking_ = false;
  bool stopping_ = false;
  unsigned failures_ = 0;
  caf::error reason_;
};

} // namespace

caf::actor spawn_appender(caf::actor_system& sys,
                          std::shared_ptr<store> where) {
  return sys.spawn<appender>(std::move(where));
}

} // namespace evented::detail
