#pragma once

#include <evented/testkit/decide.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented::testkit {

template <class E>
class scenario;

namespace detail {

template <class R, class E, class Reply, class... Rs>
consteval bool
lists_rejection(const evented::detail::basic_decision<E, Reply, Rs...>*) {
  return (std::is_same_v<R, Rs> || ...);
}

/// Calls `f` with `x`; a function that returns nothing has nothing to object.
template <class F, class T>
bool holds(F& f, const T& x) {
  if constexpr (std::is_void_v<std::invoke_result_t<F&, const T&>>) {
    f(x);
    return true;
  } else {
    return static_cast<bool>(f(x));
  }
}

} // namespace detail

/// What came of a command of the type `C`. The functions `then..` check it,
/// report a failure where it is not as expected, and can follow each other in
/// any order; `when` sends the next command to the state afterwards.
///
/// Where they take a value, they also take a function of it, which returns bool,
/// or nothing where it checks by other means.
template <class E, class C>
class [[nodiscard]] outcome {
public:
  // -- member types -----------------------------------------------------------

  /// What the handler returns, replies with and stores.
  /// @{
  using result_type = detail::result<E, C>;
  using reply_type = typename result_type::reply_type;
  using event_list = typename result_type::event_list;
  /// @}

  // -- constructors -----------------------------------------------------------

  /// Runs the handler. For `scenario::when`.
  outcome(detail::story<E> before, C cmd, location where)
    : before_(std::move(before)),
      cmd_(std::make_shared<const C>(std::move(cmd))),
      where_(where),
      result_(detail::decide(before_, *cmd_)) {
    if (auto found = detail::check(before_, *cmd_, result_); !found.empty())
      report("what the handler decides will not work in production", {},
             std::move(found));
  }

  // -- checks: events and rejections ------------------------------------------

  /// Expects exactly these events, in this order. Takes events or one
  /// `std::vector<E::events::variant>`.
  template <class... Events>
  outcome& then(Events&&... events) {
    event_list list;
    list.reserve(sizeof...(Events));
    (add(list, std::forward<Events>(events)), ...);
    if (!result_.accepted() || !detail::same(list, *result_.events)) {
      std::vector<std::string> lines;
      for (auto& event : list)
        lines.push_back(detail::show_named(event));
      if (lines.empty())
        lines.emplace_back("accepted, no events");
      report("the command has another outcome", std::move(lines));
    }
    return *this;
  }

  /// Expects that the command is accepted and nothing is stored.
  outcome& then_nothing() { return then(); }

  /// Expects that the command is accepted, with whatever events.
  outcome& then_accepted() {
    if (!result_.accepted())
      report("the command is not accepted", {"accepted"});
    return *this;
  }

  /// Expects the rejection `why`, or one for which `why` holds.
  template <class R, std::invocable<const R&> F>
  outcome& then_rejected(F why) {
    auto* value = rejection<R>();
    if (value == nullptr || !detail::holds(why, *value))
      report("the command has another outcome",
             {"rejected with " + std::string{event_name<R>()}
              + " that meets the condition"});
    return *this;
  }

  /// The same for this value.
  template <class R>
  outcome& then_rejected(const R& why) {
    auto* value = rejection<R>();
    if (value == nullptr || !same(why, *value))
      report("the command has another outcome",
             {"rejected with " + detail::show_named(why)});
    return *this;
  }

  /// Expects any rejection of the type `R`.
  template <class R>
  outcome& then_rejected() {
    if (rejection<R>() == nullptr)
      report("the command has another outcome",
             {"rejected with " + std::string{event_name<R>()}});
    return *this;
  }

  /// Expects that the handler, an `apply` or the function of `.reply(..)` throws
  /// something whose text contains `text`.
  outcome& then_throws(std::string_view text = "") {
    if (result_.thrown.empty()
        || result_.thrown.find(text) == std::string::npos)
      report("the command has another outcome",
             {"an exception"
              + (text.empty() ? "" : " with the text " + detail::quote(text))});
    threw_as_expected_ = true;
    return *this;
  }

  // -- checks: what goes with the events --------------------------------------

  /// Expects the state after the events; after a rejection, the one before.
  template <class T>
  outcome& then_state(T&& expected) {
    settle();
    compare("the state", std::forward<T>(expected), &result_.state);
    return *this;
  }

  /// Expects this version of the entity after the command.
  outcome& then_version(std::uint64_t expected) {
    settle();
    auto is = before_.version + result_.events->size();
    compare("the version", expected, &is);
    return *this;
  }

  /// Expects this reply besides `accepted`.
  template <class T>
  outcome& then_reply(T&& expected) {
    static_assert(!std::is_void_v<reply_type>,
                  "evented: then_reply(..) is for handlers that reply: "
                  "decision<E, replies<R>, rejections..>");
    if constexpr (!std::is_void_v<reply_type>)
      compare("the reply", std::forward<T>(expected),
              result_.reply ? &*result_.reply : nullptr);
    return *this;
  }

