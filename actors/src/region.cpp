#include "entity_actor.hpp"
#include "recovery.hpp"

#include <evented/actors/region.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

namespace {

/// About what an entity takes besides its state: its actor, its mailbox and its
/// place in the region (measured, rounded up).
constexpr std::size_t entity_overhead = 2048;

/// Tells a region the time as long as it lives.
class ticker : public caf::event_based_actor {
public:
  ticker(caf::actor_config& cfg, caf::weak_actor_ptr whom,
         std::chrono::milliseconds every)
    : caf::event_based_actor(cfg), whom_(std::move(whom)), every_(every) {
    // nop
  }

  const char* name() const override { return "evented.ticker"; }

  caf::behavior make_behavior() override {
    seam::delayed_send(this, every_, tick{});
    return {[this](tick) {
      auto to = caf::actor_cast<caf::actor>(whom_);
      if (to == nullptr) {
        quit();
        return;
      }
      seam::send(this, to, tick{});
      seam::delayed_send(this, every_, tick{});
    }};
  }

private:
  caf::weak_actor_ptr whom_;
  std::chrono::milliseconds every_;
};

caf::actor spawn_ticker(caf::actor_system& sys, caf::weak_actor_ptr whom,
                        std::chrono::milliseconds every) {
  return sys.spawn<ticker>(std::move(whom), every);
}

} // namespace

region::region(caf::actor_config& cfg,
               std::shared_ptr<const region_settings> settings)
  : caf::event_based_actor(cfg), settings_(std::move(settings)) {
  seam::on_unknown(this, [this](const auto& msg) {
    auto why = settings_->explain(msg);
    settings_->counts->received.add();
    settings_->counts->answered(code_of(why), {});
    return why;
  });
}

caf::behavior region::make_behavior() {
  // A timer of the region's own would keep it alive.
  ticker_ = spawn_ticker(system(), caf::actor_cast<caf::weak_actor_ptr>(this),
                         tick_length());
  if (settings_->outbox)
    dispatcher_ = spawn_dispatcher(
      system(), settings_->journal.store(), settings_->journal.metrics(),
      settings_->outbox, caf::actor_cast<caf::weak_actor_ptr>(this));
  return settings_->make_behavior(this);
}

void region::on_exit() {
  auto why = evented::make_error(errc::shutting_down,
                                 settings_->type_name
                                   + ": the application is shutting down");
  for (auto& resident : residents_) {
    auto& x = resident.second;
    if (x.load) {
      // Loads anew, without a region that waits for it.
      x.load->cancelled = true;
      spawn_entity(resident, {});
      release(x);
    }
    for (auto& held : x.waiting)
      refuse(held, why);
    // Finishes what it has.
    seam::anon_send(x.actor, stop{});
  }
  settings_->counts->awake.add(-static_cast<std::int64_t>(awake_.size()));
  awake_.clear();
  residents_.clear();
  vacating_ = {};
  caf::anon_send_exit(ticker_, caf::exit_reason::user_shutdown);
  ticker_ = nullptr;
  if (dispatcher_)
    seam::anon_send(dispatcher_, stop{});
  dispatcher_ = nullptr;
}

void region::deliver(entity_id id, delivery_content from) {
  settings_->counts->received.add();
  auto refuse = [this](errc code, const std::string& why) {
    settings_->counts->answered(code, {});
    make_response_promise().deliver(
      evented::make_error(code, settings_->type_name + ": " + why));
  };
  if (!valid(id)) {
    refuse(errc::invalid_id, "a text ID has 1 to 512 bytes of valid UTF-8 "
                             "without NUL");
    return;
  }
  if (from.has_id && !valid_command_id(from.command_id)) {
    refuse(errc::invalid_id, "a command ID has 1 to 200 bytes of valid UTF-8 "
                             "without NUL");
    return;
  }
  if (settings_->max_in_progress > 0
      && in_progress_->value()
           >= static_cast<std::int64_t>(settings_->max_in_progress)) {
    refuse(errc::overloaded, std::to_string(settings_->max_in_progress)
                               + " commands are in progress already; try again "
                                 "later");
    return;
  }
  has_command_ids_ = has_command_ids_ || from.has_id;
  auto content = std::make_shared<delivery_content>(std::move(from));
  auto now = seam::now(this);
  content->deadline = now + settings_->command_timeout;
  content->place = place{in_progress_};
  auto& to = *residents_.try_emplace(std::move(id)).first;
  auto& x = to.second;
  if (x.stopping || x.load) {
    if (x.waiting.size() >= settings_->max_queue) {
      refuse(errc::overloaded, to_string(to.first) + ": "
                                 + std::to_string(settings_->max_queue)
                                 + " commands wait already; try again later");
      return;
    }
    x.waiting.push_back({make_response_promise(), {std::move(content)}});
    return;
  }
  if (x.actor == nullptr) {
    x.waiting.push_back({make_response_promise(), {std::move(content)}});
    load(to);
    return;
  }
  awake_.splice(awake_.end(), awake_, x.place);
  x.used = now;
  seam::delegate(this, x.actor, delivery{std::move(content)});
  keep_limits();
}

