#pragma once

// The region of an entity type. Not for users, see entities.hpp.

#include <evented/actors/journal.hpp>
#include <evented/actors/model.hpp>
#include <evented/export.hpp>

#include <caf/event_based_actor.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace evented::detail {

class region;
struct recovered;

#if EVENTED_CAF < 1800
using unknown_message = caf::type_erased_tuple;
#else
using unknown_message = caf::message;
#endif

/// When the snapshots of an entity type are written.
struct snapshot_settings {
  std::uint64_t every = 0;
  std::function<bool(const entity_model&, std::uint64_t)> when;
  bool when_put_to_sleep = false;
  unsigned keep = 1;
  std::int32_t schema_version = 1;
  /// Whether one that could not be used was logged already.
  std::shared_ptr<std::atomic<bool>> warned
    = std::make_shared<std::atomic<bool>>(false);
};

/// What a region and its entities know of their type.
struct region_settings {
  std::string type_name;
  evented::journal journal;
  id_kind ids;
  std::chrono::milliseconds command_timeout;
  std::size_t max_queue;
  std::size_t max_in_progress;
  unsigned max_conflicts;
  bool confirm_in_journal;
  std::chrono::milliseconds idle_timeout;
  std::size_t max_awake;
  std::size_t max_bytes;
  std::chrono::seconds remember_commands;
  std::optional<snapshot_settings> snapshots;
  std::shared_ptr<const event_listener> listener;
  /// Whom entities of this type may ask.
  std::map<std::string, caf::actor> targets;
  /// Null where entities of this type send nothing.
  std::shared_ptr<const outbox_settings> outbox;
  /// Set by `spawn_region`.
  std::shared_ptr<entity_metrics> counts = {};
  std::function<std::unique_ptr<entity_model>()> make_model;
  std::function<caf::behavior(region*)> make_behavior;
  /// Returns the error for a message that is no command.
  std::function<caf::error(const unknown_message&)> explain;
};

/// Delivers commands to the actors of the entities, spawns them, and puts those
/// to sleep that were used least recently.
///
/// Stopping loses and reorders nothing: the entity asks, the region holds back
/// what arrives from then on, the entity finishes what it has, and what was
/// held back goes to its successor.
class EVENTED_EXPORT region : public caf::event_based_actor {
public:
  region(caf::actor_config& cfg,
         std::shared_ptr<const region_settings> settings);

  caf::behavior make_behavior() override;

  const char* name() const override { return "evented.region"; }

  void on_exit() override;

  // -- called by the behavior -------------------------------------------------

  /// Hands the message that is being handled to the entity.
  void deliver(entity_id id, delivery_content content);

  void on_stopping(std::uint64_t incarnation);

  void on_stopped(std::uint64_t incarnation);

  void on_sized(std::uint64_t incarnation, std::size_t bytes);

  void on_loaded(load_job& job);

  void on_overdue(std::uint64_t incarnation);

  void on_outbox_filled();

  /// Puts to sleep whatever belongs to these slices, and tells the sender of the
  /// present message once nothing of a slice is left.
  void on_vacate(const vacate& what);

  /// Puts to sleep what was not used for long.
  void on_tick();

  [[nodiscard]] region_state state() const;

private:
  struct held_back {
    caf::response_promise promise;
    delivery message;
  };

  struct resident;

  /// Those awake and not stopping, the least recently used first.
  using awake_list = std::list<std::pair<const entity_id, resident>*>;

  /// An entity that is being loaded, or awake, or about to stop.
  struct resident {
    /// Null while it is being loaded.
    caf::actor actor;
    std::shared_ptr<load_job> load;
    std::uint64_t incarnation = 0;
    bool stopping = false;
    std::vector<held_back> waiting;
    clock::time_point used = {};
    std::size_t bytes = 0;
    awake_list::iterator place = {};
  };

  void load(std::pair<const entity_id, resident>& to);
  void spawn_entity(std::pair<const entity_id, resident>& to, recovered from);
  /// Answers a command that did not get to its entity, and counts that.
  void refuse(held_back& x, const caf::error& why);
  /// Hands on what was held back.
  static void release(resident& x);
  /// Ends a load for all that waits.
  void forget(std::pair<const entity_id, resident>& from,
              const caf::error& why);
  void put_to_sleep(std::pair<const entity_id, resident>& x);
  /// Puts entities to sleep until the limits are kept.
  void keep_limits();
  /// Notes that an entity which was to go is gone.
  void on_gone(const entity_id& id);
  [[nodiscard]] std::chrono::milliseconds tick_length() const;

  /// Entities that are to go with their slices.
  struct vacating {
    struct slice {
      /// How many there are left.
      std::size_t left = 0;
      /// Who wants to know that there are none, and its question.
      caf::actor whom;
      std::uint64_t number = 0;
    };

    std::unordered_set<entity_id> entities;
    std::unordered_map<std::uint16_t, slice> slices;
  };

  std::shared_ptr<const region_settings> settings_;
  std::unordered_map<entity_id, resident> residents_;
  std::unordered_map<std::uint64_t, entity_id> by_incarnation_;
  std::uint64_t next_incarnation_ = 1;
  awake_list awake_;
  std::size_t loading_ = 0;
  std::shared_ptr<metric_gauge> in_progress_ = std::make_shared<metric_gauge>();
  /// What those in `awake_` take.
  std::size_t bytes_ = 0;
  caf::actor ticker_;
  /// Null where there is nothing to deliver.
  caf::actor dispatcher_;
  bool has_command_ids_ = false;
  clock::time_point next_forgetting_ = {};
  vacating vacating_;
};

/// Checks that the journal holds no event of the type that this program cannot
/// read. Where the database is out of reach, the check is left out: like
/// everything else, entities start without it.
/// @throws error(incompatible), sql_error
EVENTED_EXPORT void check_at_start(const journal& where,
                                   const readable_type& what);

EVENTED_EXPORT caf::actor spawn_region(caf::actor_system& sys,
                                       region_settings settings);

} // namespace evented::detail
