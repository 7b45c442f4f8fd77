#include "entity_actor.hpp"

#include "answer_log.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

namespace {

/// One append stays small enough to be one of many in a group commit.
constexpr std::size_t max_steps = 256;
constexpr std::size_t max_bytes = 1024 * 1024;

} // namespace

entity_actor::entity_actor(caf::actor_config& cfg,
                           std::shared_ptr<const region_settings> settings,
                           entity_id id, std::uint64_t incarnation,
                           caf::weak_actor_ptr region, recovered from)
  : caf::event_based_actor(cfg),
    settings_(std::move(settings)),
    id_(std::move(id)),
    incarnation_(incarnation),
    region_(std::move(region)),
    state_(std::move(from)),
    stale_(state_.model == nullptr) {
  if (stale_)
    state_.model = settings_->make_model();
}

caf::behavior entity_actor::make_behavior() {
  if (!stale_)
    on_up_to_date();
  return {
    [this](delivery& x) { on_delivery(x); },
    [this](append_done& x) { on_append_done(*x.job); },
    [this](load_done& x) {
      for (auto& job : x.jobs)
        // It may have been cancelled while it was on its way.
        if (job == load_)
          on_load_done(*job);
    },
    [this](overdue x) { on_overdue(x.maybe_sent); },
    [this](stop) {
      stopping_ = true;
      advance();
    },
  };
}

void entity_actor::on_exit() {
  auto why = failure(errc::shutting_down, "the application is shutting down");
  for (auto& x : queue_)
    refuse(x, why);
  for (std::size_t i = 0; i < in_flight_.size(); ++i)
    refuse(in_flight_[i], out_of_time(true));
  queue_.clear();
  in_flight_.clear();
  if (load_ != nullptr)
    load_->cancelled = true;
  load_.reset();
  append_.reset();
}

// -- messages -----------------------------------------------------------------

void entity_actor::on_delivery(delivery& x) {
  command cmd{std::move(x.content), make_response_promise()};
  cmd.read_since = x.loaded_since;
  if (given_up_ != caf::none) {
    refuse(cmd, given_up_);
    return;
  }
  if (queue_.size() + in_flight_.size() >= settings_->max_queue) {
    refuse(cmd, failure(errc::overloaded,
                        std::to_string(settings_->max_queue)
                          + " commands wait already; try again later"));
    return;
  }
  queue_.push_back(std::move(cmd));
  advance();
}

void entity_actor::on_append_done(append_job& job) {
  append_.reset();
  auto& steps = job.request.steps;
  std::size_t i = 0;
  auto sends = false;
  while (i < steps.size() && steps[i].status == append_status::stored) {
    auto& cmd = in_flight_[i];
    sends = sends || !steps[i].messages.empty();
    if (!steps[i].events.empty()) {
      state_.model->confirm(cmd.decision.typed);
      state_.version += steps[i].events.size();
      state_.seq_no = steps[i].seq_no;
    }
    settle(cmd, steps[i]);
    if (!steps[i].events.empty())
      consider_snapshot();
    ++i;
  }
  if (auto to = caf::actor_cast<caf::actor>(region_); sends && to)
    seam::send(this, to, outbox_filled{});
  report_size();
  if (i == steps.size()) {
    in_flight_.clear();
    advance();
    return;
  }
  // One was not stored. What was decided after it rested on it.
  auto& cmd = in_flight_[i];
  auto& step = steps[i];
  switch (step.status) {
  case append_status::conflict:
    settings_->counts->conflicts.add();
    stale_ = true;
    expect_news_ = true;
    if (++cmd.conflicts >= settings_->max_conflicts) {
      refuse(cmd,
             failure(errc::conflict, "other processes were faster in each of "
                                       + std::to_string(cmd.conflicts)
                                       + " rounds; try again"));
      ++i;
    }
    break;
  case append_status::repeated:
    settings_->counts->repeated.add();
    recall(cmd, step.earlier);
    ++i;
    // The first one may be another process's.
    stale_ = stale_ || step.earlier.version > state_.version;
    break;
  case append_status::vetoed:
    refuse(cmd, std::any_cast<caf::error>(std::move(step.veto)));
    ++i;
    break;
  case append_status::pending:
  case append_status::skipped:
    // Given back by the appender, for want of time. What was not sent is
    // decided again as far as it has time left.
    for (auto j = i; j < steps.size(); ++j) {
      if (steps[j].maybe_sent && steps[j].stores()) {
        stale_ = true;
        refuse(in_flight_[j], out_of_time(true));
      }
    }
    break;
  default:
    refuse(cmd, failure(step.failure, step.message));
    ++i;
  }
  decide_again(i);
  undo_tentative();
  advance();
}

