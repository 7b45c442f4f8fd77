#include "outbox_worker.hpp"

#include "lazy_session.hpp"

#include <caf/event_based_actor.hpp>

namespace evented::detail {

namespace {

class outbox_worker : public caf::event_based_actor {
public:
  outbox_worker(caf::actor_config& cfg, std::shared_ptr<store> where,
                std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg),
      session_(std::move(where), std::move(counts)) {
    // nop
  }

  const char* name() const override { return "evented.outbox_worker"; }

  caf::behavior make_behavior() override {
    return {[this](outbox_work& work) {
      run(*work.job);
      seam::send(this, caf::actor_cast<caf::actor>(current_sender()),
                 outbox_worked{std::move(work.job)});
    }};
  }

private:
  void run(outbox_job& job) {
    job.failed = false;
    try {
      auto& session = session_.get();
      if (!job.settled.empty())
        session.settle_messages(job.settled);
      if (job.claim.limit > 0)
        job.claimed = session.claim_messages(job.claim);
      if (job.look_for_strangers)
        job.waiting = session.waiting_targets(job.claim.type_name);
    } catch (const std::exception& e) {
      // Claims that were made nevertheless run out.
      job.claimed = {};
      session_.drop(e);
      job.failed = true;
    }
  }

  lazy_session session_;
};

} // namespace

caf::actor spawn_outbox_worker(caf::actor_system& sys,
                               std::shared_ptr<store> where,
                               std::shared_ptr<metrics> counts) {
  return sys.spawn<outbox_worker, caf::detached>(std::move(where),
                                                 std::move(counts));
}

} // namespace evented::detail
