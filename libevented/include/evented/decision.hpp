#pragma once

#include <evented/trace.hpp>
#include <evented/type_list.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace evented {

/// The metadata type of an entity that has none.
struct no_metadata {};

namespace detail {

template <class E>
struct metadata_of_impl {
  using type = no_metadata;
};

template <class E>
requires requires {
  typename E::metadata;
}
struct metadata_of_impl<E> {
  using type = typename E::metadata;
};

/// Stands for "there is no such function" in an acceptance.
struct nothing {};

template <class T>
struct is_variant_vector : std::false_type {};

template <class... Ts>
struct is_variant_vector<std::vector<std::variant<Ts...>>> : std::true_type {};

} // namespace detail

/// The metadata type of the entity type `E`: its member type `metadata`.
template <class E>
using metadata_of = typename detail::metadata_of_impl<E>::type;

// -- building blocks: accept and reject ---------------------------------------

/// What `reject` returns: a rejection on its way into a decision or verdict.
template <class R>
struct rejected_with {
  R value;
};

/// Rejects a command: nothing is stored and the sender gets `why`.
template <class R>
rejected_with<std::decay_t<R>> reject(R&& why) {
  return {std::forward<R>(why)};
}

/// What `accept` returns: events on their way into a decision, with what is to
/// happen around them. A value; each function returns an acceptance with one
/// more part.
template <class Events, class Metadata = detail::nothing,
          class Reply = detail::nothing, class Effect = detail::nothing>
class acceptance {
public:
  // -- member types -----------------------------------------------------------

  using metadata_type = Metadata;
  using reply_type = Reply;
  using effect_type = Effect;

  // -- constructors -----------------------------------------------------------

  explicit acceptance(Events events, Metadata metadata = {}, Reply reply = {},
                      Effect effect = {})
    : events_(std::move(events)),
      metadata_(std::move(metadata)),
      reply_(std::move(reply)),
      effect_(std::move(effect)) {
    // nop
  }

  // -- modifiers --------------------------------------------------------------

  /// Stores `metadata` with every event of this command.
  template <class M>
  auto with_metadata(M metadata) && {
    static_assert(std::is_same_v<Metadata, detail::nothing>,
                  "evented: .with_metadata(..) was given twice");
    return acceptance<Events, M, Reply, Effect>{
      std::move(events_), std::move(metadata), std::move(reply_),
      std::move(effect_)};
  }

  /// Answers the sender with `f(new state)` besides `accepted`. The decision
  /// names the type: `decision<E, replies<R>, ..>`.
  template <class F>
  auto reply(F f) && {
    static_assert(std::is_same_v<Reply, detail::nothing>,
                  "evented: .reply(..) was given twice");
    return acceptance<Events, Metadata, F, Effect>{
      std::move(events_), std::move(metadata_), std::move(f),
      std::move(effect_)};
  }

  /// Runs `effect(new state)` once the events are durable, before the reply
  /// goes out. At most once: lost when the process dies first.
  template <class F>
  auto then(F effect) && {
    static_assert(std::is_same_v<Effect, detail::nothing>,
                  "evented: .then(..) was given twice");
    return acceptance<Events, Metadata, Reply, F>{
      std::move(events_), std::move(metadata_), std::move(reply_),
      std::move(effect)};
  }

  // -- access for decisions ---------------------------------------------------

  Events& events() noexcept { return events_; }
  Metadata& metadata() noexcept { return metadata_; }
  Reply& reply_function() noexcept { return reply_; }
  Effect& effect() noexcept { return effect_; }

private:
  Events events_;
  [[no_unique_address]] Metadata metadata_;
  [[no_unique_address]] Reply reply_;
  [[no_unique_address]] Effect effect_;
};

/// Accepts a command with these events, which are stored in this order, all or
/// none. Without events, nothing is stored and the sender gets the current
/// version. A number of events that only the run time knows is passed as one
/// `std::vector<E::events::variant>`.
template <class... Events>
auto accept(Events&&... events) {
  if constexpr (sizeof...(Events) == 1
                && (detail::is_variant_vector<std::decay_t<Events>>::value
                    && ...))
    return acceptance<std::decay_t<Events>...>{std::forward<Events>(events)...};
  else
    return acceptance<std::tuple<std::decay_t<Events>...>>{
      std::tuple<std::decay_t<Events>...>{std::forward<Events>(events)...}};
}

// -- decision -----------------------------------------------------------------

namespace detail {

/// The accepted half of a decision, with the types of its entity.
template <class E, class Reply>
struct accepted_part {
  std::vector<typename E::events::variant> events;
  std::optional<metadata_of<E>> metadata;
  std::function<Reply(const E&)> reply;
  std::function<void(const E&)> effect;
};

template <class E, class Reply, class... Rejections>
class basic_decision {
public:
  // -- member types -----------------------------------------------------------

