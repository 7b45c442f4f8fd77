#include "projection_actor.hpp"

#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

namespace evented::detail {

namespace {

/// How long the frontier may be held before somebody ought to know.
constexpr std::chrono::seconds held_too_long{5};

/// How often to look while somebody waits for the outcome.
constexpr std::chrono::milliseconds hurry{20};

entity_id parse_id(id_kind kind, const std::string& text) {
  auto refuse = [&]() -> entity_id {
    throw error(errc::invalid_id, "\"" + text + "\" is no ID of kind "
                                    + std::string{to_string(kind)});
  };
  if (kind == id_kind::text)
    return text;
  if (kind == id_kind::uuid) {
    auto found = uuid::parse(text);
    return found ? entity_id{*found} : refuse();
  }
  std::int64_t number = 0;
  auto* end = text.data() + text.size();
  auto found = std::from_chars(text.data(), end, number);
  if (found.ec != std::errc{} || found.ptr != end)
    return refuse();
  return number;
}

void add(std::string& to, const std::string& sentence) {
  to += (to.empty() ? "" : "; ") + sentence;
}

/// The handle of a projection: ends the projection when the last copy of it is
/// gone, which the projection itself, with its timers, would not notice.
class projection_front : public caf::event_based_actor {
public:
  projection_front(caf::actor_config& cfg, caf::actor core)
    : caf::event_based_actor(cfg), core_(std::move(core)) {
    seam::on_unknown(this, [](const auto&) {
      return evented::make_error(errc::unknown_command,
                                 "a projection understands the messages of "
                                 "evented::control");
    });
  }

  const char* name() const override { return "evented.projection_front"; }

  caf::behavior make_behavior() override {
    return forward<control::run, control::stop, control::get_state,
                   control::pause, control::resume, control::reset,
                   control::skip, control::rescale, control::rebuild,
                   control::wait_until, control::get_letters, control::replay,
                   control::drop>();
  }

  void on_exit() override {
    if (core_ != nullptr)
      caf::anon_send_exit(core_, caf::exit_reason::user_shutdown);
    core_ = nullptr;
  }

private:
  template <class... Ts>
  caf::behavior forward() {
    return {[this](const Ts& x) { seam::delegate(this, core_, x); }...};
  }

