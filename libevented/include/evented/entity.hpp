#pragma once

#include <evented/binary_archive.hpp>
#include <evented/decision.hpp>
#include <evented/entity_id.hpp>
#include <evented/type_list.hpp>
#include <evented/upcast.hpp>

#include <concepts>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented {

// -- names of events ----------------------------------------------------------

namespace detail {

/// Returns the unqualified name of `T`, taken from the compiler's rendering of
/// this function's signature, the same in g++ and clang for a plain struct.
template <class T>
constexpr std::string_view struct_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  auto begin = text.find("T = ") + 4;
  auto end = text.find_first_of(";]", begin);
  auto name = text.substr(begin, end - begin);
  if (auto colon = name.rfind("::"); colon != std::string_view::npos)
    name.remove_prefix(colon + 2);
  return name;
}

template <class T>
struct decision_traits : std::false_type {};

template <class E, class... Ts>
struct decision_traits<decision<E, Ts...>> : std::true_type {
  using entity_type = E;
};

} // namespace detail

/// The stable name of the event type `T` in the journal: its static member
/// `event_name` where it has one, else the name of the struct.
template <class T>
constexpr std::string_view event_name() {
  if constexpr (requires { T::event_name; })
    return T::event_name;
  else
    return detail::struct_name<T>();
}

/// The schema version of the event type `T`: its static member
/// `schema_version` where it has one, else 1.
template <class T>
constexpr std::int32_t schema_version() {
  if constexpr (requires { T::schema_version; })
    return T::schema_version;
  else
    return 1;
}

/// The stable name of a type that an entity sends, while it waits in the outbox:
/// its static member `message_name` where it has one, else the name of the
/// struct.
template <class T>
constexpr std::string_view message_name() {
  if constexpr (requires { T::message_name; })
    return T::message_name;
  else
    return detail::struct_name<T>();
}

/// The tags of `event`, by which readers may ask for it: what its member function
/// `tags() const` returns where it has one, else none. See `valid_tag`.
template <class T>
std::vector<std::string> tags_of(const T& event) {
  if constexpr (requires { event.tags(); })
    return event.tags();
  else
    return {};
}

// -- handlers -----------------------------------------------------------------

namespace detail {

template <class C, class E>
concept has_handle_with_context
  = requires(const C& c, const E& e, const context<E>& ctx) {
  handle(c, e, ctx);
};

template <class C, class E>
concept has_handle
  = has_handle_with_context<C, E> || requires(const C& c, const E& e) {
  handle(c, e);
};

/// Calls the handler of `cmd`, found by argument-dependent look-up.
template <class C, class E>
auto call_handle(const C& cmd, const E& state, const context<E>& ctx) {
  if constexpr (has_handle_with_context<C, E>)
    return handle(cmd, state, ctx);
  else
    return handle(cmd, state);
}

/// What the handler of `C` returns.
template <class C, class E>
using handled_by
  = decltype(call_handle(std::declval<const C&>(), std::declval<const E&>(),
                         std::declval<const context<E>&>()));

/// The decision that the result of a handler is, or leads to in the end.
template <class T>
struct decided_by {
  using type = T;
};

template <class C, class E>
using decision_of = typename decided_by<handled_by<C, E>>::type;

template <class Q, class E>
concept has_answer_with_context
  = requires(const Q& q, const E& e, const context<E>& ctx) {
  answer(q, e, ctx);
};

template <class Q, class E>
concept has_answer
  = has_answer_with_context<Q, E> || requires(const Q& q, const E& e) {
  answer(q, e);
};

/// Calls what answers `query`, found by argument-dependent look-up.
template <class Q, class E>
auto call_answer(const Q& query, const E& state, const context<E>& ctx) {
  if constexpr (has_answer_with_context<Q, E>)
    return answer(query, state, ctx);
  else
    return answer(query, state);
}

template <class E>
struct queries_of_impl {
  using type = queries<>;
};

template <class E>
requires requires {
  typename E::queries;
}
struct queries_of_impl<E> {
  using type = typename E::queries;
};

// The compiler's notes name the types C, E and Event of the check that failed.

template <class E, class Event>
struct check_event {
  static_assert(
    requires(E & e, const Event& x) { e.apply(x); },
    "evented: the entity lists this event in `events` but has no "
    "member function apply(const Event&) for it");
  static_assert(std::move_constructible<Event>,
                "evented: an event must be movable");
  static_assert(schema_version<Event>() >= 1,
                "evented: schema versions begin at 1");
  static constexpr bool ok = true;
};

template <class E, class C>
struct check_command {
  static_assert(has_handle<C, E>,
                "evented: the entity lists this command in `commands` but "
                "there is no free function handle(const Command&, const "
                "Entity&[, const evented::context<Entity>&]) in the namespace "
                "of the command or the entity");
  static constexpr bool returns_decision() {
    if constexpr (has_handle<C, E>)
      return decision_traits<decision_of<C, E>>::value;
    else
      return true;
  }
  static_assert(returns_decision(),
                "evented: handle(..) must return evented::decision<Entity, "
                "rejections..>, or evented::later<..> of the same");
  static constexpr bool ok = true;
};

template <class E, class Q>
struct check_query {
  static_assert(has_answer<Q, E>,
                "evented: the entity lists this query in `queries` but there "
                "is no free function answer(const Query&, const Entity&[, "
                "const evented::context<Entity>&]) in the namespace of the "
                "query or the entity");
  static constexpr bool ok = true;
};

template <class E, class List>
struct check_queries;

template <class E, class... Ts>
struct check_queries<E, queries<Ts...>> {
  static constexpr bool ok = (check_query<E, Ts>::ok && ...);
};

template <class E, class List>
struct check_events;

template <class E, class... Ts>
struct check_events<E, events<Ts...>> {
  static constexpr bool ok = (check_event<E, Ts>::ok && ...);
  static constexpr bool unique_names() {
    std::string_view names[] = {event_name<Ts>()...};
    for (std::size_t i = 0; i < sizeof...(Ts); ++i)
      for (std::size_t j = i + 1; j < sizeof...(Ts); ++j)
        if (names[i] == names[j])
          return false;
    return true;
  }
  static_assert(unique_names(),
                "evented: two events of this entity have the same name; give "
                "one a static member event_name");
};

template <class E, class Now, class Past>
struct check_past_events;

template <class E, class... Ts, class... Olds>
struct check_past_events<E, events<Ts...>, past_events<Olds...>> {
  static constexpr bool ok = (check_past_event<E, Olds>::ok && ...);
  static_assert(((schema_version<Olds>() >= 1) && ...),
                "evented: schema versions begin at 1");
  static constexpr bool unique_shapes() {
    std::pair<std::string_view, std::int32_t> shapes[]
      = {{event_name<Ts>(), schema_version<Ts>()}...,
         {event_name<Olds>(), schema_version<Olds>()}...,
         {}};
    for (std::size_t i = 0; i < std::size(shapes); ++i)
      for (std::size_t j = i + 1; j < std::size(shapes); ++j)
        if (shapes[i] == shapes[j])
          return false;
    return true;
  }
  static_assert(unique_shapes(),
                "evented: two shapes in `events` and `past_events` have the "
                "same name and schema version; give the newer one a higher "
                "schema_version");
};

template <class List>
struct check_messages;

template <class... Ts>
struct check_messages<messages<Ts...>> {
  static constexpr bool ok = true;
  static constexpr bool unique_names() {
    std::string_view names[] = {message_name<Ts>()..., {}};
    for (std::size_t i = 0; i < sizeof...(Ts); ++i)
      for (std::size_t j = i + 1; j < sizeof...(Ts); ++j)
        if (names[i] == names[j])
          return false;
    return true;
  }
  static_assert(unique_names(),
                "evented: two types in `messages` have the same name; give one "
                "a static member message_name");
};

template <class E, class List>
struct check_commands;

template <class E, class... Ts>
struct check_commands<E, commands<Ts...>> {
  static constexpr bool ok = (check_command<E, Ts>::ok && ...);
};

} // namespace detail

