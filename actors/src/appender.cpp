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

  appender(caf::actor_config& cfg, std::shared_ptr<store> where,
           std::shared_ptr<frontier_watch> watch,
           std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg), options_(where->options()), counts_(counts) {
    worker_ = spawn_append_worker(system(), std::move(where), std::move(watch),
                                  std::move(counts));
    seam::on_exit(this, [this](caf::exit_msg& x) {
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
        counts_->appends_waiting.add(1);
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
      if (job->stage == append_stage::withdrawn)
        continue;
      if (!pending(*job)) {
        finish(std::move(job));
        continue;
      }
      job->stage
        = maybe_sent(*job) ? append_stage::sent : append_stage::waiting;
      left.push_back(std::move(job));
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
    counts_->appends_waiting.add(-1);
    auto to = caf::actor_cast<caf::actor>(std::move(job->entity));
    job->entity = nullptr;
    seam::send(this, to, append_done{std::move(job)});
  }

  /// Gives jobs back when the time of one of their commands is up: at once
  /// where nothing was sent, so that the entity can decide those anew that have
  /// time left. What was sent goes on as long as anybody waits for it, and the
  /// entity is told of each deadline.
  void look_at_deadlines() {
    auto now = seam::now(this);
    // Returns whether the job has been given back.
    auto look = [this, now](const job_ptr& job, bool with_worker) {
      if (job->stage == append_stage::withdrawn || job->first_deadline > now)
        return false;
      if (job->advance(append_stage::withdrawn)
          || (!with_worker && job->last_deadline <= now)) {
        finish(job);
        return true;
      }
      seam::send(this, caf::actor_cast<caf::actor>(job->entity), overdue{true});
      return false;
    };
    // What the worker has comes back with the batch.
    if (busy_)
      for (auto& job : batch_->jobs)
        look(job, true);
    else
      std::erase_if(batch_->jobs, [&](auto& job) { return look(job, false); });
    std::erase_if(queue_, [&](auto& job) { return look(job, false); });
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
  std::shared_ptr<metrics> counts_;
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

caf::actor spawn_appender(caf::actor_system& sys, std::shared_ptr<store> where,
                          std::shared_ptr<frontier_watch> watch,
                          std::shared_ptr<metrics> counts) {
  return sys.spawn<appender>(std::move(where), std::move(watch),
                             std::move(counts));
}

} // namespace evented::detail
