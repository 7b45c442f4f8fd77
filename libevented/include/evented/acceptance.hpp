#pragma once

#include <evented/entity_id.hpp>
#include <evented/event.hpp>
#include <evented/export.hpp>
#include <evented/type_list.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
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

template <class E>
struct messages_of_impl {
  using type = messages<>;
};

template <class E>
requires requires {
  typename E::messages;
}
struct messages_of_impl<E> {
  using type = typename E::messages;
};

/// Stands for "there is no such function" in an acceptance.
struct nothing {};

/// A message of an acceptance.
/// @param Timer whether it is a command for the entity itself
template <class M, bool Timer>
struct sent {
  using type = M;
  static constexpr bool is_timer = Timer;

  std::string target;
  std::optional<entity_id> id;
  std::optional<timestamp> due;
  M value;
  std::string timer = {};
};

/// The name of a timer that an acceptance cancels.
struct cancelled {
  std::string timer;
};

/// @throws std::invalid_argument where no timer can have this name
EVENTED_EXPORT void check_timer_name(const std::string& name);

template <class T>
struct is_variant_vector : std::false_type {};

template <class... Ts>
struct is_variant_vector<std::vector<std::variant<Ts...>>> : std::true_type {};

} // namespace detail

/// The metadata type of the entity type `E`: its member type `metadata`.
template <class E>
using metadata_of = typename detail::metadata_of_impl<E>::type;

/// The list of what an entity sends: its member type `messages`, empty where it
/// has none.
template <class E>
using messages_of = typename detail::messages_of_impl<E>::type;

// -- building blocks: accept and reject ---------------------------------------

/// What `reject` returns: a rejection on its way into a decision or verdict.
template <class R>
struct rejected_with {
  /// The rejection.
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
          class Reply = detail::nothing, class Effect = detail::nothing,
          class Messages = std::tuple<>>
class acceptance {
public:
  // -- member types -----------------------------------------------------------

  /// What the parts are, for `decision`.
  /// @{
  using metadata_type = Metadata;
  using reply_type = Reply;
  using effect_type = Effect;
  using messages_type = Messages;
  /// @}

  // -- constructors -----------------------------------------------------------

  /// For `accept` and the functions below.
  explicit acceptance(Events events, Metadata metadata = {}, Reply reply = {},
                      Effect effect = {}, Messages messages = {})
    : events_(std::move(events)),
      metadata_(std::move(metadata)),
      reply_(std::move(reply)),
      effect_(std::move(effect)),
      messages_(std::move(messages)) {
    // nop
  }

  // -- modifiers --------------------------------------------------------------

  /// Stores `metadata` with every event of this command.
  template <class M>
  auto with_metadata(M metadata) && {
    static_assert(std::is_same_v<Metadata, detail::nothing>,
                  "evented: .with_metadata(..) was given twice");
    return acceptance<Events, M, Reply, Effect, Messages>{
      std::move(events_), std::move(metadata), std::move(reply_),
      std::move(effect_), std::move(messages_)};
  }

  /// Answers the sender with `f(new state)` besides `accepted`. The decision
  /// names the type: `decision<E, replies<R>, ..>`.
  template <class F>
  auto reply(F f) && {
    static_assert(std::is_same_v<Reply, detail::nothing>,
                  "evented: .reply(..) was given twice");
    return acceptance<Events, Metadata, F, Effect, Messages>{
      std::move(events_), std::move(metadata_), std::move(f),
      std::move(effect_), std::move(messages_)};
  }

  /// Runs `effect(new state)` once the events are durable, before the reply
  /// goes out. At most once: lost when the process dies first.
  template <class F>
  auto then(F effect) && {
    static_assert(std::is_same_v<Effect, detail::nothing>,
                  "evented: .then(..) was given twice");
    return acceptance<Events, Metadata, Reply, F, Messages>{
      std::move(events_), std::move(metadata_), std::move(reply_),
      std::move(effect), std::move(messages_)};
  }

  // -- messages ---------------------------------------------------------------
  //
  // Stored with the events or not at all, and sent at least once after the
  // commit, also where the process dies first. What an entity sends to one
  // receiver goes out in order. Each may be called several times.

