#include "entity_actor.hpp"

#include <evented/actors/region.hpp>

#include <spdlog/spdlog.h>

namespace evented::detail {

region::region(caf::actor_config& cfg,
               std::shared_ptr<const region_settings> settings)
  : caf::event_based_actor(cfg), settings_(std::move(settings)) {
  seam::on_unknown(this,
                   [this](const auto& msg) { return settings_->explain(msg); });
}

caf::behavior region::make_behavior() {
  return settings_->make_behavior(this);
}

void region::on_exit() {
  auto why = evented::make_error(errc::shutting_down,
                                 settings_->type_name
                                   + ": the application is shutting down");
  for (auto& [id, x] : residents_) {
    for (auto& held : x.waiting)
      held.promise.deliver(why);
    // Finishes what it has.
    seam::anon_send(x.actor, stop{});
  }
  residents_.clear();
}

void region::deliver(entity_id id, std::unique_ptr<command_box> command) {
  if (!valid(id)) {
    make_response_promise().deliver(evented::make_error(
      errc::invalid_id, settings_->type_name
                          + ": a text ID has 1 to 512 bytes of valid UTF-8 "
                            "without NUL"));
    return;
  }
  auto content = std::make_shared<delivery_content>();
  content->command = std::move(command);
  content->deadline = clock::now() + settings_->command_timeout;
  auto& to = residents_[id];
  if (to.stopping) {
    to.waiting.push_back({make_response_promise(), {std::move(content)}});
    return;
  }
  if (to.actor == nullptr)
    spawn_entity(id, to);
  seam::delegate(this, to.actor, delivery{std::move(content)});
}

void region::spawn_entity(const entity_id& id, resident& to) {
  to.incarnation = next_incarnation_++;
  to.stopping = false;
  auto self = caf::actor_cast<caf::weak_actor_ptr>(this);
  to.actor = system().spawn<entity_actor>(settings_, id, to.incarnation, self);
  by_incarnation_.emplace(to.incarnation, id);
  // Runs in the thread of the dying entity, whatever it dies of. The region is
  // held weakly, or the two would keep each other alive.
  caf::actor_cast<caf::abstract_actor*>(to.actor)->attach_functor(
    [self, incarnation = to.incarnation](const caf::error&) {
      if (auto owner = caf::actor_cast<caf::actor>(self))
        seam::anon_send(owner, stopped{incarnation});
    });
}

void region::on_stopping(std::uint64_t incarnation) {
  auto id = by_incarnation_.find(incarnation);
  if (id == by_incarnation_.end())
    return;
  auto& x = residents_[id->second];
  x.stopping = true;
  seam::send(this, x.actor, stop{});
}

void region::on_stopped(std::uint64_t incarnation) {
  auto found = by_incarnation_.find(incarnation);
  if (found == by_incarnation_.end())
    return;
  auto id = std::move(found->second);
  by_incarnation_.erase(found);
  auto resident = residents_.find(id);
  auto waiting = std::move(resident->second.waiting);
  if (waiting.empty()) {
    residents_.erase(resident);
    return;
  }
  spawn_entity(id, resident->second);
  resident->second.waiting.clear();
  for (auto& held : waiting)
    held.promise.delegate(resident->second.actor, std::move(held.message));
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

caf::actor spawn_region(caf::actor_system& sys, region_settings settings) {
  if (settings.ids != settings.journal.options().ids)
    throw error(errc::invalid_options,
                settings.type_name + " has IDs of kind "
                  + std::string{to_string(settings.ids)}
                  + ", but this journal holds "
                  + std::string{to_string(settings.journal.options().ids)}
                  + "; set journal_options::ids");
  return sys.spawn<region>(
    std::make_shared<const region_settings>(std::move(settings)));
}

} // namespace evented::detail