void region::load(std::pair<const entity_id, resident>& to) {
  auto& [id, x] = to;
  x.stopping = false;
  x.incarnation = next_incarnation_++;
  by_incarnation_.emplace(x.incarnation, id);
  recovered nothing;
  nothing.model = settings_->make_model();
  x.load = std::make_shared<load_job>(settings_, id, std::move(nothing));
  x.load->incarnation = x.incarnation;
  ++loading_;
  settings_->counts->loading.add(1);
  for (auto& held : x.waiting) {
    auto& content = *held.message.content;
    held.message.loaded_since = true;
    x.load->first_deadline = std::min(x.load->first_deadline, content.deadline);
  }
  seam::send(this, settings_->journal.loader(), load_order{x.load});
}

void region::on_loaded(load_job& job) {
  auto found = by_incarnation_.find(job.incarnation);
  if (found == by_incarnation_.end())
    return;
  auto& to = *residents_.find(found->second);
  auto& x = to.second;
  // It may have been cancelled while it was on its way.
  if (x.load.get() != &job)
    return;
  if (job.failure) {
    forget(to, evented::make_error(job.failure->code(), job.failure->what()));
    return;
  }
  spawn_entity(to, job.take_entity());
  release(x);
  if (vacating_.entities.contains(to.first))
    put_to_sleep(to);
  keep_limits();
}

void region::on_overdue(std::uint64_t incarnation) {
  auto found = by_incarnation_.find(incarnation);
  if (found == by_incarnation_.end())
    return;
  auto& to = *residents_.find(found->second);
  auto& x = to.second;
  if (!x.load)
    return;
  auto why = evented::make_error(
    errc::unavailable, settings_->type_name + " " + to_string(to.first)
                         + ": the database was out of reach in time; nothing "
                           "was stored, try again");
  auto late = [now = seam::now(this)](const held_back& held) {
    return held.message.content->deadline <= now;
  };
  for (auto& held : x.waiting)
    if (late(held))
      refuse(held, why);
  std::erase_if(x.waiting, late);
  // Nobody waits for this any more; the next command begins anew.
  if (x.waiting.empty())
    forget(to, why);
}

void region::refuse(held_back& x, const caf::error& why) {
  auto arrival = x.message.content->deadline - settings_->command_timeout;
  settings_->counts->answered(code_of(why), seam::now(this) - arrival);
  x.message.content->place.give_back();
  x.promise.deliver(why);
}

void region::release(resident& x) {
  for (auto& held : x.waiting)
    held.promise.delegate(x.actor, std::move(held.message));
  x.waiting = {};
}

void region::forget(std::pair<const entity_id, resident>& from,
                    const caf::error& why) {
  auto& x = from.second;
  x.load->cancelled = true;
  for (auto& held : x.waiting)
    refuse(held, why);
  --loading_;
  settings_->counts->loading.add(-1);
  by_incarnation_.erase(x.incarnation);
  on_gone(from.first);
  residents_.erase(residents_.find(from.first));
}

void region::spawn_entity(std::pair<const entity_id, resident>& to,
                          recovered from) {
  auto& x = to.second;
  x.load = nullptr;
  --loading_;
  settings_->counts->loading.add(-1);
  settings_->counts->awake.add(1);
  x.used = seam::now(this);
  x.bytes = entity_overhead;
  bytes_ += x.bytes;
  x.place = awake_.insert(awake_.end(), &to);
  auto self = caf::actor_cast<caf::weak_actor_ptr>(this);
  x.actor = system().spawn<entity_actor, caf::lazy_init>(
    settings_, to.first, x.incarnation, self, std::move(from));
  // Runs in the thread of the dying entity, whatever it dies of. The region is
  // held weakly, or the two would keep each other alive.
  caf::actor_cast<caf::abstract_actor*>(x.actor)->attach_functor(
    [self, incarnation = x.incarnation](const caf::error&) {
      if (auto owner = caf::actor_cast<caf::actor>(self))
        seam::anon_send(owner, stopped{incarnation});
    });
}

// -- sleep --------------------------------------------------------------------

std::chrono::milliseconds region::tick_length() const {
  constexpr std::chrono::milliseconds longest{1000};
  constexpr std::chrono::milliseconds shortest{10};
  auto idle = settings_->idle_timeout;
  return idle.count() == 0 ? longest : std::clamp(idle / 4, shortest, longest);
}

void region::put_to_sleep(std::pair<const entity_id, resident>& x) {
  auto& [id, to] = x;
  if (to.stopping)
    return;
  to.stopping = true;
  awake_.erase(to.place);
  settings_->counts->awake.add(-1);
  settings_->counts->put_to_sleep.add();
  bytes_ -= to.bytes;
  seam::send(this, to.actor, stop{});
}

void region::keep_limits() {
  auto too_many = [this] {
    return (settings_->max_awake > 0 && awake_.size() > settings_->max_awake)
           || (settings_->max_bytes > 0 && bytes_ > settings_->max_bytes
               && awake_.size() > 1);
  };
  while (too_many())
    put_to_sleep(*awake_.front());
}

