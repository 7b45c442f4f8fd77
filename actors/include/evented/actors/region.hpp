#pragma once

// The region of an entity type. Not for users, see entities.hpp.

#include <evented/actors/journal.hpp>
#include <evented/actors/model.hpp>

#include <caf/event_based_actor.hpp>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace evented::detail {

class region;

#if EVENTED_CAF < 1800
using unknown_message = caf::type_erased_tuple;
#else
using unknown_message = caf::message;
#endif

/// What a region and its entities know of their type.
struct region_settings {
  std::string type_name;
  evented::journal journal;
  id_kind ids;
  std::chrono::milliseconds command_timeout;
  std::size_t max_queue;
  unsigned max_conflicts;
  bool confirm_in_journal;
  std::shared_ptr<const event_listener> listener;
  std::function<std::unique_ptr<entity_model>()> make_model;
  std::function<caf::behavior(region*)> make_behavior;
  /// Returns the error for a message that is no command.
  std::function<caf::error(const unknown_message&)> explain;
};

/// Delivers commands to the actors of the entities and spawns them.
///
/// Stopping loses and reorders nothing: the entity asks, the region holds back
/// what arrives from then on, the entity finishes what it has, and what was
/// held back goes to its successor.
class region : public caf::event_based_actor {
public:
  region(caf::actor_config& cfg,
         std::shared_ptr<const region_settings> settings);

  caf::behavior make_behavior() override;

  const char* name() const override { return "evented.region"; }

  void on_exit() override;

  // -- called by the behavior -------------------------------------------------

  /// Hands the message that is being handled to the entity.
  void deliver(entity_id id, std::unique_ptr<command_box> command);

  void on_stopping(std::uint64_t incarnation);

  void on_stopped(std::uint64_t incarnation);

private:
  struct held_back {
    caf::response_promise promise;
    delivery message;
  };

  struct resident {
    caf::actor actor;
    std::uint64_t incarnation = 0;
    bool stopping = false;
    std::vector<held_back> waiting;
  };

  void spawn_entity(const entity_id& id, resident& to);

  std::shared_ptr<const region_settings> settings_;
  std::unordered_map<entity_id, resident> residents_;
  std::unordered_map<std::uint64_t, entity_id> by_incarnation_;
  std::uint64_t next_incarnation_ = 1;
};

/// Checks that the journal holds no event of the type that this program cannot
/// read. Where the database is out of reach, the check is left out: like
/// everything else, entities start without it.
/// @throws error(incompatible), sql_error
void check_at_start(const journal& where, const readable_type& what);

caf::actor spawn_region(caf::actor_system& sys, region_settings settings);

} // namespace evented::detail
