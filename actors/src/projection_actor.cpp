#include "projection_actor.hpp"

#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

namespace {

/// How often to look while somebody waits for the outcome.
constexpr std::chrono::milliseconds hurry{20};

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

bool projection_actor::is_elsewhere(resident& mine, const range_status& range) {
  if (mine.epoch < range.epoch)
    return true;
  // Less than what the runner has said may be what was found before it said so,
  // or come from a standby that took over and had missed that. A look that has
  // begun since tells.
  auto said = std::pair{mine.epoch, mine.seq_no};
  if (std::pair{range.epoch, range.seq_no} >= said) {
    mine.doubted.reset();
    return false;
  }
  return std::exchange(mine.doubted, said) == said;
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
    auto& runs_here = settings_->options.runs_here;
    auto wanted = !runs_here || runs_here(range.slices);
    if (mine != residents_.end() && !wanted) {
      seam::send(this, mine->second.actor, range_stop{});
    } else if (mine == residents_.end()) {
      if (wanted && running_ && held_ == 0 && !status_.paused && !range.halted
          && !range.owner)
        start_runner(range, limit_of(range));
    } else {
      seam::send(this, mine->second.actor, range_limit{limit_of(range)});
      if (mine->second.epoch != 0 && is_elsewhere(mine->second, range))
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
  if (!behind)
    serve_requests();
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
    lap_.reset();
    if (revision < options.revision && !status_.rescale_to)
      start_rebuild({}, options.revision);
    else if (!status_.rescale_to)
      step_error_.clear();
    return;
  }
  // It is caught up when it has got to where the live version was in so little
  // time that nobody minds if the live one stands still for as long. Being where
  // the live version was at the last look would be too much to ask: where
  // statements are slow, it is always a few looks behind.
  auto caught_up = false;
  if (!lap_ || next >= lap_->to) {
    auto now = clock::now();
    caught_up = lap_ && now - lap_->begin <= options.stalled_after / 2;
    lap_ = lap{live, now};
  }
  if (equal && stands) {
    stepping_ = true;
    lap_.reset();
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

} // namespace evented::detail
