#pragma once

#include <type_traits>
#include <variant>

namespace evented {

/// Lists the command types of an entity.
template <class... Ts>
struct commands {
  /// Whether the list has no types.
  static constexpr bool empty = sizeof...(Ts) == 0;
  /// Whether `T` is in the list.
  template <class T>
  static constexpr bool contains = (std::is_same_v<T, Ts> || ...);
};

/// Lists the event types of an entity.
template <class... Ts>
struct events {
  /// Whether the list has no types.
  static constexpr bool empty = sizeof...(Ts) == 0;
  /// Whether `T` is in the list.
  template <class T>
  static constexpr bool contains = (std::is_same_v<T, Ts> || ...);
  /// Holds any one of the events.
  using variant = std::variant<Ts...>;
};

/// Lists the query types of an entity.
template <class... Ts>
struct queries {
  /// Whether the list has no types.
  static constexpr bool empty = sizeof...(Ts) == 0;
  /// Whether `T` is in the list.
  template <class T>
  static constexpr bool contains = (std::is_same_v<T, Ts> || ...);
};

/// Lists the old shapes of an entity's events, which the journal may still hold.
/// Each has a function `upcast` that turns it into newer ones, see upcast.hpp.
template <class... Ts>
struct past_events {
  /// Whether the list has no types.
  static constexpr bool empty = sizeof...(Ts) == 0;
  /// Whether `T` is in the list.
  template <class T>
  static constexpr bool contains = (std::is_same_v<T, Ts> || ...);
};

/// Lists what an entity sends through the outbox: messages for actors, commands
/// of other entities, and those of its own commands that it sends to itself.
template <class... Ts>
struct messages {
  /// Whether the list has no types.
  static constexpr bool empty = sizeof...(Ts) == 0;
  /// Whether `T` is in the list.
  template <class T>
  static constexpr bool contains = (std::is_same_v<T, Ts> || ...);
  /// Holds any one of the messages, or none.
  using variant = std::variant<std::monostate, Ts...>;
};

/// Names the reply type of a decision, see `decision`.
template <class T>
struct replies {
  /// The reply.
  using type = T;
};

} // namespace evented
