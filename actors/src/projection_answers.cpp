// What a projection answers: the part of projection_actor that asks the database
// for somebody.

#include "projection_actor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

namespace {

/// How long the frontier may be held before somebody ought to know.
constexpr std::chrono::seconds held_too_long{5};

/// How many dead letters are counted for the metrics: enough to raise an alarm.
constexpr std::size_t most_letters_counted = 100;

void add(std::string& to, const std::string& sentence) {
  to += (to.empty() ? "" : "; ") + sentence;
}

} // namespace

// -- answers ------------------------------------------------------------------

projection_actor::promise projection_actor::make_promise() {
  std::erase_if(promises_, [](auto& x) { return !x->pending(); });
  return promises_.emplace_back(
    std::make_shared<caf::response_promise>(make_response_promise()));
}

void projection_actor::change(promise answer,
                              std::function<void(projection_session&)> work,
                              bool again) {
  auto then = [this, answer](const std::exception_ptr& failure) {
    if (failure != nullptr)
      answer->deliver(error_of(failure));
    else
      answer->deliver(control::done{});
    look();
  };
  if (again)
    ask_again(this, sessions_, std::move(work), then);
  else
    ask(this, sessions_, std::move(work), then);
}

void projection_actor::ask_patiently(
  std::function<void(projection_session&)> work,
  std::function<void(std::exception_ptr)> then) {
  // Everybody needs the few connections of `sessions_` all the time.
  auto worker = spawn_session_worker(system(), settings_->journal.store(),
                                     settings_->journal.metrics(),
                                     std::chrono::hours{24});
  ask(this, worker, std::move(work), std::move(then));
  // Behind that.
  caf::anon_send_exit(worker, caf::exit_reason::user_shutdown);
}

void projection_actor::start_rebuild(promise answer,
                                     std::optional<std::int32_t> revision) {
  auto& options = settings_->options;
  if (options.on_rebuild == nullptr || options.on_swap == nullptr) {
    auto what = settings_->name
                + ": a rebuild needs projection_options::on_rebuild and "
                  "on_swap";
    if (answer != nullptr)
      answer->deliver(evented::make_error(errc::invalid_options, what));
    else if (!std::exchange(warned_of_revision_, true))
      SPDLOG_ERROR("evented: projection {}", what);
    return;
  }
  stepping_ = true;
  lap_.reset();
  ask_patiently(
    [settings = settings_, revision](projection_session& session) {
      session.rebuild(settings->name, revision, settings->options.on_rebuild);
    },
    [this, answer](const std::exception_ptr& failure) {
      if (answer == nullptr) {
        // Another process may have been faster.
        auto began = failure == nullptr || is(error_of(failure), errc::not_now);
        on_step("be rebuilt", began ? nullptr : failure);
        return;
      }
      if (failure != nullptr)
        answer->deliver(error_of(failure));
      else
        answer->deliver(control::done{});
      on_step("be rebuilt", nullptr);
    });
}

void projection_actor::replay(const control::replay& what) {
  auto answer = make_promise();
  auto ids = settings_->journal.options().ids;
  auto id = parse_entity_id(ids, what.id);
  if (!id) {
    answer->deliver(evented::make_error(errc::invalid_id,
                                        "\"" + what.id + "\" is no ID of kind "
                                          + std::string{to_string(ids)}));
    return;
  }
  // The handler is not made for two calls at a time.
  ++held_;
  stop_runners();
  when_idle([this, type_name = what.type_name, id = *id, answer] {
    replay_alone(type_name, id, answer);
  });
}

