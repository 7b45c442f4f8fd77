#include "range_runner.hpp"

#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace evented::detail {

namespace {

/// How often a checkpoint follows the frontier where no event was its own.
constexpr std::chrono::seconds idle_commit{1};

/// Returns the pause after `attempts` failures of an event.
std::chrono::milliseconds pause_after(const error_strategy& how,
                                      unsigned attempts) {
  thread_local std::minstd_rand random{std::random_device{}()};
  auto low = std::max<std::int64_t>(1, how.min_delay.count());
  auto high = std::max(low, how.max_delay.count());
  auto most = low;
  for (unsigned i = 0; i < attempts && most < high; ++i)
    most *= 2;
  most = std::min(most, high);
  return std::chrono::milliseconds{
    std::uniform_int_distribution<std::int64_t>{low, most}(random)};
}

} // namespace

range_runner::range_runner(caf::actor_config& cfg,
                           std::shared_ptr<const projection_settings> settings,
                           range_key key, std::uint64_t limit,
                           std::uint64_t incarnation,
                           caf::weak_actor_ptr parent)
  : caf::event_based_actor(cfg),
    settings_(std::move(settings)),
    key_(std::move(key)),
    filter_(settings_->filter),
    incarnation_(incarnation),
    parent_(std::move(parent)),
    limit_(limit) {
  worker_ = spawn_session_worker(system(), settings_->journal.store(),
                                 settings_->journal.metrics());
}

caf::behavior range_runner::make_behavior() {
  acquire();
  return {
    [](session_done& x) { x.job->then(x.job->failure); },
    [this](frontier_moved x) {
      if (x.subscription != subscriptions_)
        return;
      frontier_ = std::max(frontier_, x.frontier);
      pump();
    },
    [this](range_limit x) {
      limit_ = x.seq_no;
      pump();
    },
    [this](range_recheck) {
      // Also in a pause: what it waits for may be gone.
      if ((phase_ == phase::running && !busy_) || phase_ == phase::waiting)
        acquire();
    },
    [this](range_stop) {
      gate_->stop = true;
      if (gate_->close())
        end();
    },
    [this](const range_retry& x) { on_retry(x); },
    [this](tick) {
      flushing_ = false;
      pump();
    },
  };
}

void range_runner::on_exit() {
  gate_->stop = true;
  gate_->close();
  subscription_ = {};
  // Behind whatever the worker still has to do: others need not wait until the
  // lease runs out.
  if (worker_ != nullptr) {
    auto job = std::make_shared<session_job>();
    job->work = [owner = owner_, alive = alive_](projection_session& session) {
      *alive = {};
      session.forget(owner);
    };
    seam::anon_send(worker_, session_order{std::move(job)});
    caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
    worker_ = nullptr;
  }
  // A timer may keep this object for a while, but must not keep the journal.
  batch_ = nullptr;
  settings_ = nullptr;
}

// -- the lease ----------------------------------------------------------------

void range_runner::acquire() {
  phase_ = phase::acquiring;
  ++read_id_;
  reading_ = false;
  ahead_.reset();
  batch_.reset();
  auto found = std::make_shared<std::optional<range_lease>>();
  auto since = std::make_shared<std::optional<timestamp>>();
  busy_ = true;
  ask(
    this, worker_,
    [found, since, settings = settings_, key = key_, owner = owner_,
     alive = alive_, gate = gate_,
     first = lease_.epoch == 0](projection_session& session) {
      if (gate->stop)
        return;
      if (first)
        *alive = settings->journal.watch().keep_alive(owner);
      *found = session.acquire(key, settings->options.revision, owner);
      // A reset may have moved it. One from now on takes the range away.
      if (*found)
        *since = session.status(key.projection).since;
    },
    [this, found, since](const std::exception_ptr& failure) {
      busy_ = false;
      if (failure != nullptr) {
        wait(next::acquire, backoff(obstacles_++), text_of(failure));
        return;
      }
      if (!*found) {
        end();
        return;
      }
      lease_ = **found;
      filter_.slices = lease_.slices;
      filter_.since = *since;
      read_up_to_ = lease_.seq_no;
      phase_ = phase::running;
      tell();
      follow();
    });
}

void range_runner::follow() {
  // The frontier that was known belongs to the connection that is gone. The
  // server may be another one now, a standby that had missed commits, and draw
  // those numbers again: to read up to there would skip what is on its way.
  frontier_ = 0;
  auto self = caf::actor_cast<caf::weak_actor_ptr>(this);
  subscription_ = settings_->journal.watch().subscribe(
    [self, n = ++subscriptions_](std::uint64_t frontier) {
      if (auto to = caf::actor_cast<caf::actor>(self))
        seam::anon_send(to, frontier_moved{frontier, n});
    });
}