  /// Sends `message` to the actor that `entity_options::target` gives this name.
  /// @throws std::invalid_argument where the name is empty
  template <class M>
  auto send(std::string target, M message) && {
    if (target.empty())
      throw std::invalid_argument("evented: .send(..) needs a receiver's name");
    return std::move(*this).add(
      detail::sent<M, false>{std::move(target), {}, {}, std::move(message)});
  }

  /// Sends `command` to the entity `id` of the type `Other`, where it takes
  /// effect once.
  template <class Other, class C>
  auto send_to(typename Other::id_type id, C command) && {
    static_assert(Other::commands::template contains<C>,
                  "evented: .send_to<Other>(id, command) takes a command from "
                  "the list `commands` of that entity type");
    return std::move(*this).add(
      detail::sent<C, false>{std::string{Other::type_name},
                             entity_id{std::move(id)},
                             {},
                             std::move(command)});
  }

  /// Sends `command` to the entity itself at this time by the database's clock,
  /// where it takes effect once. A timer that survives restarts.
  template <class C>
  auto at(std::chrono::system_clock::time_point time, C command) && {
    return std::move(*this).set({}, time, std::move(command));
  }

  /// The same under a name: takes the place of the entity's timer that has this
  /// name, if it has not gone off. One whose delivery has begun may still
  /// arrive.
  /// @param name 1 to 200 bytes of valid UTF-8 without NUL
  /// @throws std::invalid_argument where the name is another one
  template <class C>
  auto at(std::string name, std::chrono::system_clock::time_point time,
          C command) && {
    detail::check_timer_name(name);
    return std::move(*this).set(std::move(name), time, std::move(command));
  }

  /// The same so long after now, by this machine's clock.
  template <class Rep, class Period, class C>
  auto after(std::chrono::duration<Rep, Period> time, C command) && {
    return std::move(*this).at(from_now(time), std::move(command));
  }

  /// The same under a name, see `at`.
  template <class Rep, class Period, class C>
  auto after(std::string name, std::chrono::duration<Rep, Period> time,
             C command) && {
    return std::move(*this).at(std::move(name), from_now(time),
                               std::move(command));
  }

  /// Takes the entity's timer with this name away, if there is one that has not
  /// gone off. One whose delivery has begun may still arrive.
  /// @throws std::invalid_argument where no timer can have this name
  auto cancel(std::string name) && {
    detail::check_timer_name(name);
    return std::move(*this).add(detail::cancelled{std::move(name)});
  }

  // -- access for decisions ---------------------------------------------------

  /// Hand the parts over.
  /// @{
  Events& events() noexcept { return events_; }
  Metadata& metadata() noexcept { return metadata_; }
  Reply& reply_function() noexcept { return reply_; }
  Effect& effect() noexcept { return effect_; }
  Messages& messages() noexcept { return messages_; }
  /// @}

private:
  template <class Rep, class Period>
  static auto from_now(std::chrono::duration<Rep, Period> time) {
    using clock = std::chrono::system_clock;
    return clock::now() + std::chrono::duration_cast<clock::duration>(time);
  }

  template <class C>
  auto set(std::string name, std::chrono::system_clock::time_point time,
           C command) && {
    return std::move(*this).add(detail::sent<C, true>{
      {},
      {},
      std::chrono::time_point_cast<timestamp::duration>(time),
      std::move(command),
      std::move(name)});
  }

  template <class M>
  auto add(M message) && {
    static_assert(!std::is_same_v<Events, std::tuple<>>,
                  "evented: messages go out with events, and this accept() has "
                  "none");
    auto all
      = std::tuple_cat(std::move(messages_), std::tuple<M>{std::move(message)});
    return acceptance<Events, Metadata, Reply, Effect, decltype(all)>{
      std::move(events_), std::move(metadata_), std::move(reply_),
      std::move(effect_), std::move(all)};
  }

  Events events_;
  [[no_unique_address]] Metadata metadata_;
  [[no_unique_address]] Reply reply_;
  [[no_unique_address]] Effect effect_;
  [[no_unique_address]] Messages messages_;
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

} // namespace evented