void projection_actor::replay_alone(const std::string& type_name,
                                    const entity_id& id, promise answer) {
  // Others wait for it as for a runner.
  auto incarnation = next_incarnation_++;
  replays_.push_back(incarnation);
  auto count = std::make_shared<std::uint64_t>(0);
  ask_patiently(
    [settings = settings_, type_name, id, count](projection_session& session) {
      effects fx;
      std::uint64_t last = 0;
      auto status = session.status(settings->name);
      handling common{status.version, 0};
      for (auto& range : status.ranges)
        if (range.key.version == status.version
            && range.slices.contains(slice_of(id)))
          common.mark = range.mark;
      *count
        = session.replay(settings->name, type_name, id,
                         [&](const journal_entry& entry, transaction& tx) {
                           // After a deadlock, it begins anew.
                           if (entry.event.seq_no <= last)
                             fx.clear();
                           last = entry.event.seq_no;
                           const journal_entry* one = &entry;
                           settings->handler->handle({&one, 1}, common, tx, fx);
                         });
      fx.run();
    },
    [this, answer, count, incarnation](const std::exception_ptr& failure) {
      --held_;
      std::erase(replays_, incarnation);
      on_ended(incarnation);
      if (failure != nullptr)
        answer->deliver(error_of(failure));
      else
        answer->deliver(replayed_letters{*count});
      look();
    });
}

void projection_actor::get_state(promise answer) {
  struct findings {
    projection_status status;
    projection_lag lag;
    /// The live ranges for which an event has waited for too long.
    std::vector<range_key> behind;
    std::vector<frontier_holder> holders;
    std::size_t letters = 0;
  };
  auto found = std::make_shared<findings>();
  auto watch = settings_->journal.watch().state();
  ask_again(
    this, sessions_,
    [settings = settings_, found,
     held = watch.held >= held_too_long](projection_session& session) {
      *found = {};
      found->status = session.status(settings->name);
      for (auto& range : found->status.ranges) {
        if (range.key.version != found->status.version)
          continue;
        auto filter = settings->filter;
        filter.slices = range.slices;
        filter.since = found->status.since;
        auto lag = session.lag(filter, range.seq_no);
        if (lag.events > 0 && lag.age >= settings->options.stalled_after)
          found->behind.push_back(range.key);
        found->lag.events += lag.events;
        found->lag.more = found->lag.more || lag.more;
        found->lag.age = std::max(found->lag.age, lag.age);
      }
      if (held)
        found->holders = session.frontier_holders();
      try {
        found->letters
          = session.letters(settings->name, 0, most_letters_counted).size();
      } catch (const sql_error&) {
        // No reason to know nothing else: a missing privilege shows when a
        // letter is to be stored.
      }
    },
    [this, answer, found, watch](const std::exception_ptr& failure) {
      if (failure == nullptr)
        status_ = found->status;
      projection_state x;
      x.name = settings_->name;
      x.version = status_.version;
      x.building = status_.building.value_or(0);
      x.running = running_;
      x.paused = status_.paused;
      x.lag_events = found->lag.events;
      x.lag_more = found->lag.more;
      x.lag_seconds = std::chrono::duration<double>(found->lag.age).count();
      auto least = no_limit;
      auto now = clock::now();
      auto stands = false;
      for (auto& range : status_.ranges) {
        range_state to;
        to.first = range.slices.first;
        to.last = range.slices.last;
        to.version = range.key.version;
        to.seq_no = range.seq_no;
        to.owner = range.host;
        to.error = range.error;
        to.failed_seq_no = range.failed_seq_no;
        to.halted = range.halted;
        if (auto mine = residents_.find(range.key); mine != residents_.end()) {
          to.here = mine->second.epoch == range.epoch;
          // It knows more, for example that a dead letter cannot be stored.
          if (!mine->second.error.empty())
            to.error = mine->second.error;
        }
        if (range.key.version == status_.version) {
          least = std::min(least, range.seq_no);
          if (x.error.empty())
            x.error = to.error;
          if (!to.owner.empty() && x.owner.find(to.owner) == std::string::npos)
            x.owner += (x.owner.empty() ? "" : ", ") + to.owner;
          if (to.halted)
            add(x.health, "slices " + std::to_string(to.first) + " to "
                            + std::to_string(to.last)
                            + " are stopped by an error: " + to.error);
          else if (!to.error.empty())
            add(x.health, "retrying: " + to.error);
          stands = stands || stands_still(range.key, now, found->behind);
        }
        x.ranges.push_back(std::move(to));
      }
      x.seq_no = least == no_limit ? 0 : least;
      if (failure != nullptr)
        add(x.health, "the database is out of reach: " + text_of(failure));
      else if (!watch.connected && !watch.error.empty())
        add(x.health, "no connection for news: " + watch.error);
      if (stands && !x.paused)
        add(x.health, x.owner.empty() ? "events wait, but nobody runs it"
                                      : "it stands still although events wait");
      if (running_ && !step_error_.empty())
        add(x.health, step_error_);
      for (auto& holder : found->holders)
        add(x.health,
            "the frontier is held by "
              + (holder.pid == 0 ? "the prepared transaction " + holder.query
                                 : "process " + std::to_string(holder.pid))
              + " for "
              + std::to_string(
                std::chrono::duration_cast<std::chrono::seconds>(holder.age)
                  .count())
              + " s (" + holder.state
              + (holder.pid == 0 ? "" : "): " + holder.query)
              + (holder.pid == 0 ? ")" : ""));
      x.healthy = x.health.empty();
      auto& counts = *settings_->counts;
      counts.healthy.set(x.healthy ? 1 : 0);
      counts.paused.set(x.paused ? 1 : 0);
      counts.ranges_here.set(static_cast<std::int64_t>(residents_.size()));
      // Without an answer, the last one is better than none.
      if (failure == nullptr) {
        counts.checkpoint.set(static_cast<std::int64_t>(x.seq_no));
        counts.lag_events.set(static_cast<std::int64_t>(x.lag_events));
        counts.lag_ms.set(
          std::chrono::duration_cast<std::chrono::milliseconds>(found->lag.age)
            .count());
        counts.dead_letters.set(static_cast<std::int64_t>(found->letters));
      }
      if (x.healthy != was_healthy_) {
        was_healthy_ = x.healthy;
        if (x.healthy)
          SPDLOG_INFO("evented: projection {} is healthy again", x.name);
        else
          SPDLOG_WARN("evented: projection {} is not healthy: {}", x.name,
                      x.health);
      }
      if (answer != nullptr)
        answer->deliver(std::move(x));
    });
}