void range_runner::end() {
  if (phase_ == phase::ended)
    return;
  phase_ = phase::ended;
  quit();
}

// -- reading ahead ------------------------------------------------------------

std::uint64_t range_runner::target() const {
  auto result = std::min(frontier_, limit_);
  return lease_.barrier ? std::min(result, *lease_.barrier) : result;
}

std::size_t range_runner::batch_size() const {
  auto most = settings_->options.max_batch;
  return std::max<std::size_t>(1, most >> std::min(obstacles_, 16u));
}

void range_runner::read_ahead() {
  reading_ = true;
  ++read_id_;
  auto found = std::make_shared<read_result>();
  ask_again(
    this, settings_->journal.sessions(),
    [found, filter = filter_, after = read_up_to_, up_to = target(),
     limit = batch_size()](projection_session& session) {
      *found = session.read(filter, after, up_to, limit);
    },
    [this, found, id = read_id_](const std::exception_ptr& failure) {
      if (id != read_id_ || phase_ == phase::ended)
        return;
      if (failure != nullptr) {
        // Reading stays marked as under way for the length of the pause.
        complain(text_of(failure));
        tell(text_of(failure));
        seam::delayed_send(this, backoff(obstacles_++), range_retry{id, true});
        return;
      }
      reading_ = false;
      read_up_to_ = found->up_to;
      if (!found->entries.empty())
        ahead_ = std::move(*found);
      pump();
    });
}

void range_runner::pump() {
  if (phase_ != phase::running)
    return;
  if (batch_ == nullptr) {
    auto due = last_commit_ + idle_commit;
    auto batch = std::make_shared<range_batch>();
    if (ahead_) {
      batch->entries = std::move(ahead_->entries);
      batch->up_to = ahead_->up_to;
      ahead_.reset();
    } else if (!reading_ && read_up_to_ > lease_.seq_no) {
      // No event was its own. Somebody waits for ranges or versions that are
      // being brought together, but nobody for the rest.
      auto awaited = limit_ != no_limit || lease_.barrier.has_value();
      if (awaited || clock::now() >= due)
        batch->up_to = read_up_to_;
      else if (!std::exchange(flushing_, true))
        seam::delayed_send(this, idle_commit, tick{});
    }
    if (batch->up_to > 0) {
      batch->lease = lease_;
      batch_ = std::move(batch);
      handle(false);
    }
  }
  if (!reading_ && !ahead_ && read_up_to_ < target())
    read_ahead();
}

// -- handling -----------------------------------------------------------------

void range_runner::handle(bool alone) {
  busy_ = true;
  handling_since_ = clock::now();
  ask(
    this, worker_,
    [batch = batch_, gate = gate_, handler = settings_->handler,
     alone](projection_session& session) {
      if (!gate->enter()) {
        batch->outcome = batch_outcome::stopped;
        return;
      }
      struct leaving {
        handler_gate& gate;
        ~leaving() { gate.leave(); }
      } guard{*gate};
      handle_batch(session, *handler, *batch, alone, gate->stop);
      if (batch->outcome == batch_outcome::failed) {
        try {
          // So that other processes can tell.
          session.report(batch->lease, batch->error,
                         batch->entries[batch->next].event.seq_no, false);
        } catch (const fenced&) {
          batch->outcome = batch_outcome::fenced;
        }
      }
    },
    [this](const std::exception_ptr& failure) { on_handled(failure); });
}

void range_runner::on_handled(std::exception_ptr failure) {
  busy_ = false;
  if (phase_ == phase::ended)
    return;
  if (gate_->stop) {
    gate_->close();
    end();
    return;
  }
  if (failure != nullptr) {
    // What became of it is known once the range is acquired anew.
    wait(next::acquire, backoff(obstacles_++), text_of(failure));
    return;
  }
  settings_->counts->batch_time.observe(clock::now() - handling_since_);
  lease_ = batch_->lease;
  switch (batch_->outcome) {
  case batch_outcome::committed:
    on_committed();
    break;
  case batch_outcome::stopped:
    end();
    break;
  case batch_outcome::fenced:
    acquire();
    break;
  case batch_outcome::failed:
    on_failed();
    break;
  case batch_outcome::obstructed:
    wait(next::handle, backoff(obstacles_++), batch_->error);
    break;
  }
}

void range_runner::on_committed() {
  settings_->counts->events.add(batch_->entries.size());
  failed_seq_no_ = 0;
  obstacles_ = 0;
  last_commit_ = clock::now();
  batch_.reset();
  phase_ = phase::running;
  tell();
  pump();
}

