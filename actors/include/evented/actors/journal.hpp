#pragma once

#include <evented/actors/address_book.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/metrics.hpp>
#include <evented/actors/seam.hpp>
#include <evented/export.hpp>
#include <evented/frontier_watch.hpp>
#include <evented/store.hpp>

#include <memory>

namespace evented {

/// A journal as actors use it: an opened store, and the actors that append to
/// it and load from it. A handle, cheap to copy; the last one stops the actors
/// once they have answered what they were asked. Thread-safe.
class EVENTED_EXPORT journal {
public:
  // -- constructors, destructors, and assignment operators --------------------

  /// Opens the journal that `options` describe, or makes it. Blocks while it
  /// migrates.
  /// @throws what `open_store` throws
  journal(caf::actor_system& sys, const journal_options& options);

  /// Uses a store that is open already, for example one in memory.
  journal(caf::actor_system& sys, std::shared_ptr<store> opened);

  // -- properties -------------------------------------------------------------

  /// Returns the store, for reading it directly.
  [[nodiscard]] const std::shared_ptr<evented::store>& store() const noexcept;

  /// Returns the options without secrets.
  [[nodiscard]] const journal_options& options() const noexcept;

  /// Returns what this journal counts in this process; see `metrics_exporter` for
  /// Prometheus.
  [[nodiscard]] const std::shared_ptr<evented::metrics>&
  metrics() const noexcept;

  // -- access for entities ----------------------------------------------------

  /// Returns the actor that appends for the entity: always the same one.
  [[nodiscard]] const caf::actor& appender(const entity_id& id) const;

  /// Returns the actor that loads entities.
  [[nodiscard]] const caf::actor& loader() const;

  /// Returns the actor that writes snapshots and forgets old commands.
  [[nodiscard]] const caf::actor& snapshots() const;

  /// Returns which entity types have a region in this process.
  [[nodiscard]] const std::shared_ptr<detail::address_book>&
  regions() const noexcept;

  // -- access for projections -------------------------------------------------

  /// Returns the actor that runs things on a few connections.
  [[nodiscard]] const caf::actor& sessions() const;

  /// Returns what follows the frontier.
  [[nodiscard]] frontier_watch& watch() const;

private:
  class state;

  std::shared_ptr<const state> state_;
};

/// Runs one statement of the application's own on a connection of its own: for
/// making a view's table at start, and for looking at it. Blocks.
/// @throws connection_lost, sql_error
template <class... Ts>
rows sql(const journal& where, std::string_view statement, Ts&&... params) {
  return where.store()->connect()->query(
    statement, std::vector<parameter>{parameter{std::forward<Ts>(params)}...});
}

} // namespace evented
