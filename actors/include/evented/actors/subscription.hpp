#pragma once

#include <evented/actors/journal.hpp>
#include <evented/actors/messages.hpp>
#include <evented/export.hpp>
#include <evented/projection_handler.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace evented {

/// Returns the event that `from` carries; several or none where it was stored in
/// an old shape, see `recorded`.
/// @param unknown what becomes of an event without a decoder
/// @throws error(corrupt_event) where it cannot be decoded as one of `E`
template <class E>
std::vector<recorded<E>> decode(const published_event& from,
                                unknown_event_policy& unknown) {
  auto id = parse_entity_id(id_kind_of<typename E::id_type>, from.id);
  if (from.type_name != E::type_name || !id)
    throw error(errc::corrupt_event,
                "event " + std::to_string(from.seq_no) + " of " + from.type_name
                  + " " + from.id + " is none of " + std::string{E::type_name});
  journal_entry entry{from.type_name, std::move(*id), {}};
  entry.event.seq_no = from.seq_no;
  entry.event.version = from.version;
  entry.event.name = from.name;
  entry.event.schema_version = from.schema_version;
  entry.event.created_at
    = timestamp{std::chrono::microseconds{from.created_at_us}};
  entry.event.payload = from.payload;
  entry.event.metadata = from.metadata;
  entry.event.tags = from.tags;
  auto how = from.binary ? codec::binary : codec::json;
  std::vector<recorded<E>> result;
  detail::record<E>(how, entry, {}, unknown,
                    [&](recorded<E>&& x) { result.push_back(std::move(x)); });
  return result;
}

/// The same, where an event without a decoder is an error.
template <class E>
std::vector<recorded<E>> decode(const published_event& from) {
  unknown_event_policy fail;
  return decode<E>(from, fail);
}

/// How a subscription lives. A plain struct: set what differs from the defaults.
struct subscription_options {
  /// Where it begins; where it has a name, only the first time.
  start_position start = from_beginning{};
  /// The most events that are under way to the consumer: it gets no more before
  /// it acknowledges some.
  std::size_t max_in_flight = 100;
  /// What was not acknowledged after this is sent again.
  std::chrono::milliseconds ack_timeout{30'000};
  /// Only events with these names; empty: all.
  std::vector<std::string> names = {};
  /// Only events with at least one of these tags; empty: all.
  std::vector<std::string> tags = {};
};

namespace detail {

/// A subscription without its types.
struct subscription_settings {
  std::string name;
  evented::journal journal;
  event_filter filter;
  caf::actor consumer;
  subscription_options options;
};

/// @throws what `spawn_subscription` throws
EVENTED_EXPORT caf::actor spawn_subscription(caf::actor_system& sys,
                                             subscription_settings settings);

} // namespace detail

/// Pushes the events of the entity types `Es` to the actor `consumer`, in the
/// order of seq_no, as `event_batch` messages. The consumer answers each with
/// `ack` once it is done with it:
///
///   [](const evented::event_batch& batch) {
///     for (auto& x : batch.events)
///       if (x.type_name == counter::type_name)
///         for (auto& e : evented::decode<counter>(x))
///           use(e);
///     return evented::ack{batch.up_to};
///   }
///
/// At least once: what was not acknowledged comes again, after `ack_timeout`,
/// or, where the subscription has a name, in the next life of it. With a name,
/// the last acknowledgement is stored, and of all processes that subscribe under
/// this name one gets the events at a time; without one (an empty text), nothing
/// is stored. Ends when the last handle is dropped or the consumer is gone.
/// @throws connection_lost, sql_error, error(invalid_options)
template <class... Es>
caf::actor spawn_subscription(caf::actor_system& sys, const journal& where,
                              std::string name, caf::actor consumer,
                              subscription_options options = {}) {
  static_assert(sizeof...(Es) > 0,
                "evented: spawn_subscription<E..> needs at least one entity "
                "type");
  static_assert((check_entity<Es>() && ...));
  detail::subscription_settings settings{
    std::move(name), where, {}, std::move(consumer), {}};
  settings.filter.types = {std::string{Es::type_name}...};
  settings.filter.names = options.names;
  settings.filter.tags = options.tags;
  settings.options = std::move(options);
  return detail::spawn_subscription(sys, std::move(settings));
}

} // namespace evented
