#pragma once

#include <evented/actors/messages.hpp>
#include <evented/actors/seam.hpp>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/scoped_actor.hpp>

#include <chrono>
#include <optional>
#include <tuple>
#include <utility>

namespace evented {

namespace detail {

template <class... Ts>
struct answer_to_call {
  using type = std::tuple<Ts...>;
};

template <class T>
struct answer_to_call<T> {
  using type = T;
};

template <>
struct answer_to_call<> {
  using type = accepted;
};

} // namespace detail

/// Sends a message to an actor and waits for the answer: for threads that are no
/// actors, such as those of an HTTP server. An actor would keep a thread of CAF's
/// scheduler waiting; it uses `request` instead. May be called by any number of
/// threads at once.
///
///   auto done = evented::call(sys, accounts, 15s, id, deposit{5});
///   if (!done)
///     if (auto why = evented::rejection<no_account>(done.error())) ..
///
///   auto found = evented::call<summary>(sys, accounts, 15s, id, get_account{});
///
/// @tparam Answer what the answer consists of: by default `accepted`, as for a
///         command without a reply; several types are returned as a tuple
/// @param timeout how long to wait. Longer than `entity_options::command_timeout`,
///        so that the entity's own answer comes first: when it runs out, the
///        error is CAF's `sec::request_timeout`, which says nothing about the
///        outcome.
/// @returns the answer or the error that came instead of it
template <class... Answer, class... Ts>
caf::expected<typename detail::answer_to_call<Answer...>::type>
call(caf::actor_system& sys, const caf::actor& whom,
     std::chrono::milliseconds timeout, Ts&&... message) {
  if constexpr (sizeof...(Answer) == 0) {
    return call<accepted>(sys, whom, timeout, std::forward<Ts>(message)...);
  } else {
    std::optional<typename detail::answer_to_call<Answer...>::type> answer;
    caf::error failure;
    caf::scoped_actor self{sys};
    seam::request_and_wait(
      self, whom, timeout,
      [&](Answer&... xs) { answer.emplace(std::move(xs)...); },
      [&](caf::error& err) { failure = std::move(err); },
      std::forward<Ts>(message)...);
    if (answer)
      return std::move(*answer);
    return failure;
  }
}

} // namespace evented