void entity_actor::on_load_done(load_job& job) {
  load_.reset();
  state_ = job.take_entity();
  if (job.failure) {
    give_up(evented::make_error(job.failure->code(), job.failure->what()));
    return;
  }
  stale_ = false;
  expect_news_ = false;
  on_up_to_date();
  advance();
}

void entity_actor::on_up_to_date() {
  undo_tentative();
  consider_snapshot();
  report_size();
}

void entity_actor::on_told(std::uint64_t question, bool in_time,
                           const caf::error& err) {
  auto x = std::find_if(queue_.begin(), queue_.end(),
                        [&](auto& cmd) { return cmd.question == question; });
  // Its time may have been up.
  if (x == queue_.end())
    return;
  x->question = 0;
  if (!in_time) {
    refuse(*x, failure(errc::unavailable,
                       "who was asked by the handler did not answer in time; "
                       "nothing was stored, try again"));
    queue_.erase(x);
  } else if (err != caf::none) {
    refuse(*x, failure(errc::handler_failed, "who was asked by the handler "
                                             "answered with: "
                                               + render(system(), err)));
    queue_.erase(x);
  }
  advance();
}

void entity_actor::on_overdue(bool maybe_sent) {
  auto now = seam::now(this);
  for (auto& cmd : in_flight_) {
    // A check stores nothing, whatever becomes of it.
    if (cmd.content->deadline <= now)
      refuse(cmd, out_of_time(maybe_sent && cmd.stores));
  }
  while (!queue_.empty() && queue_.front().content->deadline <= now) {
    refuse(queue_.front(), out_of_time(false));
    queue_.pop_front();
  }
  if (load_ != nullptr && queue_.empty()) {
    // Nobody waits for this any more; the next command begins anew.
    load_->cancelled = true;
    load_.reset();
    give_up(failure(errc::unavailable, "the database is out of reach"));
  }
}

// -- steps --------------------------------------------------------------------

void entity_actor::advance() {
  if (append_ != nullptr || load_ != nullptr)
    return;
  if (!queue_.empty()) {
    if (stale_)
      load();
    else
      append();
  }
  // Commands may have been answered without an append.
  if (stopping_ && append_ == nullptr && load_ == nullptr && queue_.empty()) {
    consider_snapshot(true);
    quit();
  }
}

void entity_actor::load() {
  load_ = std::make_shared<load_job>(settings_, id_, std::move(state_));
  load_->expect_news = expect_news_;
  if (!queue_.empty())
    load_->first_deadline = queue_.front().content->deadline;
  for (auto& x : queue_)
    x.read_since = x.question == 0;
  seam::send(this, settings_->journal.loader(), load_order{load_});
}

void entity_actor::append() {
  auto job = std::make_shared<append_job>();
  auto now = seam::now(this);
  while (!queue_.empty() && in_flight_.size() < max_steps
         && job->bytes < max_bytes) {
    if (queue_.front().question != 0 || repeats_in_flight(queue_.front()))
      break;
    auto cmd = std::move(queue_.front());
    queue_.pop_front();
    if (cmd.content->deadline <= now) {
      refuse(cmd, out_of_time(false));
      continue;
    }
    auto step = decide(cmd);
    if (cmd.decision.open) {
      if (ask(std::move(cmd)))
        break;
      continue;
    }
    if (step.events.empty() && !step.record && in_flight_.empty()
        && (!settings_->confirm_in_journal || cmd.decision.from_memory
            || cmd.read_since)) {
      settle(cmd, step);
      continue;
    }
    for (auto& event : step.events)
      job->bytes += event.payload.size() + event.metadata.size();
    for (auto& x : step.messages)
      job->bytes += x.message.size();
    job->first_deadline = std::min(job->first_deadline, cmd.content->deadline);
    job->last_deadline = std::max(job->last_deadline, cmd.content->deadline);
    job->request.steps.push_back(std::move(step));
    in_flight_.push_back(std::move(cmd));
  }
  if (in_flight_.empty())
    return;
  job->request.type_name = settings_->type_name;
  job->request.id = id_;
  job->request.listener = settings_->listener;
  append_ = std::move(job);
  seam::send(this, settings_->journal.appender(id_), append_order{append_});
}

