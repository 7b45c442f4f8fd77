#pragma once

#include <evented/acceptance.hpp>
#include <evented/entity_id.hpp>
#include <evented/event.hpp>
#include <evented/trace.hpp>
#include <evented/type_list.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace evented {

// -- decision -----------------------------------------------------------------

/// A message that an accepted command of the entity type `E` sends, or the timer
/// that it cancels.
template <class E>
struct outgoing {
  /// The name of the receiver, empty where it is the entity itself.
  std::string target;
  /// Which entity of the receiving type; nothing for an actor and for the entity
  /// itself.
  std::optional<entity_id> id;
  /// When; nothing: at once.
  std::optional<timestamp> due;
  /// Holds nothing where a timer is cancelled.
  typename messages_of<E>::variant value;
  /// The name of a timer, or empty.
  std::string timer = {};

  /// Returns whether this takes a timer away and sends nothing.
  [[nodiscard]] bool cancels() const noexcept { return value.index() == 0; }

  /// Returns the message as an `M`, or null where it is another one.
  template <class M>
  const M* as() const noexcept {
    return std::get_if<M>(&value);
  }
};

namespace detail {

/// The accepted half of a decision, with the types of its entity.
template <class E, class Reply>
struct accepted_part {
  std::vector<typename E::events::variant> events;
  std::optional<metadata_of<E>> metadata;
  std::function<Reply(const E&)> reply;
  std::function<void(const E&)> effect;
  std::vector<outgoing<E>> messages;
};

template <class E, class Reply, class... Rejections>
class basic_decision {
public:
  // -- member types -----------------------------------------------------------

  using entity_type = E;
  using reply_type = Reply;
  using accepted_type = accepted_part<E, Reply>;

  // -- constructors -----------------------------------------------------------

  template <class Events, class M, class R, class F, class Ms>
  basic_decision(acceptance<Events, M, R, F, Ms> from) // NOLINT: implicit
    : value_(std::in_place_index<0>) {
    auto& to = std::get<0>(value_);
    take_events(to.events, from.events());
    std::apply([&](auto&... xs) { (take_message(to.messages, xs), ...); },
               from.messages());
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

  template <class M>
  static void take_message(std::vector<outgoing<E>>& to, M& from) {
    using type = typename M::type;
    static_assert(messages_of<E>::template contains<type>,
                  "evented: .send(..), .send_to(..), .at(..) or .after(..) was "
                  "given a type that is not in the entity's list `messages`");
    if constexpr (M::is_timer)
      static_assert(E::commands::template contains<type>,
                    "evented: .at(..) and .after(..) take a command of the "
                    "entity itself");
    if constexpr (messages_of<E>::template contains<type>)
      to.push_back({std::move(from.target), std::move(from.id), from.due,
                    std::move(from.value), std::move(from.timer)});
  }

  static void take_message(std::vector<outgoing<E>>& to, cancelled& from) {
    to.push_back({{}, {}, {}, {}, std::move(from.timer)});
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
  /// What takes acceptances and rejections.
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
