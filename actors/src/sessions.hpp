#pragma once

// Threads that run something on a projection_session for an actor.

#include <evented/actors/messages.hpp>
#include <evented/actors/metrics.hpp>
#include <evented/projection_store.hpp>
#include <evented/store.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>

namespace evented::detail {

/// Something to do in another thread, and what to do with its outcome.
struct session_job {
  /// Runs in the thread of a worker; must not touch the actor that asked.
  std::function<void(projection_session&)> work;
  /// Whether `work` may run twice: where it only reads, a connection that broke
  /// while nobody used it is nobody's error.
  bool repeatable = false;
  /// Runs in the actor that asked, with what `work` or the connecting threw.
  std::function<void(std::exception_ptr)> then;
  std::exception_ptr failure;
  /// Who asked, where somebody stands in between.
  caf::strong_actor_ptr from;
};

/// Starts an actor with a thread and a connection of its own that answers each
/// `session_order` with `session_done`.
/// @param limit how long a statement may take, see `store::connect_projections`
caf::actor spawn_session_worker(caf::actor_system& sys,
                                std::shared_ptr<store> where,
                                std::shared_ptr<metrics> counts,
                                std::chrono::milliseconds limit = {});

/// Starts an actor that does the same with a few workers, for everybody: up to
/// `journal_options::readers`, made when they are needed.
caf::actor spawn_session_pool(caf::actor_system& sys,
                              std::shared_ptr<store> where,
                              std::shared_ptr<metrics> counts);

/// Asks a worker or pool from inside of an actor, which handles `session_done`
/// by calling `then`.
template <class Self>
void ask(Self* self, const caf::actor& whom,
         std::function<void(projection_session&)> work,
         std::function<void(std::exception_ptr)> then) {
  auto job = std::make_shared<session_job>();
  job->work = std::move(work);
  job->then = std::move(then);
  seam::send(self, whom, session_order{std::move(job)});
}

/// The same for what only reads.
template <class Self>
void ask_again(Self* self, const caf::actor& whom,
               std::function<void(projection_session&)> work,
               std::function<void(std::exception_ptr)> then) {
  auto job = std::make_shared<session_job>();
  job->work = std::move(work);
  job->then = std::move(then);
  job->repeatable = true;
  seam::send(self, whom, session_order{std::move(job)});
}

/// Returns what `failure` says.
std::string text_of(const std::exception_ptr& failure);

/// Returns `failure` as an error for whoever has asked for something.
caf::error error_of(const std::exception_ptr& failure);

} // namespace evented::detail