bool entity_actor::ask(command x) {
  auto& open = *x.decision.open;
  auto whom = open.whom.whom;
  if (whom == nullptr) {
    auto found = settings_->targets.find(open.whom.target);
    if (found == settings_->targets.end()) {
      refuse(x, failure(errc::handler_failed, "there is no target \""
                                                + open.whom.target
                                                + "\" to be asked"));
      return false;
    }
    whom = found->second;
  }
  auto left = std::chrono::ceil<std::chrono::milliseconds>(x.content->deadline
                                                           - seam::now(this));
  auto timeout = open.whom.timeout;
  // Whose limit it is: the question's own, or the command's.
  auto own = timeout <= left;
  x.question = ++last_question_;
  // Who is asked may know more than what was read before.
  x.read_since = false;
  // Holds the command, in which the answer goes, although it may be answered
  // meanwhile.
  auto done = [this, number = x.question, own,
               content = x.content](const caf::error& err) {
    on_told(number, own || err != caf::sec::request_timeout, err);
  };
  auto put = open.put;
  queue_.push_front(std::move(x));
  put(this, whom,
      std::max(std::min(timeout, left), std::chrono::milliseconds{1}),
      std::move(done));
  return true;
}

append_step entity_actor::decide(command& x) {
  append_step step;
  step.after = tentative_version_;
  auto refusal = [&](errc code, const std::string& what) {
    x.decision = decided{};
    x.decision.refusal = failure(code, what);
    // The handler or `apply` may have left the state half changed.
    undo_tentative();
    for (auto& earlier : in_flight_) {
      state_.model->apply(earlier.decision.typed);
      tentative_version_ += earlier.events;
    }
  };
  const auto& content = *x.content;
  try {
    if (content.expected_version != envelope::any_version
        && static_cast<std::uint64_t>(content.expected_version)
             != tentative_version_) {
      x.decision = decided{};
      x.decision.refusal = wrong_version(content.expected_version);
    } else {
      x.decision = content.command->decide(
        *state_.model,
        {id_, tentative_version_, content.trace, system(), content.has_id});
    }
    auto limit = settings_->journal.options().max_event_bytes;
    for (auto& event : x.decision.events)
      if (event.payload.size() + event.metadata.size() > limit)
        throw error(
          errc::invalid_event,
          "the event \"" + std::string{event.name} + "\" has "
            + std::to_string(event.payload.size() + event.metadata.size())
            + " bytes, more than max_event_bytes (" + std::to_string(limit)
            + ")");
    for (auto& sent : x.decision.messages)
      if (sent.message.size() > limit)
        throw error(errc::invalid_event,
                    "the message to \"" + sent.target + "\" has "
                      + std::to_string(sent.message.size())
                      + " bytes, more than max_event_bytes ("
                      + std::to_string(limit) + ")");
  } catch (const error& e) {
    refusal(e.code() == errc::invalid_event ? e.code() : errc::handler_failed,
            e.what());
  } catch (const std::exception& e) {
    refusal(errc::handler_failed, e.what());
  } catch (...) {
    refusal(errc::handler_failed, "something that is no std::exception was "
                                  "thrown");
  }
  x.events = x.decision.events.size();
  tentative_version_ += x.events;
  if (x.events > 0) {
    step.typed = x.decision.typed;
    step.events = std::move(x.decision.events);
    step.messages = std::move(x.decision.messages);
  }
  if (content.has_id)
    step.record = {content.command_id, content.command->fingerprint(system()),
                   x.decision.outcome, std::move(x.decision.reply_type),
                   std::move(x.decision.reply)};
  if (x.events > 0 || step.record)
    step.append_id = uuid::v4();
  x.stores = step.stores();
  return step;
}

bool entity_actor::repeats_in_flight(const command& x) const {
  return x.content->has_id
         && std::any_of(
           in_flight_.begin(), in_flight_.end(), [&](const command& other) {
             return other.content->has_id
                    && other.content->command_id == x.content->command_id;
           });
}

void entity_actor::consider_snapshot(bool going_to_sleep) {
  if (!settings_->snapshots || given_up_ != caf::none
      || state_.version <= state_.snapshot_version
      || (snapshot_ && !snapshot_->done))
    return;
  auto& policy = *settings_->snapshots;
  auto due = (policy.every > 0
              && state_.version - state_.snapshot_version >= policy.every)
             || (going_to_sleep && policy.when_put_to_sleep);
  if (!due && policy.when) {
    try {
      due = policy.when(*state_.model, state_.version);
    } catch (const std::exception& e) {
      SPDLOG_ERROR("evented: {}: snapshot_policy::when threw: {}", where(),
                   e.what());
    }
  }
  if (!due)
    return;
  snapshot_ = std::make_shared<snapshot_job>();
  snapshot_->value = {settings_->type_name,  id_, state_.version,
                      policy.schema_version, {},  state_.seq_no};
  snapshot_->encode = state_.model->snapshot();
  snapshot_->keep = policy.keep;
  state_.snapshot_version = state_.version;
  seam::send(this, settings_->journal.snapshots(), snapshot_order{snapshot_});
}