  caf::actor core_;
};

} // namespace

projection_actor::projection_actor(
  caf::actor_config& cfg, std::shared_ptr<const projection_settings> settings)
  : caf::event_based_actor(cfg),
    settings_(std::move(settings)),
    sessions_(settings_->journal.sessions()),
    running_(settings_->options.run) {
  // nop
}

caf::behavior projection_actor::make_behavior() {
  look();
  return {
    [](session_done& x) { x.job->then(x.job->failure); },
    [this](const range_progress& x) { on_progress(x); },
    [this](const range_ended& x) { on_ended(x.incarnation); },
    [this](tick) {
      // Where it is early, another one is on its way.
      if (clock::now() < next_tick_)
        return;
      next_tick_ = clock::time_point::max();
      answer_waiters();
      if (!looking_)
        look();
      // Deadlines do not wait for a look that takes long.
      if (!waiters_.empty())
        schedule();
    },
    [this](const control::run&) {
      running_ = true;
      change(
        make_promise(),
        [name = settings_->name](projection_session& session) {
          session.unhalt(name);
        },
        true);
    },
    [this](const control::stop&) {
      running_ = false;
      auto answer = make_promise();
      stop_runners();
      when_idle([answer] { answer->deliver(control::done{}); });
    },
    [this](const control::get_state&) { get_state(make_promise()); },
    [this](const control::pause&) {
      auto answer = make_promise();
      ask_again(
        this, sessions_,
        [name = settings_->name](projection_session& session) {
          session.pause(name, true);
        },
        [this, answer](const std::exception_ptr& failure) {
          if (failure != nullptr) {
            answer->deliver(error_of(failure));
            return;
          }
          status_.paused = true;
          stop_runners();
          when_idle([answer] { answer->deliver(control::done{}); });
        });
    },
    [this](const control::resume&) {
      change(
        make_promise(),
        [name = settings_->name](projection_session& session) {
          session.pause(name, false);
        },
        true);
    },
    [this](const control::reset& x) {
      auto answer = make_promise();
      if (settings_->options.on_reset == nullptr) {
        answer->deliver(evented::make_error(
          errc::invalid_options, settings_->name
                                   + ": a reset needs "
                                     "projection_options::on_reset, which "
                                     "empties the view"));
        return;
      }
      // An open transaction of the handler would be in the way.
      ++held_;
      stop_runners();
      when_idle([this, answer, start = x.start()] {
        ask_patiently(
          [settings = settings_, start](projection_session& session) {
            session.reset(settings->name, start, settings->options.on_reset);
          },
          [this, answer](const std::exception_ptr& failure) {
            --held_;
            if (failure != nullptr)
              answer->deliver(error_of(failure));
            else
              answer->deliver(control::done{});
            look();
          });
      });
    },
    [this](const control::skip& x) {
      change(
        make_promise(), [settings = settings_, x](projection_session& session) {
          if (!session.skip(settings->name, settings->filter, x.seq_no))
            throw error(errc::not_now, settings->name + ": event "
                                         + std::to_string(x.seq_no)
                                         + " is not the next one of its range");
        });
    },
    [this](const control::rescale& x) {
      change(make_promise(),
             [name = settings_->name, x](projection_session& session) {
               session.rescale(
                 name, static_cast<std::uint16_t>(
                         std::min<std::uint32_t>(x.ranges, slice_count + 1)));
             });
    },
    [this](const control::rebuild&) {
      start_rebuild(make_promise(), std::nullopt);
    },
    [this](const control::wait_until& x) {
      waiter who{x,
                 clock::now()
                   + std::chrono::milliseconds{std::clamp<std::int64_t>(
                     x.timeout_ms, 0, 86'400'000)},
                 make_promise()};
      waiters_.push_back(std::move(who));
      answer_waiters();
      schedule();
    },
    [this](const control::get_letters& x) {
      auto answer = make_promise();
      auto found = std::make_shared<dead_letters>();
      ask_again(
        this, sessions_,
        [name = settings_->name, x, found](projection_session& session) {
          found->letters.clear();
          for (auto& from : session.letters(name, x.after, x.limit))
            found->letters.push_back(
              {from.type_name, to_string(from.id), from.seq_no,
               std::string{to_string(from.kind)}, from.error});
        },
        [answer, found](const std::exception_ptr& failure) {
          if (failure != nullptr)
            answer->deliver(error_of(failure));
          else
            answer->deliver(*found);
        });
    },
    [this](const control::replay& x) { replay(x); },
    [this](const control::drop& x) {
      change(make_promise(),
             [name = settings_->name, x](projection_session& session) {
               if (!session.drop(name, x.seq_no))
                 throw error(errc::not_now, name + ": there is no dead letter "
                                              + std::to_string(x.seq_no));
             });
    },
  };
}

void projection_actor::on_exit() {
  stop_runners();
  residents_.clear();
  auto why = evented::make_error(errc::shutting_down,
                                 settings_->name
                                   + ": the application is shutting down");
  for (auto& x : promises_)
    if (x->pending())
      x->deliver(why);
  promises_.clear();
  waiters_.clear();
  when_idle_.clear();
  // A timer may keep this object for a while, but must not keep the journal.
  sessions_ = nullptr;
  settings_ = nullptr;
}

// -- looking at the database --------------------------------------------------

void projection_actor::look() {
  if (std::exchange(looking_, true)) {
    look_again_ = true;
    return;
  }
  look_again_ = false;
  auto found = std::make_shared<projection_status>();
  ask_again(
    this, sessions_,
    [name = settings_->name, found](projection_session& session) {
      *found = session.status(name);
    },
    [this, found](const std::exception_ptr& failure) {
      looking_ = false;
      if (failure == nullptr) {
        status_ = std::move(*found);
        on_status();
      }
      if (look_again_)
        look();
      else
        schedule();
    });
}

void projection_actor::on_status() {
  auto now = clock::now();
  auto behind = false;
  for (auto& range : status_.ranges) {
    auto& moved = movements_[range.key];
    if (moved.seq_no != range.seq_no || moved.at == clock::time_point{})
      moved = {range.seq_no, now};
    auto mine = residents_.find(range.key);
    if (range.revision != settings_->options.revision) {
      behind = behind || range.revision > settings_->options.revision;
      continue;
    }
    if (mine == residents_.end()) {
      if (running_ && held_ == 0 && !status_.paused && !range.halted
          && !range.owner)
        start_runner(range, limit_of(range));
    } else {
      seam::send(this, mine->second.actor, range_limit{limit_of(range)});
      // What was found may be older than what the runner has said since.
      if (mine->second.epoch != 0 && mine->second.epoch < range.epoch)
        seam::send(this, mine->second.actor, range_recheck{});
    }
  }
  for (auto& [key, x] : residents_) {
    auto there = std::any_of(status_.ranges.begin(), status_.ranges.end(),
                             [&k = key](auto& r) { return r.key == k; });
    if (!there)
      seam::send(this, x.actor, range_recheck{});
  }
  std::erase_if(movements_, [&](auto& x) {
    return std::none_of(status_.ranges.begin(), status_.ranges.end(),
                        [&](auto& r) { return r.key == x.first; });
  });
  if (behind && !std::exchange(warned_of_revision_, true))
    SPDLOG_WARN("evented: projection {} has a newer revision than {} of this "
                "process, which leaves it alone",
                settings_->name, settings_->options.revision);
  go_on_with_rescale();
  go_on_with_rebuild();
  answer_waiters();
  watch_health();
}

std::uint64_t projection_actor::limit_of(const range_status& range) const {
  // A version that is being built never overtakes the live one: what happens
  // outside of the database is up to that one.
  if (range.key.version == status_.version)
    return no_limit;
  for (auto& live : status_.ranges)
    if (live.key.version == status_.version
        && live.key.first == range.key.first)
      return live.seq_no;
  return 0;
}

void projection_actor::start_runner(const range_status& range,
                                    std::uint64_t limit) {
  resident x;
  x.incarnation = next_incarnation_++;
  auto self = caf::actor_cast<caf::weak_actor_ptr>(this);
  x.actor = system().spawn<range_runner>(settings_, range.key, limit,
                                         x.incarnation, self);
  caf::actor_cast<caf::abstract_actor*>(x.actor)->attach_functor(
    [self, incarnation = x.incarnation](const caf::error&) {
      if (auto owner = caf::actor_cast<caf::actor>(self))
        seam::anon_send(owner, range_ended{incarnation});
    });
  residents_[range.key] = std::move(x);
}

void projection_actor::go_on_with_rescale() {
  if (!status_.rescale_to || stepping_ || clock::now() < next_step_)
    return;
  for (auto& range : status_.ranges)
    if (range.seq_no != range.barrier)
      return;
  stepping_ = true;
  ask(
    this, sessions_,
    [name = settings_->name](projection_session& session) {
      session.finish_rescale(name);
    },
    [this](const std::exception_ptr& failure) {
      on_step("end its rescale", failure);
    });
}

void projection_actor::go_on_with_rebuild() {
  if (stepping_ || !running_ || status_.paused || clock::now() < next_step_)
    return;
  auto& options = settings_->options;
  auto live = no_limit;
  auto next = no_limit;
  auto stands = true;
  auto equal = true;
  auto revision = options.revision;
  for (auto& range : status_.ranges) {
    if (range.key.version == status_.version) {
      live = std::min(live, range.seq_no);
      revision = range.revision;
      stands = stands && (range.barrier == range.seq_no || !range.owner);
    } else {
      next = std::min(next, range.seq_no);
      equal = equal && range.seq_no == limit_of(range);
      if (range.revision != options.revision)
        return;
    }
  }
  if (!status_.building) {
    if (revision < options.revision && !status_.rescale_to)
      start_rebuild({}, options.revision);
    else if (!status_.rescale_to)
      step_error_.clear();
    return;
  }
  // Caught up with where the live version was half a second to a second ago: it
  // can be asked to stand still for the rest.
  auto now = clock::now();
  auto caught_up = live_was_at_ && next >= *live_was_at_;
  if (now - live_seen_ >= std::chrono::milliseconds{500}) {
    live_was_at_ = live_is_at_;
    live_is_at_ = live;
    live_seen_ = now;
  }
  if (equal && stands) {
    stepping_ = true;
    forget_live();
    ask_patiently(
      [settings = settings_](projection_session& session) {
        if (session.swap(settings->name, settings->options.on_swap))
          SPDLOG_INFO("evented: the next version of projection {} is live",
                      settings->name);
      },
      [this](const std::exception_ptr& failure) {
        on_step("swap its versions", failure);
      });
  } else if (caught_up) {
    stepping_ = true;
    ask(
      this, sessions_,
      [name = settings_->name](projection_session& session) {
        session.approach_swap(name);
      },
      [this](const std::exception_ptr& failure) {
        on_step("swap its versions", failure);
      });
  }
}

void projection_actor::forget_live() {
  live_was_at_.reset();
  live_is_at_.reset();
  live_seen_ = {};
}

void projection_actor::on_step(const char* what,
                               const std::exception_ptr& failure) {
  stepping_ = false;
  if (failure == nullptr) {
    failed_steps_ = 0;
    step_error_.clear();
  } else {
    auto now = clock::now();
    next_step_ = now + backoff(failed_steps_++);
    step_error_ = std::string{"it cannot "} + what + ": " + text_of(failure);
    if (last_complaint_ == clock::time_point::min()
        || now - last_complaint_ >= std::chrono::seconds{10}) {
      last_complaint_ = now;
      SPDLOG_WARN("evented: projection {}: {}", settings_->name, step_error_);
    }
  }
  look();
}

void projection_actor::schedule() {
  auto in_hurry = !waiters_.empty() || status_.rescale_to.has_value()
                  || status_.building.has_value();
  auto often = std::clamp<std::chrono::milliseconds>(
    settings_->journal.options().take_over / 10, hurry,
    std::chrono::milliseconds{1000});
  auto delay = in_hurry ? hurry : often;
  auto due = clock::now() + delay;
  if (due >= next_tick_)
    return;
  next_tick_ = due;
  seam::delayed_send(this, delay, tick{});
}

// -- runners ------------------------------------------------------------------

void projection_actor::stop_runners() {
  for (auto& [key, x] : residents_)
    seam::send(this, x.actor, range_stop{});
}

void projection_actor::when_idle(std::function<void()> f) {
  auto incarnations = replays_;
  for (auto& [key, x] : residents_)
    incarnations.push_back(x.incarnation);
  if (incarnations.empty())
    f();
  else
    when_idle_.push_back({std::move(incarnations), std::move(f)});
}

void projection_actor::on_progress(const range_progress& x) {
  for (auto& [key, to] : residents_) {
    if (to.incarnation != x.incarnation)
      continue;
    to.epoch = x.epoch;
    to.seq_no = x.seq_no;
    to.error = x.error;
    auto& moved = movements_[key];
    if (moved.seq_no != x.seq_no)
      moved = {x.seq_no, clock::now()};
  }
  answer_waiters();
}

void projection_actor::on_ended(std::uint64_t incarnation) {
  std::erase_if(residents_,
                [&](auto& x) { return x.second.incarnation == incarnation; });
  std::vector<std::function<void()>> ready;
  std::erase_if(when_idle_, [&](postponed& x) {
    std::erase(x.incarnations, incarnation);
    if (!x.incarnations.empty())
      return false;
    ready.push_back(std::move(x.f));
    return true;
  });
  for (auto& f : ready)
    f();
}

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
  forget_live();
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
  entity_id id;
  try {
    id = parse_id(settings_->journal.options().ids, what.id);
  } catch (...) {
    answer->deliver(error_of(std::current_exception()));
    return;
  }
  // The handler is not made for two calls at a time.
  ++held_;
  stop_runners();
  when_idle([this, type_name = what.type_name, id, answer] {
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

// -- start --------------------------------------------------------------------

caf::actor spawn_projection(caf::actor_system& sys,
                            projection_settings settings) {
  auto& options = settings.options;
  if (options.max_batch == 0 || options.on_error.attempts == 0)
    throw error(errc::invalid_options,
                settings.name
                  + ": max_batch and error_strategy::attempts are at least 1");
  settings.journal.store()->connect_projections()->declare(
    settings.name, options.revision, options.ranges, options.start);
  auto core = sys.spawn<projection_actor>(
    std::make_shared<const projection_settings>(std::move(settings)));
  return sys.spawn<projection_front>(std::move(core));
}

} // namespace evented::detail

namespace evented::control {

reset::reset(const start_position& start) : move(true) {
  if (std::holds_alternative<evented::from_now>(start))
    from_now = true;
  else if (auto* time = std::get_if<from_time>(&start))
    since = time->at.time_since_epoch().count();
  else if (auto* number = std::get_if<from_seq_no>(&start))
    after = number->after;
}

std::optional<start_position> reset::start() const {
  if (!move)
    return std::nullopt;
  if (from_now)
    return evented::from_now{};
  if (since != 0)
    return from_time{timestamp{std::chrono::microseconds{since}}};
  if (after != 0)
    return from_seq_no{after};
  return from_beginning{};
}

} // namespace evented::control
