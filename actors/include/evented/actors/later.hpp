#pragma once

#include <evented/actors/seam.hpp>
#include <evented/entity.hpp>

#include <caf/event_based_actor.hpp>

#include <chrono>
#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace evented {

namespace detail {

/// Whom a handler asks, and how long.
struct asked {
  /// An actor, or its name in `entity_options::target`.
  caf::actor whom;
  std::string target;
  std::chrono::milliseconds timeout{0};
};

} // namespace detail

/// What a handler of the entity type `E` returns that has to ask another actor
/// before it decides: `ask(..).then(..)`, or what a `decision<E, Ts..>` is made
/// of, where there is no need to ask.
///
/// Later commands and queries of the entity wait for the answer; other entities
/// do not. The time counts as the command's: where it is over, the command is
/// answered with `errc::unavailable`. An error instead of an answer becomes
/// `errc::handler_failed` with its text. Nothing is stored in either case.
template <class E, class... Ts>
class later {
public:
  // -- member types -----------------------------------------------------------

  /// What comes of it in the end.
  using decision_type = decision<E, Ts...>;

  /// What decides once the answer is there.
  using continuation
    = std::function<decision_type(const E&, const context<E>&)>;

  /// Asks an actor on behalf of another one, and hands what decides, or an
  /// error, to a function.
  using asker
    = std::function<void(caf::event_based_actor* self, const caf::actor& whom,
                         std::chrono::milliseconds timeout,
                         std::function<void(continuation, caf::error)>)>;

  // -- constructors -----------------------------------------------------------

  /// Decides at once.
  template <class T>
  requires(!std::same_as<T, later> && std::constructible_from<decision_type, T>)
    later(T from) // NOLINT: implicit by design
    : decision_(std::move(from)) {
    // nop
  }

  /// Asks first. For `ask`.
  later(detail::asked whom, asker ask)
    : whom_(std::move(whom)), ask_(std::move(ask)) {
    // nop
  }

  // -- access for entities ----------------------------------------------------

  /// Returns what is decided already, nothing where there is a question.
  std::optional<decision_type>& decided() noexcept { return decision_; }

  /// Returns the actor to ask, and how long to wait.
  detail::asked& whom() noexcept { return whom_; }

  /// Returns what asks it.
  asker& ask() noexcept { return ask_; }

private:
  std::optional<decision_type> decision_;
  detail::asked whom_;
  asker ask_;
};

namespace detail {

template <class E, class... Ts>
struct decided_by<later<E, Ts...>> {
  using type = decision<E, Ts...>;
};

template <class T>
struct is_later : std::false_type {};

template <class E, class... Ts>
struct is_later<later<E, Ts...>> : std::true_type {};

/// Divides what a continuation takes after the state into the types of the
/// answer and perhaps the context.
template <class E, class Answer, class... Rest>
struct answer_of;

template <class E, class... Rs>
struct answer_of<E, std::tuple<Rs...>> {
  using type = std::tuple<Rs...>;
  static constexpr bool with_context = false;
};

template <class E, class... Rs>
struct answer_of<E, std::tuple<Rs...>, context<E>> {
  using type = std::tuple<Rs...>;
  static constexpr bool with_context = true;
};

template <class E, class... Rs, class R, class... Rest>
struct answer_of<E, std::tuple<Rs...>, R, Rest...>
  : answer_of<E, std::tuple<Rs..., R>, Rest...> {};

template <class F>
struct continuation_traits {
  static constexpr bool ok = false;
};

template <class F, class E, class... Ts, class State, class... Rs>
struct continuation_traits<decision<E, Ts...> (F::*)(State, Rs...) const> {
  static constexpr bool ok = std::is_same_v<std::decay_t<State>, E>;
  using later_type = later<E, Ts...>;
  using answer = answer_of<E, std::tuple<>, std::decay_t<Rs>...>;
};

template <class Later, bool WithContext, class... Rs, class F, class... Ms>
void put_question(
  caf::event_based_actor* self, const caf::actor& whom,
  std::chrono::milliseconds timeout, std::tuple<Rs...>*, const F& f,
  const std::tuple<Ms...>& message,
  std::function<void(typename Later::continuation, caf::error)> done) {
  auto on_answer = [f, done](const Rs&... xs) {
    auto decide = [f, answer = std::tuple<Rs...>{xs...}](const auto& state,
                                                         const auto& ctx) {
      return std::apply(
        [&](const auto&... ys) {
          if constexpr (WithContext)
            return f(state, ys..., ctx);
          else
            return f(state, ys...);
        },
        answer);
    };
    done(std::move(decide), caf::error{});
  };
  auto on_error = [done](caf::error& err) { done({}, std::move(err)); };
  std::apply(
    [&](const auto&... xs) {
      seam::request(self, whom, timeout, on_answer, on_error, xs...);
    },
    message);
}

/// A question on its way into a `later`.
template <class... Ms>
class question {
public:
  question(asked whom, Ms... message)
    : whom_(std::move(whom)), message_(std::move(message)...) {
    // nop
  }

  /// Decides with `f(state, answer..)` or `f(state, answer.., context)`, which
  /// returns a `decision<E, ..>`; `answer..` are the types that the actor
  /// answers with. The state is that of this moment: it may have changed since
  /// the handler has asked. After a conflict, `f` runs again on the new state
  /// with the same answer; the question is not asked again.
  template <class F>
  auto then(F f) && {
    constexpr auto named = requires {
      &F::operator();
    };
    static_assert(named, "evented: .then(f) of ask(..) needs a function that "
                         "names the types of its parameters");
    if constexpr (named) {
      using traits = continuation_traits<decltype(&F::operator())>;
      static_assert(traits::ok,
                    "evented: .then(f) of ask(..) needs f(const E&, answer..) "
                    "or f(const E&, answer.., const evented::context<E>&) to "
                    "return an evented::decision<E, rejections..>");
      using later_type = typename traits::later_type;
      using answer = typename traits::answer;
      typename later_type::asker asker
        = [f = std::move(f), message = std::move(message_)](
            auto* self, auto& whom, auto timeout, auto done) {
            put_question<later_type, answer::with_context>(
              self, whom, timeout, static_cast<typename answer::type*>(nullptr),
              f, message, std::move(done));
          };
      return later_type{std::move(whom_), std::move(asker)};
    }
  }

private:
  asked whom_;
  std::tuple<Ms...> message_;
};

} // namespace detail

/// Asks an actor before deciding; a handler returns it as `later<E, ..>`:
///
///   evented::later<account, too_little>
///   handle(const convert& cmd, const account&) {
///     return evented::ask("rates", 2s, get_rate{cmd.currency})
///       .then([cmd](const account& state, double rate)
///               -> evented::decision<account, too_little> { .. });
///   }
///
/// @param target a name that `entity_options::target` knows
/// @param timeout how long it may take; `command_timeout` bounds it as well
template <class... Ms>
detail::question<std::decay_t<Ms>...>
ask(std::string target, std::chrono::milliseconds timeout, Ms&&... message) {
  return {detail::asked{{}, std::move(target), timeout},
          std::forward<Ms>(message)...};
}

/// The same with an actor.
template <class... Ms>
detail::question<std::decay_t<Ms>...>
ask(caf::actor whom, std::chrono::milliseconds timeout, Ms&&... message) {
  return {detail::asked{std::move(whom), {}, timeout},
          std::forward<Ms>(message)...};
}

} // namespace evented
