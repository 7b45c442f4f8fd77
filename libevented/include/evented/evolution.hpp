#pragma once

// How a program of today reads the events of yesterday, see also upcast.hpp.

#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/event.hpp>
#include <evented/export.hpp>
#include <evented/fwd.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented {

// -- reading ------------------------------------------------------------------

namespace detail {

/// Reads the events of one shape.
template <class Sink>
struct decoder {
  std::string_view name;
  std::int32_t schema_version;
  void (*run)(codec how, std::string_view payload, Sink& sink);
};

template <class E, class T, class Sink>
void run_decoder(codec how, std::string_view payload, Sink& sink) {
  spread<E>(decode<T>(how, payload), sink);
}

template <class E, class Sink, class... Ts, class... Olds>
constexpr auto make_decoders(events<Ts...>*, past_events<Olds...>*) {
  return std::array<decoder<Sink>, sizeof...(Ts) + sizeof...(Olds)>{
    {{event_name<Ts>(), schema_version<Ts>(), &run_decoder<E, Ts, Sink>}...,
     {event_name<Olds>(), schema_version<Olds>(),
      &run_decoder<E, Olds, Sink>}...}};
}

/// The decoders of `E`, those of its current events first.
template <class E, class Sink>
inline constexpr auto decoders
  = make_decoders<E, Sink>(static_cast<typename E::events*>(nullptr),
                           static_cast<past_events_of<E>*>(nullptr));

} // namespace detail

/// Calls `sink` with the event that `from` holds, as an event of `E`. An old
/// shape is upcast first, so that `sink` may be called several times, in order,
/// or not at all.
/// @returns false where `E` has no decoder for the shape
/// @throws what the decoder, an upcaster or `sink` throws
template <class E, class Sink>
bool read_event(codec how, const stored_event& from, Sink&& sink) {
  for (auto& x : detail::decoders<E, std::remove_reference_t<Sink>>) {
    if (x.schema_version == from.schema_version && x.name == from.name) {
      x.run(how, from.payload, sink);
      return true;
    }
  }
  return false;
}

/// Returns the shapes that `E` can read: those of its events, then those of its
/// past events.
template <class E>
std::vector<event_shape> known_shapes() {
  auto sink = [](auto&&) {};
  std::vector<event_shape> result;
  for (auto& x : detail::decoders<E, decltype(sink)>)
    result.push_back({std::string{x.name}, x.schema_version});
  return result;
}

// -- events without a decoder -------------------------------------------------

/// Says what becomes of a stored event whose shape a program cannot read.
enum class unknown_events : std::uint8_t {
  /// Whoever reads it fails with `errc::corrupt_event`.
  fail,
  /// It is left out as if it changed nothing, and logged once per shape.
  skip,
};

/// Decides about unknown events on behalf of all that reads for one region or
/// projection. Thread-safe.
class EVENTED_EXPORT unknown_event_policy {
public:
  unknown_event_policy() = default;

  /// @param reader who reads, for the log
  unknown_event_policy(unknown_events what, std::string reader);

  /// Returns where `event` is to be left out.
  /// @throws error(corrupt_event)
  void meet(std::string_view type_name, const stored_event& event);

private:
  unknown_events what_ = unknown_events::fail;
  std::string reader_;
  std::mutex mutex_;
  /// What was logged, by entity type.
  std::set<std::pair<std::string, event_shape>> logged_;
};

// -- what a program has to be able to read ------------------------------------

/// An entity type, and the shapes of its events that a program can read.
struct readable_type {
  /// The entity type's `type_name`.
  std::string type_name;
  /// The shapes of `events` and `past_events`.
  std::vector<event_shape> known;
};

/// Returns what a program with the entity type `E` can read.
template <class E>
readable_type readable() {
  return {std::string{E::type_name}, known_shapes<E>()};
}

/// Returns the shapes of stored events of the type that are not among the known
/// ones, in order.
/// @throws connection_lost, sql_error
EVENTED_EXPORT std::vector<event_shape>
missing_shapes(store& where, const readable_type& what);

/// Checks that all stored events of these types can be read.
/// @param names only events with these names count; empty: all
/// @throws connection_lost, sql_error, error(incompatible) with one text that
///         lists everything that cannot
EVENTED_EXPORT void check_shapes(store& where,
                                 std::span<const readable_type> types,
                                 std::span<const std::string> names = {});

} // namespace evented
