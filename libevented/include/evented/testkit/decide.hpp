#pragma once

// Runs a handler, and checks what would show only in production. Not for users.

#include <evented/testkit/sending.hpp>
#include <evented/testkit/story.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented::testkit::detail {

/// What a decision promises to answer; `none` for no reply.
struct none {};

template <class Reply>
using reply_of = std::conditional_t<std::is_void_v<Reply>, none, Reply>;

/// A decision, taken apart.
template <class E, class C>
struct result {
  using decision_type = evented::detail::decision_of<C, E>;
  static_assert(
    std::is_same_v<decision_type, evented::detail::handled_by<C, E>>,
    "evented: this handler asks other actors, of which the test kit knows "
    "nothing; test the function that it gives to .then(..)");
  using reply_type = typename decision_type::reply_type;
  using event_list = std::vector<typename E::events::variant>;

  /// What was thrown, and by what; empty where nothing was.
  std::string thrown;
  std::shared_ptr<const event_list> events
    = std::make_shared<const event_list>();
  std::optional<metadata_of<E>> metadata;
  std::optional<reply_of<reply_type>> reply;
  std::function<void(const E&)> effect;
  detail::sending<E> sending;
  /// Keeps the rejection; null where there is none.
  std::shared_ptr<decision_type> rejection;
  /// The state afterwards, which is the old one unless `accepted()`.
  E state{};

  bool accepted() const { return thrown.empty() && rejection == nullptr; }

  /// Renders what came of the command itself.
  std::vector<std::string> lines() const {
    if (!thrown.empty())
      return {thrown};
    if (rejection != nullptr) {
      std::string text;
      rejection->visit_rejection(
        [&](auto& why) { text = "rejected with " + show_named(why); });
      return {text};
    }
    if (events->empty())
      return {"accepted, no events"};
    std::vector<std::string> list;
    for (auto& event : *events)
      list.push_back(show_named(event));
    return list;
  }
};

/// Runs the handler of `cmd` as an entity does.
template <class E, class C>
result<E, C> decide(const story<E>& before, const C& cmd) {
  using decision_type = typename result<E, C>::decision_type;
  result<E, C> to;
  to.state = before.state;
  std::shared_ptr<decision_type> decision;
  std::function<std::string()> who = [] { return "the handler"; };
  try {
    auto begin = std::chrono::system_clock::now();
    decision
      = std::make_shared<decision_type>(evented::detail::call_handle<C, E>(
        cmd, before.state, context<E>{before.id, before.version}));
    auto end = std::chrono::system_clock::now();
    if (!decision->accepted()) {
      to.rejection = std::move(decision);
      return to;
    }
    auto& part = decision->acceptance_part();
    for (auto& event : part.events) {
      who = [&event] { return "apply(" + show_named(event) + ")"; };
      apply_to(to.state, event);
    }
    who = [] { return "the function of .reply(..)"; };
    if constexpr (!std::is_void_v<typename decision_type::reply_type>)
      to.reply = part.reply(to.state);
    to.events = std::make_shared<const typename result<E, C>::event_list>(
      std::move(part.events));
    to.metadata = std::move(part.metadata);
    to.effect = std::move(part.effect);
    to.sending = {std::move(part.messages), begin, end};
  } catch (...) {
    to.thrown = who() + " threw: " + what_was_thrown();
    to.state = before.state;
  }
  return to;
}

// -- purity -------------------------------------------------------------------

/// Checks whether two values are the same, as far as that can be known.
template <class T>
bool seems_same(const T& a, const T& b) {
  if constexpr (comparable<T>)
    return same(a, b);
  else
    return true;
}

template <class T>
bool seems_same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || seems_same(*a, *b));
}

template <class E, class C>
bool same_rejection(const result<E, C>& a, const result<E, C>& b) {
  if (a.rejection == nullptr || b.rejection == nullptr)
    return a.rejection == b.rejection;
  auto equal = false;
  a.rejection->visit_rejection([&]<class R>(const R& why) {
    auto* other = b.rejection->template rejection<R>();
    equal = other != nullptr && seems_same(why, *other);
  });
  return equal;
}

template <class E, class C>
bool same_decision(const result<E, C>& a, const result<E, C>& b) {
  return a.thrown == b.thrown && same_rejection(a, b)
         && seems_same(*a.events, *b.events)
         && seems_same(a.metadata, b.metadata) && seems_same(a.reply, b.reply)
         && same_sending(a.sending, b.sending)
         && static_cast<bool>(a.effect) == static_cast<bool>(b.effect);
}

/// Renders all of a decision.
template <class E, class C>
std::string show_all(const result<E, C>& x) {
  std::string text;
  for (auto& line : x.lines())
    text += (text.empty() ? "" : ", ") + line;
  if constexpr (!std::is_same_v<metadata_of<E>, no_metadata>)
    if (x.metadata)
      text += "; metadata " + show(*x.metadata);
  if constexpr (!std::is_void_v<typename result<E, C>::reply_type>)
    if (x.reply)
      text += "; reply " + show(*x.reply);
  for (auto& line : x.sending.lines())
    text += "; " + line;
  return text;
}

// -- what the journal will do -------------------------------------------------

/// Writes and reads the events of `x` with `how`, and applies the copies to
/// `before`.
template <class E, class C>
void check_events(const result<E, C>& x, E before, codec how, complaints& to) {
  auto complete = true;
  for (auto& event : *x.events)
    std::visit(
      [&]<class T>(const T& original) {
        auto copy = check_codec(original, event_name<T>(), how, to);
        if (!copy)
          complete = false;
        else if (complete)
          before.apply(*copy);
      },
      event);
  if constexpr (comparable<E>)
    if (complete && !same(before, x.state))
      to.push_back("the events that were read from "
                   + std::string{to_string(how)} + " lead to another state: "
                   + show_difference(x.state, before));
}

/// Checks what would show only in production.
template <class E, class C>
complaints check(const story<E>& before, const C& cmd, const result<E, C>& x) {
  complaints found;
  if (before.pure) {
    auto again = decide(before, cmd);
    if (!same_decision(x, again))
      found.push_back("the handler decides differently when it is asked again: "
                      + show_all(x) + ", then " + show_all(again));
  }
  for (auto& event : *x.events)
    std::visit([&](auto& original) { check_tags(original, found); }, event);
  if (x.events->empty() && !x.sending.all().empty())
    found.push_back("messages and timers go out with events, and this command "
                    "stores none");
  try {
    if constexpr (!std::is_same_v<metadata_of<E>, no_metadata>)
      if (x.metadata)
        (void)to_json(*x.metadata);
  } catch (...) {
    found.push_back("the metadata cannot be written as json: "
                    + what_was_thrown());
  }
  for (auto how : before.forms)
    try {
      check_events(x, before.state, how, found);
    } catch (...) {
      found.push_back("an event that was read from "
                      + std::string{to_string(how)}
                      + " cannot be applied: " + what_was_thrown());
    }
  return found;
}

} // namespace evented::testkit::detail