/// The list of an entity's queries: its member type `queries`, empty where it has
/// none.
template <class E>
using queries_of = typename detail::queries_of_impl<E>::type;

/// The shape of the entity's snapshots: its static member `state_version` where
/// it has one, else 1. To be raised whenever its `serialize` changes: snapshots
/// of another shape are not used.
template <class E>
constexpr std::int32_t state_version() {
  if constexpr (requires { E::state_version; })
    return E::state_version;
  else
    return 1;
}

/// Checks whether the state of `E` can be written into a snapshot: whether it
/// has a member function template `serialize`.
template <class E>
concept has_snapshots = requires(E& e, binary_writer& archive) {
  e.serialize(archive);
};

/// Checks whether `E` has the shape of an entity: a name, an ID type, lists of
/// commands and events, and a state that can be made and copied.
template <class E>
concept entity = requires {
  { E::type_name } -> std::convertible_to<std::string_view>;
  typename E::id_type;
  typename E::commands;
  typename E::events;
}
&&id_type<typename E::id_type>&& std::default_initializable<E>&&
  std::copyable<E>;

/// Checks every part of the entity type `E` at compile time, one sentence a
/// mistake. Returns true, so that it can stand in a `static_assert`.
template <class E>
consteval bool check_entity() {
  static_assert(
    requires {
      { E::type_name } -> std::convertible_to<std::string_view>;
    },
    "evented: an entity needs a static constexpr std::string_view type_name");
  static_assert(
    requires { typename E::id_type; },
    "evented: an entity needs a member type id_type");
  static_assert(
    requires { requires id_type<typename E::id_type>; },
    "evented: id_type is evented::uuid, std::string or "
    "std::int64_t");
  static_assert(
    requires { typename E::commands; },
    "evented: an entity needs a member type commands = "
    "evented::commands<..>");
  static_assert(
    requires { typename E::events; },
    "evented: an entity needs a member type events = "
    "evented::events<..>");
  static_assert(std::default_initializable<E> && std::copyable<E>,
                "evented: an entity's state needs a default constructor and "
                "copies");
  static_assert(detail::check_events<E, typename E::events>::ok);
  static_assert(detail::check_past_events<E, typename E::events,
                                          detail::past_events_of<E>>::ok);
  static_assert(detail::check_commands<E, typename E::commands>::ok);
  static_assert(detail::check_queries<E, queries_of<E>>::ok);
  static_assert(detail::check_messages<messages_of<E>>::ok);
  return true;
}

} // namespace evented