bool projection_actor::stands_still(
  const range_key& key, clock::time_point now,
  const std::vector<range_key>& behind) const {
  if (std::find(behind.begin(), behind.end(), key) == behind.end())
    return false;
  auto found = movements_.find(key);
  return found != movements_.end()
         && now - found->second.at >= settings_->options.stalled_after;
}

void projection_actor::watch_health() {
  auto now = clock::now();
  if (now < next_health_ || !running_)
    return;
  next_health_ = now + std::chrono::seconds{5};
  get_state({});
}

// -- waiting for an event -----------------------------------------------------

std::optional<std::uint64_t>
projection_actor::reached_by(std::uint16_t slice) const {
  std::optional<std::uint64_t> result;
  for (auto& range : status_.ranges) {
    if (range.key.version != status_.version || !range.slices.contains(slice))
      continue;
    result = range.seq_no;
    auto mine = residents_.find(range.key);
    if (mine != residents_.end() && mine->second.epoch >= range.epoch)
      result = std::max(*result, mine->second.seq_no);
  }
  return result;
}

void projection_actor::answer_waiters() {
  if (waiters_.empty())
    return;
  auto now = clock::now();
  std::vector<waiter> ready;
  std::erase_if(waiters_, [&](waiter& x) {
    auto at = reached_by(x.what.slice);
    if (at && *at >= x.what.seq_no) {
      ready.push_back(std::move(x));
      return true;
    }
    if (now < x.deadline)
      return false;
    x.answer->deliver(evented::make_error(
      errc::timed_out, settings_->name + " has not reached event "
                         + std::to_string(x.what.seq_no) + " in time"
                         + (at ? "; it is at " + std::to_string(*at) : "")));
    return true;
  });
  for (auto& x : ready)
    answer_waiter(std::move(x));
}

void projection_actor::answer_waiter(waiter x) {
  auto fate = std::make_shared<std::string>("handled");
  ask_again(
    this, sessions_,
    [name = settings_->name, version = status_.version, seq_no = x.what.seq_no,
     fate](projection_session& session) {
      if (auto found = session.fate({name, version, 0}, seq_no))
        *fate = to_string(*found);
    },
    [answer = x.answer, fate](const std::exception_ptr& failure) {
      if (failure != nullptr)
        answer->deliver(error_of(failure));
      else
        answer->deliver(reached{*fate});
    });
}

} // namespace evented::detail
