#include "lazy_session.hpp"
#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <deque>
#include <map>
#include <string>

namespace evented::detail {

namespace {

/// How many commands are forgotten with one statement.
constexpr std::size_t forget_at_once = 1000;

class snapshot_worker : public caf::event_based_actor {
public:
  snapshot_worker(caf::actor_config& cfg, std::shared_ptr<store> where,
                  std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg),
      session_(std::move(where), counts),
      counts_(std::move(counts)) {
    // nop
  }

  const char* name() const override { return "evented.snapshot_worker"; }

  caf::behavior make_behavior() override {
    return {
      [this](snapshot_work& x) {
        std::size_t written = 0;
        guarded([&] { write(x.jobs, written); });
        for (auto& job : x.jobs)
          job->done = true;
        counts_->snapshots_written.add(written);
        counts_->snapshots_failed.add(x.jobs.size() - written);
        return snapshot_worked{};
      },
      [this](const forget_order& x) {
        guarded([&] {
          while (
            session_.get().forget_commands(x.type_name, x.age, forget_at_once)
            == forget_at_once) {
            // Go on, one transaction each.
          }
        });
        return snapshot_worked{};
      },
    };
  }

private:
  /// Neither snapshots nor forgetting are needed: what fails is left to the next
  /// time.
  template <class F>
  void guarded(F&& f) {
    try {
      f();
      failing_ = false;
    } catch (const connection_lost& e) {
      session_.drop(e);
    } catch (const std::exception& e) {
      if (!failing_)
        SPDLOG_WARN("evented: snapshots cannot be written, or old commands not "
                    "be forgotten: {}; trying again with the next ones",
                    e.what());
      failing_ = true;
    }
  }

  void write(const std::vector<std::shared_ptr<snapshot_job>>& jobs,
             std::size_t& written) {
    auto& session = session_.get();
    // One statement per number of snapshots to keep: it is the same for a type.
    std::vector<new_snapshot> batch;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      auto& job = *jobs[i];
      try {
        job.value.state = job.encode();
        batch.push_back(std::move(job.value));
      } catch (const std::exception& e) {
        SPDLOG_WARN("evented: {} {}: a snapshot cannot be encoded: {}",
                    job.value.type_name, to_string(job.value.id), e.what());
      }
      if (!batch.empty()
          && (i + 1 == jobs.size() || jobs[i + 1]->keep != job.keep)) {
        session.save_snapshots(batch, job.keep);
        written += batch.size();
        batch.clear();
      }
    }
  }

  lazy_session session_;
  std::shared_ptr<metrics> counts_;
  bool failing_ = false;
};

/// Collects what arrives while the worker is busy.
class snapshot_writer : public caf::event_based_actor {
public:
  snapshot_writer(caf::actor_config& cfg, std::shared_ptr<store> where,
                  std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg),
      where_(std::move(where)),
      counts_(std::move(counts)) {
    seam::on_exit(this, [this](caf::exit_msg& x) {
      stopping_ = true;
      reason_ = std::move(x.reason);
      quit_when_idle();
    });
  }

  const char* name() const override { return "evented.snapshot_writer"; }

  caf::behavior make_behavior() override {
    return {
      [this](snapshot_order& x) {
        queue_.push_back(std::move(x.job));
        if (queue_.size() > max_queue) {
          // A newer one is worth more.
          queue_.front()->done = true;
          queue_.pop_front();
          counts_->snapshots_dropped.add();
        }
        counts_->snapshots_waiting.set(
          static_cast<std::int64_t>(queue_.size()));
        pump();
      },
      [this](const forget_order& x) {
        ages_[x.type_name] = x.age;
        pump();
      },
      [this](snapshot_worked) {
        busy_ = false;
        pump();
      },
    };
  }

  void on_exit() override {
    if (worker_)
      caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
    worker_ = nullptr;
  }

private:
  static constexpr std::size_t max_batch = 64;
  static constexpr std::size_t max_queue = 4096;

  void pump() {
    if (busy_)
      return;
    if (queue_.empty() && ages_.empty()) {
      quit_when_idle();
      return;
    }
    if (!worker_)
      worker_ = spawn_worker<snapshot_worker>(system(), where_, counts_);
    busy_ = true;
    if (queue_.empty()) {
      auto first = ages_.begin();
      seam::send(this, worker_, forget_order{first->first, first->second});
      ages_.erase(first);
      return;
    }
    snapshot_work work;
    while (!queue_.empty() && work.jobs.size() < max_batch) {
      work.jobs.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    counts_->snapshots_waiting.set(static_cast<std::int64_t>(queue_.size()));
    seam::send(this, worker_, std::move(work));
  }

  void quit_when_idle() {
    if (stopping_ && !busy_ && queue_.empty())
      quit(reason_);
  }

  std::shared_ptr<store> where_;
  std::shared_ptr<metrics> counts_;
  caf::actor worker_;
  std::deque<std::shared_ptr<snapshot_job>> queue_;
  /// What to forget, by entity type.
  std::map<std::string, std::chrono::seconds> ages_;
  bool busy_ = false;
  bool stopping_ = false;
  caf::error reason_;
};

} // namespace

caf::actor spawn_snapshot_writer(caf::actor_system& sys,
                                 std::shared_ptr<store> where,
                                 std::shared_ptr<metrics> counts) {
  return sys.spawn<snapshot_writer>(std::move(where), std::move(counts));
}

} // namespace evented::detail
