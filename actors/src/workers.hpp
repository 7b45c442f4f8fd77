#pragma once

#include <evented/actors/jobs.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/metrics.hpp>
#include <evented/actors/seam.hpp>
#include <evented/frontier_watch.hpp>
#include <evented/sql_error.hpp>

#include <memory>
#include <utility>

namespace evented::detail {

/// Starts an actor that works on `where`: in a thread of its own where that
/// blocks.
template <class Worker, class... Ts>
caf::actor spawn_worker(caf::actor_system& sys, std::shared_ptr<store> where,
                        Ts&&... xs) {
  if (where->blocks())
    return sys.spawn<Worker, caf::detached>(std::move(where),
                                            std::forward<Ts>(xs)...);
  return sys.spawn<Worker>(std::move(where), std::forward<Ts>(xs)...);
}

/// Starts an actor with a thread and a connection of its own that answers each
/// `append_work` with `append_worked`, and tells `watch` of what it has stored.
caf::actor spawn_append_worker(caf::actor_system& sys,
                               std::shared_ptr<store> where,
                               std::shared_ptr<frontier_watch> watch,
                               std::shared_ptr<metrics> counts);

/// The same for `load_work` and `load_worked`.
caf::actor spawn_load_worker(caf::actor_system& sys,
                             std::shared_ptr<store> where,
                             std::shared_ptr<metrics> counts);

/// Starts the actor that groups the appends of many entities into commits.
/// Every `append_order` is answered with `append_done` once all of its steps
/// are decided, or once the last of its deadlines has passed.
caf::actor spawn_appender(caf::actor_system& sys, std::shared_ptr<store> where,
                          std::shared_ptr<frontier_watch> watch,
                          std::shared_ptr<metrics> counts);

/// Starts the actor that loads entities, many with one query. Every
/// `load_order` is answered with `load_done`, unless it is cancelled.
caf::actor spawn_loader(caf::actor_system& sys, std::shared_ptr<store> where,
                        std::shared_ptr<metrics> counts);

/// Starts the actor that writes snapshots, many with one statement, and forgets
/// old commands, in a thread of its own that nobody waits for.
caf::actor spawn_snapshot_writer(caf::actor_system& sys,
                                 std::shared_ptr<store> where,
                                 std::shared_ptr<metrics> counts);

/// How often actors look for commands whose time is up.
inline constexpr std::chrono::milliseconds tick_interval{100};

/// Returns how long to wait before the attempt after `failures` failed ones:
/// exponential from 10 ms to 1 s, with full jitter (M. Brooker, "Exponential
/// Backoff And Jitter", 2015), so that many clients do not return at once.
std::chrono::milliseconds backoff(unsigned failures);

/// Makes what `backoff` returns to this thread repeatable.
void seed_backoff(unsigned seed);

} // namespace evented::detail
