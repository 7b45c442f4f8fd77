#pragma once

// What a command sends, and what a test has asked for of it. Not for users.

#include <evented/decision.hpp>
#include <evented/testkit/compare.hpp>
#include <evented/testkit/show.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace evented::testkit::detail {

/// Who is to receive a message.
struct receiver {
  std::string_view target;
  std::optional<entity_id> id = {};
};

inline std::string show_receiver(std::string_view target,
                                 const std::optional<entity_id>& id) {
  return id ? std::string{target} + " " + to_string(*id) : quote(target);
}

inline std::string show_timer(std::string_view name) {
  return name.empty() ? "timer" : "timer " + quote(name);
}

/// When a timer goes off: then, or so long after the handler was called.
struct timer_time {
  // NOLINTBEGIN: implicit by design
  template <class D>
  timer_time(std::chrono::time_point<std::chrono::system_clock, D> then)
    : at(std::chrono::time_point_cast<timestamp::duration>(then)) {
    // nop
  }

  template <class Rep, class Period>
  timer_time(std::chrono::duration<Rep, Period> from_now)
    : after(std::chrono::duration_cast<std::chrono::system_clock::duration>(
      from_now)) {
    // nop
  }
  // NOLINTEND

  std::optional<timestamp> at;
  std::chrono::system_clock::duration after{};
};

/// The messages of one decision. Each can be taken once.
template <class E>
class sending {
public:
  using clock = std::chrono::system_clock;

  // -- constructors -----------------------------------------------------------

  sending() = default;

  /// @param begin when the handler was called
  /// @param end when it had returned
  sending(std::vector<outgoing<E>> all, clock::time_point begin,
          clock::time_point end)
    : all_(std::move(all)), taken_(all_.size()), begin_(begin), end_(end) {
    // nop
  }

  // -- properties -------------------------------------------------------------

  const std::vector<outgoing<E>>& all() const noexcept { return all_; }

  /// Renders the messages, or only those that were not taken.
  std::vector<std::string> lines(bool only_left = false) const {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (!only_left || !taken_[i])
        result.push_back(show_one(all_[i]));
    return result;
  }

  /// Renders a timer.
  std::string show_time(const timer_time& when) const {
    return show_due(when.at ? *when.at : due_at_first(when));
  }

  // -- modifiers --------------------------------------------------------------

  /// Takes the first message to this receiver that is left, if it is an `M` for
  /// which `f` holds. They arrive in this order.
  template <class M, class F>
  bool take_message(const receiver& to, F&& f) {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      auto& x = all_[i];
      if (taken_[i] || x.due || x.cancels() || x.target != to.target
          || x.id != to.id)
        continue;
      auto* value = x.template as<M>();
      if (value == nullptr || !f(*value))
        return false;
      taken_[i] = true;
      return true;
    }
    return false;
  }

  /// Takes a timer of this name, or one without a name, that goes off then, with
  /// an `M` for which `f` holds.
  template <class M, class F>
  bool take_timer(std::string_view name, const timer_time& when, F&& f) {
    return take_if([&](const outgoing<E>& x) {
      auto* value = x.template as<M>();
      return value != nullptr && x.due && x.timer == name
             && is_due(*x.due, when) && f(*value);
    });
  }

  bool take_cancelled(std::string_view name) {
    return take_if([&](auto& x) { return x.cancels() && x.timer == name; });
  }

private:
  template <class F>
  bool take_if(F f) {
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (!taken_[i] && f(all_[i])) {
        taken_[i] = true;
        return true;
      }
    return false;
  }

  timestamp due_at_first(const timer_time& when) const {
    return std::chrono::time_point_cast<timestamp::duration>(begin_
                                                             + when.after);
  }

  bool is_due(timestamp due, const timer_time& when) const {
    if (when.at)
      return due == *when.at;
    return due >= due_at_first(when) && due <= end_ + when.after;
  }

  std::string show_due(timestamp due) const {
    using std::chrono::milliseconds;
    return " in "
           + std::to_string(
             std::chrono::floor<milliseconds>(
               due - std::chrono::time_point_cast<timestamp::duration>(begin_))
               .count())
           + " ms";
  }

  std::string show_one(const outgoing<E>& x) const {
    if (x.cancels())
      return "no " + show_timer(x.timer);
    auto value = std::visit(
      []<class M>(const M& m) -> std::string {
        if constexpr (std::is_same_v<M, std::monostate>)
          return {};
        else
          return show_named(m);
      },
      x.value);
    return (x.due ? show_timer(x.timer) + show_due(*x.due)
                  : "to " + show_receiver(x.target, x.id))
           + ": " + value;
  }

  std::vector<outgoing<E>> all_;
  std::vector<bool> taken_;
  clock::time_point begin_;
  clock::time_point end_;
};

/// Checks whether two decisions send the same. Timers that count from now go off
/// at other times when a handler is asked again.
template <class E>
bool same_sending(const sending<E>& a, const sending<E>& b) {
  auto same_value = [](const outgoing<E>& x, const outgoing<E>& y) {
    return std::visit(
      [&]<class M>(const M& m) {
        if constexpr (std::is_same_v<M, std::monostate> || !comparable<M>)
          return true;
        else
          return same(m, std::get<M>(y.value));
      },
      x.value);
  };
  return std::equal(a.all().begin(), a.all().end(), b.all().begin(),
                    b.all().end(), [&](auto& x, auto& y) {
                      return x.target == y.target && x.id == y.id
                             && x.timer == y.timer
                             && x.due.has_value() == y.due.has_value()
                             && x.value.index() == y.value.index()
                             && same_value(x, y);
                    });
}

} // namespace evented::testkit::detail