void entity_actor::report_size() {
  if (settings_->max_bytes == 0)
    return;
  // Not worth a message for every byte.
  constexpr std::size_t least = 512;
  auto bytes = state_.model->bytes();
  auto change = bytes > reported_bytes_ ? bytes - reported_bytes_
                                        : reported_bytes_ - bytes;
  if (change < std::max(least, reported_bytes_ / 4))
    return;
  reported_bytes_ = bytes;
  if (auto to = caf::actor_cast<caf::actor>(region_))
    seam::send(this, to, sized{incarnation_, bytes});
}

void entity_actor::undo_tentative() {
  state_.model->roll_back();
  tentative_version_ = state_.version;
}

void entity_actor::decide_again(std::size_t first) {
  for (auto i = in_flight_.size(); i-- > first;)
    if (!in_flight_[i].answered) {
      settings_->counts->decided_again.add();
      queue_.push_front(std::move(in_flight_[i]));
    }
  in_flight_.clear();
}

void entity_actor::give_up(caf::error why) {
  given_up_ = std::move(why);
  for (auto& x : queue_)
    refuse(x, given_up_);
  queue_.clear();
  // The region that has said so waits for it, and does not say it again.
  if (stopping_)
    quit();
  else
    ask_to_stop();
}

void entity_actor::ask_to_stop() {
  if (auto to = caf::actor_cast<caf::actor>(region_))
    seam::send(this, to, detail::stopping{incarnation_});
  else
    quit();
}

// -- answers ------------------------------------------------------------------

void entity_actor::answer(command& x, caf::message msg) {
  if (x.answered)
    return;
  x.answered = true;
  note(x, {});
  x.promise.deliver(std::move(msg));
}

void entity_actor::refuse(command& x, caf::error why) {
  if (x.answered)
    return;
  x.answered = true;
  note(x, why);
  x.promise.deliver(std::move(why));
}

void entity_actor::note(const command& x, const caf::error& why) const {
  auto arrival = x.content->deadline - settings_->command_timeout;
  auto outcome = code_of(why);
  settings_->counts->answered(outcome, seam::now(this) - arrival);
  // Before the answer, so that whoever waits for that finds it free.
  x.content->place.give_back();
  log_answer({settings_->type_name, id_, state_.version, x.content->trace},
             outcome, text_of(why));
}

void entity_actor::settle(command& x, append_step& step) {
  if (x.decision.refusal != caf::none) {
    refuse(x, std::move(x.decision.refusal));
    return;
  }
  if (x.decision.effect) {
    try {
      x.decision.effect();
    } catch (const std::exception& e) {
      // Too late for the sender: the events are stored.
      SPDLOG_ERROR("evented: {}: an effect threw: {}", where(), e.what());
    }
  }
  answer(x, x.decision.answer(
              accepted{step.after + step.events.size(), step.seq_no}));
}

void entity_actor::recall(command& x, const remembered_command& from) {
  auto& box = *x.content->command;
  if (from.fingerprint != box.fingerprint(system())) {
    refuse(x, failure(errc::used_command_id,
                      "the command ID \"" + x.content->command_id
                        + "\" was used for another command, at version "
                        + std::to_string(from.version)));
    return;
  }
  if (auto msg = box.recall(system(), from))
    answer(x, std::move(*msg));
  else
    refuse(x, std::move(msg.error()));
}

caf::error entity_actor::wrong_version(std::int64_t expected) const {
  return caf::make_error(errc::unexpected_version,
                         settings_->type_name + " " + to_string(id_)
                           + ": version " + std::to_string(expected)
                           + " was expected, but it is at version "
                           + std::to_string(tentative_version_),
                         tentative_version_);
}

std::string entity_actor::where() const {
  return settings_->type_name + " " + to_string(id_) + ", version "
         + std::to_string(state_.version);
}

caf::error entity_actor::failure(errc code, const std::string& what) const {
  return evented::make_error(code, where() + ": " + what);
}

caf::error entity_actor::out_of_time(bool maybe_sent) const {
  return maybe_sent
           ? failure(errc::outcome_unknown,
                     "the database did not say in time whether the command was "
                     "stored; it may be, now or later")
           : failure(errc::unavailable,
                     "the database was out of reach in time; nothing was "
                     "stored, try again");
}

} // namespace evented::detail