  /// Expects this metadata with the events.
  template <class T>
  outcome& then_metadata(T&& expected) {
    static_assert(!std::is_same_v<metadata_of<E>, no_metadata>,
                  "evented: then_metadata(..) is for entities with a member "
                  "type `metadata`");
    if constexpr (!std::is_same_v<metadata_of<E>, no_metadata>)
      compare("the metadata", std::forward<T>(expected),
              result_.metadata ? &*result_.metadata : nullptr);
    return *this;
  }

  /// Expects no metadata.
  outcome& then_no_metadata() {
    settle();
    if (result_.metadata)
      report("there is metadata", {"no metadata"}, {show(*result_.metadata)});
    return *this;
  }

  /// Expects that there is an effect, the function of `.then(..)`. It does not
  /// run.
  outcome& then_effect() {
    settle();
    if (!result_.effect)
      report("there is no effect", {"an effect"});
    return *this;
  }

  /// Expects that there is no effect.
  outcome& then_no_effect() {
    settle();
    if (result_.effect)
      report("there is an effect", {"no effect"});
    return *this;
  }

  /// Runs the effect on the state after the events, as an entity does once they
  /// are durable. What it throws comes out.
  outcome& run_effect() {
    then_effect();
    if (result_.effect)
      result_.effect(result_.state);
    return *this;
  }

  // -- checks: messages and timers --------------------------------------------
  //
  // Each of these asks for one, in any order; what goes to the same receiver in
  // the order in which it arrives there.

  /// Expects this message to the actor with this name, or one for which
  /// `expected` holds.
  template <class M>
  outcome& then_sends(std::string_view target, const M& expected) {
    return sends<M>({target}, value_of(expected));
  }

  /// The same for a condition.
  template <class M, std::invocable<const M&> F>
  outcome& then_sends(std::string_view target, F expected) {
    return sends<M>({target}, condition_on<M>(std::move(expected)));
  }

  /// Expects this command to the entity `id` of the type `Other`, or one for
  /// which `expected` holds.
  template <class Other, class M>
  outcome& then_sends_to(typename Other::id_type id, const M& expected) {
    return sends<M>({Other::type_name, entity_id{std::move(id)}},
                    value_of(expected));
  }

  /// The same for a condition.
  template <class Other, class M, std::invocable<const M&> F>
  outcome& then_sends_to(typename Other::id_type id, F expected) {
    return sends<M>({Other::type_name, entity_id{std::move(id)}},
                    condition_on<M>(std::move(expected)));
  }

  /// Expects a timer without a name that goes off at this time, or so long after
  /// the handler was called.
  template <class M>
  outcome& then_sets_timer(detail::timer_time when, const M& expected) {
    return sets_timer("", when, expected);
  }

  /// Expects a timer with this name.
  template <class M>
  outcome& then_sets_timer(std::string_view name, detail::timer_time when,
                           const M& expected) {
    return sets_timer(name, when, expected);
  }

  /// Expects that the timer with this name is cancelled.
  outcome& then_cancels_timer(std::string_view name) {
    settle();
    if (!result_.sending.take_cancelled(name))
      report_sending("no " + detail::show_timer(name));
    return *this;
  }

  /// Expects that nothing is sent: no message, no timer, and none cancelled.
  outcome& then_sends_nothing() {
    settle();
    if (auto lines = result_.sending.lines(); !lines.empty())
      report("something is sent", {"nothing"}, std::move(lines));
    return *this;
  }

  /// Expects that nothing is sent that was not asked for before.
  outcome& then_sends_nothing_else() {
    settle();
    if (auto lines = result_.sending.lines(true); !lines.empty())
      report("something else is sent", {"nothing else"}, std::move(lines));
    return *this;
  }

  // -- properties -------------------------------------------------------------

  /// Returns whether the command was accepted.
  bool accepted() const noexcept { return result_.accepted(); }

  /// Returns the events of this command, none where it was not accepted.
  const event_list& events() const noexcept { return *result_.events; }

  /// Returns what this command sends, with the timers that it sets and cancels.
  const std::vector<outgoing<E>>& messages() const noexcept {
    return result_.sending.all();
  }

  /// Returns the state afterwards.
  const E& state() const noexcept { return result_.state; }

  /// Returns the rejection of the type `R`, or null where there is none.
  template <class R>
  const R* rejection() const {
    static_assert(
      detail::lists_rejection<R>(
        static_cast<const typename result_type::decision_type*>(nullptr)),
      "evented: then_rejected(..) takes one of the rejections that "
      "the handler's decision<E, rejections..> lists");
    return result_.rejection == nullptr
             ? nullptr
             : result_.rejection->template rejection<R>();
  }

  /// Returns how many effects this command and those before it have asked for.
  std::size_t effects() const noexcept {
    return before_.effects + (result_.effect ? 1 : 0);
  }

  // -- going on ---------------------------------------------------------------

