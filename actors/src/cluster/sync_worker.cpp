#include "cluster/sync_worker.hpp"

#include "cluster/routing.hpp"
#include "workers.hpp"

namespace evented::detail {

namespace {

class sync_worker : public caf::event_based_actor {
public:
  sync_worker(caf::actor_config& cfg, std::shared_ptr<store> where,
              std::shared_ptr<const lease_clock> time)
    : caf::event_based_actor(cfg),
      where_(std::move(where)),
      time_(std::move(time)) {
    // nop
  }

  const char* name() const override { return "evented.sync_worker"; }

  caf::behavior make_behavior() override {
    return {[this](sync_order& x) {
      run(*x.job);
      seam::send(this, caf::actor_cast<caf::actor>(current_sender()),
                 sync_done{std::move(x.job)});
    }};
  }

private:
  void run(sync_job& job) {
    job.error.clear();
    try {
      if (session_ == nullptr) {
        session_ = where_->connect_membership();
        // It may lead to a server that has lost the last changes.
        job.picture.revision = 0;
      }
      job.began = time_->now();
      if (job.leave)
        session_->leave(job.self);
      else
        job.member = session_->sync(job.self, job.change, job.picture);
    } catch (const std::exception& e) {
      session_.reset();
      job.error = e.what();
    }
  }

  std::shared_ptr<store> where_;
  std::shared_ptr<const lease_clock> time_;
  std::unique_ptr<membership_session> session_;
};

} // namespace

caf::actor spawn_sync_worker(caf::actor_system& sys,
                             std::shared_ptr<store> where,
                             std::shared_ptr<const lease_clock> time) {
  return spawn_worker<sync_worker>(sys, std::move(where), std::move(time));
}

} // namespace evented::detail