  using entity_type = E;
  using reply_type = Reply;
  using accepted_type = accepted_part<E, Reply>;

  // -- constructors -----------------------------------------------------------

  template <class Events, class M, class R, class F>
  basic_decision(acceptance<Events, M, R, F> from) // NOLINT: implicit by design
    : value_(std::in_place_index<0>) {
    auto& to = std::get<0>(value_);
    take_events(to.events, from.events());
    if constexpr (!std::is_same_v<M, nothing>) {
      static_assert(std::is_same_v<M, metadata_of<E>>,
                    "evented: .with_metadata(..) takes the entity's own member "
                    "type `metadata`");
      to.metadata = std::move(from.metadata());
    }
    if constexpr (!std::is_same_v<R, nothing>) {
      static_assert(!std::is_void_v<Reply>,
                    "evented: a handler that uses .reply(..) names the reply "
                    "in its result: decision<E, replies<R>, rejections..>");
      static_assert(std::is_invocable_r_v<Reply, R&, const E&>,
                    "evented: .reply(f) needs f(const E&) to return the type "
                    "that the decision names in replies<..>");
      to.reply = std::move(from.reply_function());
    } else {
      static_assert(std::is_void_v<Reply>,
                    "evented: the decision promises replies<..>, so every "
                    "accept(..) needs a .reply(..)");
    }
    if constexpr (!std::is_same_v<F, nothing>) {
      static_assert(std::is_invocable_v<F&, const E&>,
                    "evented: .then(f) needs f to be callable with const E&");
      to.effect = std::move(from.effect());
    }
  }

  template <class R>
  basic_decision(rejected_with<R> from) // NOLINT: implicit by design
    : value_(std::move(from.value)) {
    static_assert((std::is_same_v<R, Rejections> || ...),
                  "evented: reject(..) was given a type that the handler's "
                  "decision<E, rejections..> does not list");
  }

  // -- properties -------------------------------------------------------------

  /// Returns whether the command was accepted.
  [[nodiscard]] bool accepted() const noexcept { return value_.index() == 0; }

  /// Returns the accepted half.
  /// @pre `accepted()`
  accepted_type& acceptance_part() { return std::get<0>(value_); }

  /// Returns the rejection of type `R`, or null where there is none.
  template <class R>
  const R* rejection() const noexcept {
    return std::get_if<R>(&value_);
  }

  /// Calls `f.template operator()<R>()` for each rejection type `R` until one
  /// returns true.
  template <class F>
  static bool any_rejection_type(F&& f) {
    return (f.template operator()<Rejections>() || ...);
  }

  /// Calls `f` with the rejection.
  /// @pre `!accepted()`
  template <class F>
  void visit_rejection(F&& f) {
    (void)(visit_one<Rejections>(f) || ...);
  }

private:
  template <class R, class F>
  bool visit_one(F& f) {
    auto* value = std::get_if<R>(&value_);
    if (value != nullptr)
      f(*value);
    return value != nullptr;
  }

  template <class Variant, class... Events>
  static void take_events(std::vector<Variant>& to,
                          std::tuple<Events...>& from) {
    static_assert((E::events::template contains<Events> && ...),
                  "evented: accept(..) was given a type that is not in the "
                  "entity's list `events`");
    to.reserve(sizeof...(Events));
    std::apply([&](auto&... xs) { (to.emplace_back(std::move(xs)), ...); },
               from);
  }

  template <class Variant, class Other>
  static void take_events(std::vector<Variant>& to, std::vector<Other>& from) {
    static_assert(std::is_same_v<Variant, Other>,
                  "evented: accept(vector) takes std::vector<E::events::"
                  "variant> of the handler's own entity");
    to = std::move(from);
  }

  std::variant<accepted_type, Rejections...> value_;
};

template <class E, class... Ts>
struct decision_base {
  using type = basic_decision<E, void, Ts...>;
};

template <class E, class R, class... Ts>
struct decision_base<E, replies<R>, Ts...> {
  using type = basic_decision<E, R, Ts...>;
};

} // namespace detail

/// What a command handler of the entity type `E` returns: `accept(..)`, or
/// `reject(r)` with one of the listed rejection types. With `replies<R>` first
/// in the list, every acceptance answers with a value of type `R` too.
template <class E, class... Ts>
class decision : public detail::decision_base<E, Ts...>::type {
public:
  using super = typename detail::decision_base<E, Ts...>::type;
  using super::super;
};

// -- context ------------------------------------------------------------------

namespace detail {

inline const evented::trace no_trace{};

} // namespace detail

/// What a handler may know besides the command and the state. Valid only for
/// the duration of the call.
template <class E>
struct context {
  /// The entity's ID.
  const typename E::id_type& id;
  /// The number of events that the state rests on, 0 for a new entity.
  std::uint64_t version;
  /// Where the command came from.
  const evented::trace& trace = detail::no_trace;
};

} // namespace evented