void range_runner::on_failed() {
  settings_->counts->failures.add();
  auto& how = settings_->options.on_error;
  auto& entry = batch_->entries[batch_->next];
  auto what = "event " + std::to_string(entry.event.seq_no) + " ("
              + entry.event.name + " of " + entry.type_name + " "
              + to_string(entry.id) + "): " + batch_->error;
  // Another one may have been skipped meanwhile.
  if (std::exchange(failed_seq_no_, entry.event.seq_no) != entry.event.seq_no)
    attempts_ = 0;
  ++attempts_;
  if (how.last == error_strategy::action::retry || attempts_ < how.attempts) {
    wait(next::handle_alone, pause_after(how, attempts_), what);
    return;
  }
  complain(what);
  attempts_ = 0;
  switch (how.last) {
  case error_strategy::action::skip:
    put_away(letter_kind::skipped);
    break;
  case error_strategy::action::park:
    put_away(letter_kind::parked);
    break;
  default:
    halt();
    break;
  }
}

void range_runner::halt() {
  SPDLOG_ERROR("evented: {} is stopped by its error strategy until it is told "
               "to run",
               where());
  tell(batch_->error);
  busy_ = true;
  ask(
    this, worker_,
    [batch = batch_](projection_session& session) {
      session.report(batch->lease, batch->error,
                     batch->entries[batch->next].event.seq_no, true);
    },
    [this](const std::exception_ptr& failure) {
      busy_ = false;
      if (failure != nullptr)
        wait(next::acquire, backoff(obstacles_++), text_of(failure));
      else
        end();
    });
}

void range_runner::put_away(letter_kind kind) {
  kind_ = kind;
  busy_ = true;
  auto obstacle = std::make_shared<std::string>();
  ask(
    this, worker_,
    [batch = batch_, kind, obstacle](projection_session& session) {
      auto why = batch->error;
      evented::put_away(session, *batch, kind, why);
      if (batch->outcome == batch_outcome::obstructed)
        *obstacle = std::exchange(batch->error, why);
    },
    [this, obstacle](const std::exception_ptr& failure) {
      busy_ = false;
      if (phase_ == phase::ended)
        return;
      if (failure != nullptr) {
        wait(next::acquire, backoff(obstacles_++), text_of(failure));
        return;
      }
      lease_ = batch_->lease;
      if (batch_->outcome == batch_outcome::fenced)
        acquire();
      else if (batch_->outcome == batch_outcome::obstructed)
        wait(next::put_away, backoff(obstacles_++), *obstacle);
      else {
        auto& counts = *settings_->counts;
        (kind_ == letter_kind::skipped ? counts.skipped : counts.parked).add();
        if (batch_->next < batch_->entries.size())
          handle(false);
        else
          on_committed();
      }
    });
}

// -- pauses -------------------------------------------------------------------

void range_runner::wait(next then, std::chrono::milliseconds delay,
                        const std::string& what) {
  if (phase_ == phase::ended)
    return;
  phase_ = phase::waiting;
  next_ = then;
  complain(what);
  tell(what);
  seam::delayed_send(this, delay, range_retry{++generation_, false});
}

void range_runner::on_retry(const range_retry& x) {
  if (x.reading) {
    if (x.generation == read_id_) {
      reading_ = false;
      pump();
    }
    return;
  }
  if (x.generation != generation_ || phase_ != phase::waiting)
    return;
  phase_ = phase::running;
  switch (next_) {
  case next::acquire:
    acquire();
    break;
  case next::handle:
  case next::handle_alone:
    handle(next_ == next::handle_alone);
    break;
  case next::put_away:
    put_away(kind_);
    break;
  }
}

void range_runner::tell(const std::string& error) {
  if (auto to = caf::actor_cast<caf::actor>(parent_))
    seam::send(
      this, to,
      range_progress{incarnation_, lease_.epoch, lease_.seq_no, error});
}

void range_runner::complain(const std::string& what) {
  auto now = clock::now();
  if (last_complaint_ != clock::time_point::min()
      && now - last_complaint_ < std::chrono::seconds{10}) {
    ++swallowed_;
    return;
  }
  last_complaint_ = now;
  if (swallowed_ > 0)
    SPDLOG_WARN("evented: {}: {} ({} more like this since the last time)",
                where(), what, swallowed_);
  else
    SPDLOG_WARN("evented: {}: {}", where(), what);
  swallowed_ = 0;
}

std::string range_runner::where() const {
  auto result = "projection " + key_.projection;
  if (filter_.slices != slice_range{})
    result += " slices " + std::to_string(filter_.slices.first) + "-"
              + std::to_string(filter_.slices.last);
  return result;
}

} // namespace evented::detail
