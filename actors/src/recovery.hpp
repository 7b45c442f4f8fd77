#pragma once

#include <evented/actors/jobs.hpp>
#include <evented/actors/model.hpp>
#include <evented/actors/region.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace evented::detail {

/// An entity as far as the journal has told of it. Handed to a load and back.
struct recovered {
  std::unique_ptr<entity_model> model;
  /// The version of its confirmed state.
  std::uint64_t version = 0;
  /// The number of the event that has led to it; 0 where a snapshot has.
  std::uint64_t seq_no = 0;
  /// The version of its newest snapshot that is known.
  std::uint64_t snapshot_version = 0;
  /// Whether the newest snapshot turned out to be of no use.
  bool ignore_snapshots = false;
  /// Whether snapshots are needed although they are switched off.
  bool load_snapshots = false;
};

/// Brings one entity up to date: a new one from its snapshot or its first event
/// on, another from the version that it has. The events are applied where they
/// arrive, in the thread of the load worker, so that they need not be handed to
/// another one.
///
/// Belongs to who orders it, then to the loader until it comes back; only
/// `cancelled` may be touched meanwhile.
class load_job {
public:
  load_job(std::shared_ptr<const region_settings> settings, entity_id id,
           recovered from)
    : settings_(std::move(settings)),
      id_(std::move(id)),
      entity_(std::move(from)) {
    // nop
  }

  // -- for who orders it ------------------------------------------------------

  /// Who gets the answer.
  caf::strong_actor_ptr owner;
  std::uint64_t incarnation = 0;
  clock::time_point first_deadline = clock::time_point::max();
  /// Whether a load that finds nothing means that memory is ahead of the
  /// journal, as after a failover that lost commits.
  bool expect_news = false;
  /// Set by the owner when it no longer wants the answer.
  std::atomic<bool> cancelled{false};

  /// Why the entity cannot be rebuilt; nothing where it was.
  std::optional<error> failure;

  /// Returns the entity, which is up to date where there is no `failure`.
  recovered take_entity() { return std::move(entity_); }

  // -- for the load worker ----------------------------------------------------

  /// Returns what is to be asked next.
  [[nodiscard]] load_request next() const;

  void take(load_result& found);

  void fail(errc code, const std::string& what);

  /// Returns whether there is no more to ask.
  [[nodiscard]] bool finished() const noexcept {
    return complete_ || failure.has_value();
  }

private:
  /// Takes the snapshot and the horizon. Returns whether the events can follow;
  /// else it has failed, or the next question is another one.
  bool begin_with(load_result& found);
  void replay(const stored_event& event);
  [[nodiscard]] std::string where() const;

  std::shared_ptr<const region_settings> settings_;
  entity_id id_;
  recovered entity_;
  bool complete_ = false;
};

struct load_batch {
  std::vector<std::shared_ptr<load_job>> jobs;
  bool lost = false;
};

} // namespace evented::detail
