#pragma once

#include <evented/actors/control.hpp>
#include <evented/actors/journal.hpp>
#include <evented/export.hpp>
#include <evented/projection_handler.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace evented {

/// Says what to do with an event that its handler cannot handle. What the
/// database is to blame for (a lost connection, a deadlock, no resources) is
/// tried again until it works and never counts.
struct error_strategy {
  /// What comes after the last attempt.
  enum class action : std::uint8_t { retry, stop, skip, park };

  /// See `action`.
  action last = action::retry;
  /// How often to try before the last resort.
  unsigned attempts = 1;
  /// Attempts are apart by a random time of up to twice as long as before,
  /// between these (M. Brooker, "Exponential Backoff And Jitter", 2015).
  std::chrono::milliseconds min_delay{100};
  /// See `min_delay`.
  std::chrono::milliseconds max_delay{10'000};

  /// Tries again for ever. Health is red meanwhile.
  static error_strategy retry() { return {}; }

  /// Stops the range of the event until `control::run`.
  static error_strategy stop(unsigned attempts = 1) {
    return {action::stop, attempts};
  }

  /// Leaves the event out for good; `control::get_letters` still lists it.
  static error_strategy skip(unsigned attempts = 5) {
    return {action::skip, attempts};
  }

  /// Puts the event away as a dead letter, and behind it the later events of
  /// its entity, until `control::replay` or `control::drop`.
  static error_strategy park(unsigned attempts = 5) {
    return {action::park, attempts};
  }

  /// @param attempts see there
  error_strategy(action last = action::retry, unsigned attempts = 1)
    : last(last), attempts(attempts) {
    // nop
  }
};

/// How a projection lives. A plain struct: set what differs from the defaults.
struct projection_options {
  /// Where it begins the first time. It goes on from its checkpoint afterwards.
  start_position start = from_beginning{};
  /// How many runners share the slices at first; `control::rescale` changes it.
  std::uint16_t ranges = 1;
  /// What becomes of an event that its handler cannot handle.
  error_strategy on_error = error_strategy::retry();
  /// The most events that one transaction handles.
  std::size_t max_batch = 1000;
  /// Only events with these names; empty: all. The names are those in the
  /// journal: where an event had another one once, list that too.
  std::vector<std::string> names = {};
  /// Only events with at least one of these tags; empty: all.
  std::vector<std::string> tags = {};
  /// Whether it runs at once, rather than after `control::run`.
  bool run = true;
  /// Raise it when the handler has changed such that the view must be built
  /// anew: the next version is then built beside the live one, which processes
  /// with the old revision keep up to date meanwhile.
  std::int32_t revision = 1;
  /// It is unhealthy when it does not move for so long although events wait.
  std::chrono::milliseconds stalled_after{10'000};
  /// What becomes of events that this program has no decoder for.
  evented::unknown_events unknown_events = evented::unknown_events::fail;

  /// Returns whether this process is to run a range with these slices; asked
  /// about once a second, in any thread. Null: whoever comes first. For nodes,
  /// which all spawn the projection, see `cluster::runs_here`.
  std::function<bool(const slice_range&)> runs_here = nullptr;

  /// Empties the view of that version, inside of the transaction of a reset.
  std::function<void(transaction&, std::int32_t version)> on_reset = nullptr;
  /// Makes room for the next version of the view, when a rebuild begins.
  std::function<void(transaction&, std::int32_t version)> on_rebuild = nullptr;
  /// Puts the new version in the place of the old one and removes that.
  std::function<void(transaction&, std::int32_t from, std::int32_t to)> on_swap
    = nullptr;
};

namespace detail {

/// A projection without its types.
struct projection_settings {
  std::string name;
  evented::journal journal;
  event_filter filter;
  std::shared_ptr<const projection_handler> handler;
  projection_options options;
  /// Set by `detail::spawn_projection`.
  std::shared_ptr<projection_metrics> counts = {};
};

/// @throws what `spawn_projection` throws
EVENTED_EXPORT caf::actor spawn_projection(caf::actor_system& sys,
                                           projection_settings settings);

} // namespace detail

/// Starts a projection over the events of the entity types `Es` and returns its
/// handle: it ends when the last one is dropped. See `control` for what the
/// actor understands.
///
/// `handler` is called in the order of the events with an open transaction, in
/// which it writes its view:
///
///   f(const recorded<E>&, transaction&)   for each entity type E, or
///   f(const batch<Es...>&, transaction&)  for many events at a time,
///
/// and, where it wants effects outside of the database, with `effects&` as the
/// last parameter. The checkpoint is stored in the same transaction, so a view
/// in the journal's database reflects each event exactly once. Runs in a thread
/// of the projection, for each range of slices one.
///
/// Of all processes that start a projection of this name, one runs it (one per
/// range); the others stand by and take over within
/// `journal_options::take_over`.
/// @param name 1 to 200 characters of `[A-Za-z0-9_.:-]`
/// @throws connection_lost, sql_error, error(invalid_options);
///         error(incompatible) where the journal holds events that this program
///         has no decoder for, unless `unknown_events` says to skip them
template <class... Es, class F>
caf::actor spawn_projection(caf::actor_system& sys, const journal& where,
                            std::string name, F handler,
                            projection_options options = {}) {
  static_assert(
    sizeof...(Es) > 0,
    "evented: spawn_projection<E..> needs at least one entity type");
  static_assert((check_entity<Es>() && ...));
  detail::projection_settings settings{std::move(name), where, {}, nullptr, {}};
  settings.filter.types = {std::string{Es::type_name}...};
  settings.filter.names = options.names;
  settings.filter.tags = options.tags;
  if (options.unknown_events == unknown_events::fail) {
    readable_type types[] = {readable<Es>()...};
    check_shapes(*where.store(), types, options.names);
  }
  settings.handler = std::make_shared<detail::typed_handler<F, Es...>>(
    where.options().payloads, std::move(handler), options.unknown_events,
    "the projection " + settings.name);
  settings.options = std::move(options);
  return detail::spawn_projection(sys, std::move(settings));
}

} // namespace evented