void region::on_sized(std::uint64_t incarnation, std::size_t bytes) {
  auto id = by_incarnation_.find(incarnation);
  if (id == by_incarnation_.end())
    return;
  auto& x = residents_[id->second];
  if (x.stopping)
    return;
  bytes_ += entity_overhead + bytes - x.bytes;
  x.bytes = entity_overhead + bytes;
  keep_limits();
}

void region::on_outbox_filled() {
  if (dispatcher_)
    seam::send(this, dispatcher_, outbox_filled{});
}

void region::on_tick() {
  auto now = seam::now(this);
  if (settings_->idle_timeout.count() > 0)
    while (!awake_.empty()
           && now - awake_.front()->second.used >= settings_->idle_timeout)
      put_to_sleep(*awake_.front());
  if (has_command_ids_ && now >= next_forgetting_) {
    constexpr std::chrono::seconds often{1};
    constexpr std::chrono::seconds seldom{600};
    next_forgetting_
      = now + std::clamp(settings_->remember_commands / 10, often, seldom);
    seam::send(
      this, settings_->journal.snapshots(),
      forget_order{settings_->type_name, settings_->remember_commands});
  }
}

region_state region::state() const {
  return {settings_->type_name, awake_.size(),
          residents_.size() - awake_.size() - loading_, bytes_, loading_};
}

void region::on_stopping(std::uint64_t incarnation) {
  auto id = by_incarnation_.find(incarnation);
  if (id != by_incarnation_.end())
    put_to_sleep(*residents_.find(id->second));
}

void region::on_stopped(std::uint64_t incarnation) {
  auto found = by_incarnation_.find(incarnation);
  if (found == by_incarnation_.end())
    return;
  auto id = std::move(found->second);
  by_incarnation_.erase(found);
  auto resident = residents_.find(id);
  auto& x = resident->second;
  if (!x.stopping) {
    // It has died on its own.
    awake_.erase(x.place);
    settings_->counts->awake.add(-1);
    bytes_ -= x.bytes;
  }
  x.actor = nullptr;
  if (!x.waiting.empty()) {
    load(*resident);
    return;
  }
  on_gone(id);
  residents_.erase(resident);
}

void check_at_start(const journal& where, const readable_type& what) {
  try {
    check_shapes(*where.store(), {&what, 1});
  } catch (const connection_lost& e) {
    SPDLOG_WARN("evented: {}: whether this program can read all events is not "
                "checked: {}",
                what.type_name, e.what());
  }
}

namespace {

/// Says at the start what snapshots this program will not use: nothing is lost
/// by that but time.
void report_snapshots(const region_settings& of) {
  if (!of.snapshots)
    return;
  try {
    std::string others;
    for (auto shape :
         of.journal.store()->connect()->snapshot_shapes(of.type_name))
      if (shape != of.snapshots->schema_version)
        others += (others.empty() ? "" : ", ") + std::to_string(shape);
    if (!others.empty())
      SPDLOG_WARN(
        "evented: {}: the journal holds snapshots of the shapes {}, "
        "and this program reads {}; those entities wake up from their "
        "events",
        of.type_name, others, of.snapshots->schema_version);
  } catch (const connection_lost&) {
    // Entities find out on their own.
  }
}

} // namespace

caf::actor spawn_region(caf::actor_system& sys, region_settings settings) {
  if (settings.ids != settings.journal.options().ids)
    throw error(errc::invalid_options,
                settings.type_name + " has IDs of kind "
                  + std::string{to_string(settings.ids)}
                  + ", but this journal holds "
                  + std::string{to_string(settings.journal.options().ids)}
                  + "; set journal_options::ids");
  if (settings.idle_timeout.count() < 0
      || settings.remember_commands.count() < 1
      || (settings.snapshots && settings.snapshots->keep == 0))
    throw error(errc::invalid_options,
                settings.type_name
                  + ": idle_timeout is not negative, remember_commands and "
                    "snapshot_policy::keep are at least 1");
  for (auto& [name, to] : settings.targets)
    if (name.empty() || to == nullptr)
      throw error(errc::invalid_options, settings.type_name + ": the target \""
                                           + name
                                           + "\" needs a name and an actor");
  if (settings.outbox
      && (settings.outbox->policy.timeout.count() < 1
          || settings.outbox->policy.max_in_flight == 0))
    throw error(errc::invalid_options,
                settings.type_name
                  + ": delivery_policy::timeout and max_in_flight are at "
                    "least 1");
  report_snapshots(settings);
  settings.counts = settings.journal.metrics()->entities(settings.type_name);
  auto shared = std::make_shared<const region_settings>(std::move(settings));
  auto result = sys.spawn<region>(shared);
  // A node of a cluster has named its router: it knows who owns the receiver.
  auto router = shared->targets.find(shared->type_name);
  shared->journal.regions()->enter(
    shared->type_name,
    router == shared->targets.end() ? result : router->second);
  return result;
}

} // namespace evented::detail
