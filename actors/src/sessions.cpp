#include "sessions.hpp"

#include <evented/actors/error.hpp>

#include <spdlog/spdlog.h>

#include <deque>
#include <vector>

namespace evented::detail {

namespace {

class session_worker : public caf::event_based_actor {
public:
  session_worker(caf::actor_config& cfg, std::shared_ptr<store> where,
                 std::shared_ptr<metrics> counts,
                 std::chrono::milliseconds limit)
    : caf::event_based_actor(cfg),
      where_(std::move(where)),
      counts_(std::move(counts)),
      limit_(limit) {
    // nop
  }

  ~session_worker() override { close(); }

  const char* name() const override { return "evented.session_worker"; }

  caf::behavior make_behavior() override {
    return {[this](session_order& x) {
      run(*x.job);
      seam::send(this, caf::actor_cast<caf::actor>(current_sender()),
                 session_done{std::move(x.job)});
    }};
  }

private:
  void run(session_job& job) {
    auto fresh = session_ == nullptr;
    try {
      if (fresh) {
        session_ = where_->connect_projections(limit_);
        counts_->connections_open.add(1);
      }
      job.work(*session_);
    } catch (const connection_lost&) {
      close();
      counts_->connections_lost.add();
      if (!fresh && job.repeatable)
        run(job);
      else
        job.failure = std::current_exception();
    } catch (...) {
      job.failure = std::current_exception();
    }
  }

  void close() noexcept {
    if (session_ != nullptr)
      counts_->connections_open.add(-1);
    session_.reset();
  }

  std::shared_ptr<store> where_;
  std::shared_ptr<metrics> counts_;
  std::chrono::milliseconds limit_;
  std::unique_ptr<projection_session> session_;
};

class session_pool : public caf::event_based_actor {
public:
  session_pool(caf::actor_config& cfg, std::shared_ptr<store> where,
               std::shared_ptr<metrics> counts)
    : caf::event_based_actor(cfg),
      where_(std::move(where)),
      counts_(std::move(counts)) {
    // nop
  }

  const char* name() const override { return "evented.session_pool"; }

  caf::behavior make_behavior() override {
    return {
      [this](session_order& x) {
        x.job->from = current_sender();
        queue_.push_back(std::move(x.job));
        pump();
      },
      [this](session_done& x) {
        idle_.push_back(caf::actor_cast<caf::actor>(current_sender()));
        auto to = caf::actor_cast<caf::actor>(std::move(x.job->from));
        x.job->from = nullptr;
        seam::send(this, to, session_done{std::move(x.job)});
        pump();
      },
    };
  }

  void on_exit() override {
    for (auto& x : workers_)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    workers_.clear();
    idle_.clear();
    queue_.clear();
  }

private:
  void pump() {
    while (!queue_.empty()) {
      if (idle_.empty()) {
        if (workers_.size() >= where_->options().readers)
          return;
        workers_.push_back(spawn_session_worker(system(), where_, counts_));
        idle_.push_back(workers_.back());
      }
      auto worker = std::move(idle_.back());
      idle_.pop_back();
      seam::send(this, worker, session_order{std::move(queue_.front())});
      queue_.pop_front();
    }
  }

  std::shared_ptr<store> where_;
  std::shared_ptr<metrics> counts_;
  std::vector<caf::actor> workers_;
  std::vector<caf::actor> idle_;
  std::deque<std::shared_ptr<session_job>> queue_;
};

} // namespace

caf::actor spawn_session_worker(caf::actor_system& sys,
                                std::shared_ptr<store> where,
                                std::shared_ptr<metrics> counts,
                                std::chrono::milliseconds limit) {
  return sys.spawn<session_worker, caf::detached>(std::move(where),
                                                  std::move(counts), limit);
}

caf::actor spawn_session_pool(caf::actor_system& sys,
                              std::shared_ptr<store> where,
                              std::shared_ptr<metrics> counts) {
  return sys.spawn<session_pool>(std::move(where), std::move(counts));
}

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no std::exception was thrown";
  }
}

caf::error error_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const error& e) {
    return evented::make_error(e.code(), e.what());
  } catch (const std::exception& e) {
    return evented::make_error(errc::handler_failed, e.what());
  } catch (...) {
    return evented::make_error(errc::handler_failed, text_of(failure));
  }
}

} // namespace evented::detail
