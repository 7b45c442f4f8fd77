#pragma once

// Old shapes of events. An application keeps the shape as a plain struct with
// the name and the schema version that the journal knows, lists it in the
// entity's `past_events`, and writes a free function in the namespace of the
// shape:
//
//   struct deposited_v1 {
//     static constexpr std::string_view event_name = "deposited";
//     std::uint64_t cents;
//     template <class A> void serialize(A& a) { a(CEREAL_NVP(cents)); }
//   };
//
//   deposited upcast(const deposited_v1& x);
//
// The function returns an event of the entity or another past one, whose own
// `upcast` then follows; several of them as std::tuple or std::vector; one of
// several types as std::variant; perhaps none as std::optional; or `dropped`.

#include <evented/type_list.hpp>

#include <concepts>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace evented {

/// What `upcast` returns for an old event that means nothing any more.
struct dropped {};

namespace detail {

template <class E>
struct past_events_of_impl {
  using type = past_events<>;
};

template <class E>
requires requires {
  typename E::past_events;
}
struct past_events_of_impl<E> {
  using type = typename E::past_events;
};

/// The member type `past_events` of `E`, an empty list where it has none.
template <class E>
using past_events_of = typename past_events_of_impl<E>::type;

template <class T>
concept has_upcast = requires(T x) {
  upcast(std::move(x));
};

/// Calls the upcaster of `x`, found by argument-dependent look-up.
template <class T>
auto call_upcast(T x) {
  return upcast(std::move(x));
}

/// Tells what a result of `upcast` may consist of.
template <class T>
struct upcast_parts {
  static constexpr bool composed = false;
};

template <>
struct upcast_parts<dropped> {
  static constexpr bool composed = true;
  using list = std::tuple<>;
};

template <class T>
struct upcast_parts<std::optional<T>> {
  static constexpr bool composed = true;
  using list = std::tuple<T>;
};

template <class T>
struct upcast_parts<std::vector<T>> {
  static constexpr bool composed = true;
  using list = std::tuple<T>;
};

template <class... Ts>
struct upcast_parts<std::tuple<Ts...>> {
  static constexpr bool composed = true;
  using list = std::tuple<Ts...>;
};

template <class... Ts>
struct upcast_parts<std::variant<Ts...>> {
  static constexpr bool composed = true;
  using list = std::tuple<Ts...>;
};

template <class E, class T>
inline constexpr bool is_event = E::events::template contains<T>;

template <class E, class T>
inline constexpr bool is_past_event = past_events_of<E>::template contains<T>;

/// Checks whether everything in `T` is an event or a past event of `E`.
template <class E, class T>
consteval bool is_upcast_result() {
  if constexpr (is_event<E, T> || is_past_event<E, T>)
    return true;
  else if constexpr (upcast_parts<T>::composed)
    return []<class... Ts>(std::tuple<Ts...>*) {
      return (is_upcast_result<E, Ts>() && ...);
    }(static_cast<typename upcast_parts<T>::list*>(nullptr));
  else
    return false;
}

/// Checks whether the upcasters that begin with `T` lead back to a type in
/// `Path`. Any of them may lack or be wrong, which other checks tell.
template <class E, class T, class... Path>
consteval bool goes_round() {
  if constexpr ((std::is_same_v<T, Path> || ...))
    return true;
  else if constexpr (is_past_event<E, T> && has_upcast<T>)
    return goes_round<E, decltype(call_upcast(std::declval<T>())), T,
                      Path...>();
  else if constexpr (upcast_parts<T>::composed)
    return []<class... Ts>(std::tuple<Ts...>*) {
      return (goes_round<E, Ts, Path...>() || ...);
    }(static_cast<typename upcast_parts<T>::list*>(nullptr));
  else
    return false;
}

// The compiler's notes name the types E and Shape of the check that failed.

template <class E, class Shape>
struct check_past_event {
  static_assert(has_upcast<Shape>,
                "evented: the entity lists this old shape in `past_events` but "
                "there is no free function upcast(Shape) in its namespace");
  static constexpr bool returns_events() {
    if constexpr (has_upcast<Shape>)
      return is_upcast_result<E,
                              decltype(call_upcast(std::declval<Shape>()))>();
    else
      return true;
  }
  static_assert(returns_events(),
                "evented: upcast(..) must return an event or a past event of "
                "the entity, a std::tuple, std::vector, std::variant or "
                "std::optional of them, or evented::dropped");
  static_assert(!goes_round<E, Shape>(),
                "evented: these upcasters go round in a circle: each must "
                "return a newer shape");
  static_assert(std::default_initializable<Shape> && std::movable<Shape>,
                "evented: an old shape needs a default constructor and must be "
                "movable");
  static constexpr bool ok = true;
};

/// Hands what an upcaster returned to `sink`, as events of `E`, in order.
template <class E, class T, class Sink>
void spread(T&& x, Sink& sink) {
  static_assert(std::is_rvalue_reference_v<T&&>);
  if constexpr (is_event<E, T>) {
    sink(std::move(x));
  } else if constexpr (is_past_event<E, T>) {
    spread<E>(call_upcast(std::move(x)), sink);
  } else if constexpr (requires { x.has_value(); }) {
    if (x)
      spread<E>(std::move(*x), sink);
  } else if constexpr (requires { x.index(); }) {
    std::visit([&sink](auto&& part) { spread<E>(std::move(part), sink); },
               std::move(x));
  } else if constexpr (requires { x.begin(); }) {
    for (auto& part : x)
      spread<E>(std::move(part), sink);
  } else if constexpr (!std::is_same_v<T, dropped>) {
    std::apply(
      [&sink](auto&... parts) { (spread<E>(std::move(parts), sink), ...); }, x);
  }
}

} // namespace detail

} // namespace evented