  /// Returns the scenario that this command leads to.
  operator scenario<E>() { // NOLINT: implicit by design
    settle();
    auto after = before_;
    after.state = result_.state;
    after.version += result_.events->size();
    after.effects = effects();
    using event = typename event_list::value_type;
    after.past.push_back({cmd_, detail::show_command_line<C>});
    for (auto& x : *result_.events)
      after.past.push_back({std::shared_ptr<const event>{result_.events, &x},
                            detail::show_event_line<event>});
    return scenario<E>{std::move(after)};
  }

  /// Sends the next command to the state afterwards.
  template <class Next>
  auto when(Next cmd, const char* file = __builtin_FILE(),
            int line = __builtin_LINE()) {
    return scenario<E>{*this}.when(std::move(cmd), file, line);
  }

  /// Appends events of other commands to the state afterwards.
  template <class... Events>
  scenario<E> given(Events&&... events) {
    return scenario<E>{*this}.given(std::forward<Events>(events)...);
  }

private:
  template <class T>
  static void add(event_list& to, T&& x) {
    using type = std::decay_t<T>;
    if constexpr (std::is_same_v<type, event_list>) {
      for (auto& event : x)
        to.push_back(event);
    } else {
      static_assert(
        E::events::template contains<
          type> || std::is_same_v<type, typename E::events::variant>,
        "evented: then(..) takes events from the entity's list "
        "`events`");
      to.emplace_back(std::forward<T>(x));
    }
  }

  /// What a test expects of a message.
  template <class F>
  struct expectation {
    F holds;
    std::string text;
  };

  template <class T>
  static auto value_of(const T& x) {
    auto holds = [&x](const T& is) { return same(x, is); };
    return expectation<decltype(holds)>{holds, detail::show_named(x)};
  }

  template <class T, class F>
  static auto condition_on(F f) {
    auto holds = [f](const T& is) mutable { return detail::holds(f, is); };
    return expectation<decltype(holds)>{holds, std::string{event_name<T>()}
                                                 + " that meets the condition"};
  }

  template <class M>
  static consteval void check_message() {
    static_assert(messages_of<E>::template contains<M>,
                  "evented: then_sends(..) and then_sets_timer(..) take a type "
                  "from the entity's list `messages`");
  }

  template <class M, class F>
  outcome& sends(const detail::receiver& to, expectation<F> expected) {
    check_message<M>();
    settle();
    if constexpr (messages_of<E>::template contains<M>)
      if (!result_.sending.template take_message<M>(to, expected.holds))
        report_sending("to " + detail::show_receiver(to.target, to.id) + ": "
                       + expected.text);
    return *this;
  }

  template <class M>
  outcome& sets_timer(std::string_view name, const detail::timer_time& when,
                      const M& cmd) {
    check_message<M>();
    settle();
    auto expected = value_of(cmd);
    if constexpr (messages_of<E>::template contains<M>)
      if (!result_.sending.template take_timer<M>(name, when, expected.holds))
        report_sending(detail::show_timer(name)
                       + result_.sending.show_time(when) + ": "
                       + expected.text);
    return *this;
  }

  void report_sending(std::string expected) {
    auto lines = result_.sending.lines();
    if (!result_.accepted())
      report("the command is not accepted", {std::move(expected)});
    else
      report("this is not sent", {std::move(expected)},
             lines.empty() ? std::vector<std::string>{"nothing"}
                           : std::move(lines));
  }

  /// Compares `is` with a value, or asks a function about it.
  template <class Expected, class T>
  void compare(const std::string& what, Expected&& expected, const T* is) {
    std::string wanted;
    auto ok = is != nullptr;
    if constexpr (std::is_invocable_v<Expected&, const T&>) {
      ok = ok && detail::holds(expected, *is);
      wanted = what + " meets the condition";
    } else {
      static_assert(std::is_convertible_v<Expected&&, T>,
                    "evented: this takes a value of the type that the handler "
                    "or the entity has, or a function of it");
      const T value = static_cast<T>(std::forward<Expected>(expected));
      ok = ok && same(value, *is);
      wanted = show(value);
    }
    if (ok)
      return;
    if (is == nullptr && !result_.accepted())
      report("the command is not accepted", {wanted});
    else
      report(what + " is another one", {wanted},
             {is != nullptr ? show(*is) : "none"});
  }

  /// Reports an exception that the test has not asked for.
  void settle() {
    if (!result_.thrown.empty() && !std::exchange(threw_as_expected_, true))
      report("the command failed", {});
  }

  void report(std::string summary, std::vector<std::string> expected) {
    if (!result_.thrown.empty())
      threw_as_expected_ = true; // said once
    report(std::move(summary), std::move(expected), result_.lines());
  }

  void report(std::string summary, std::vector<std::string> expected,
              std::vector<std::string> got) {
    fail({.where = where_,
          .summary = std::move(summary),
          .given = before_.past.show(),
          .when = {detail::show_named(*cmd_)},
          .expected = std::move(expected),
          .got = std::move(got)});
  }

  detail::story<E> before_;
  std::shared_ptr<const C> cmd_;
  location where_;
  result_type result_;
  bool threw_as_expected_ = false;
};

} // namespace evented::testkit
