#pragma once

#include <evented/testkit/outcome.hpp>
#include <evented/testkit/story.hpp>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented::testkit {

/// The state of an entity, which waits for a command. A value: several commands
/// can be tried on copies of the same scenario.
template <class E>
class [[nodiscard]] scenario {
public:
  // -- constructors -----------------------------------------------------------

  scenario() { static_assert(check_entity<E>()); }

  /// For `outcome::when`.
  explicit scenario(detail::story<E> from) : story_(std::move(from)) {
    // nop
  }

  // -- properties -------------------------------------------------------------

  /// Returns the state after the events so far.
  const E& state() const noexcept { return story_.state; }

  /// Returns the version that the next handler sees.
  std::uint64_t version() const noexcept { return story_.version; }

  // -- modifiers --------------------------------------------------------------

  /// Appends events, as if an earlier command or another process had done so.
  /// Takes events, `E::events::variant`, and vectors of the latter.
  template <class... Events>
  scenario given(Events&&... events) && {
    (add(std::forward<Events>(events)), ...);
    return std::move(*this);
  }

  /// The same on a copy.
  template <class... Events>
  scenario given(Events&&... events) const& {
    return scenario{*this}.given(std::forward<Events>(events)...);
  }

  /// Sets the ID that handlers find in their context. Default: a nil UUID, 0 or
  /// `some-<type name>`.
  scenario id(typename E::id_type value) && {
    story_.id = std::move(value);
    return std::move(*this);
  }

  /// Sets the version that handlers find in their context, as if there were
  /// more events before the ones that are given.
  scenario at(std::uint64_t version) && {
    story_.version = version;
    return std::move(*this);
  }

  /// Checks events only in the form that the journal of these entities uses.
  scenario payloads(codec how) && {
    story_.forms = {how};
    return std::move(*this);
  }

  /// Lets handlers decide differently when they are asked twice, for example
  /// because they look at a clock. They are asked only once then.
  scenario impure() && {
    story_.pure = false;
    return std::move(*this);
  }

  // -- deciding ---------------------------------------------------------------

  /// Runs the handler of `cmd`, applies what it decides, and returns that as an
  /// `outcome`. Besides, checks what would show only in production, see
  /// docs/testing.md: that the handler decides the same when it is asked again,
  /// and that the events survive their codecs and mean the same to the state
  /// afterwards. An exception is reported by what follows, unless that is
  /// `then_throws`.
  template <class C>
  auto when(C cmd, const char* file = __builtin_FILE(),
            int line = __builtin_LINE()) && {
    return decide(std::move(story_), std::move(cmd), {file, line});
  }

  /// The same on a copy.
  template <class C>
  auto when(C cmd, const char* file = __builtin_FILE(),
            int line = __builtin_LINE()) const& {
    return decide(story_, std::move(cmd), {file, line});
  }

private:
  template <class C>
  static auto decide(detail::story<E> from, C cmd, location where) {
    static_assert(E::commands::template contains<C>,
                  "evented: when(..) takes a command from the entity's list "
                  "`commands`");
    if constexpr (E::commands::template contains<C>)
      return outcome<E, C>{std::move(from), std::move(cmd), where};
  }

  template <class T>
  void add(T&& x) {
    using type = std::decay_t<T>;
    using variant = typename E::events::variant;
    if constexpr (std::is_same_v<type, std::vector<variant>>) {
      for (auto& event : x)
        if constexpr (std::is_lvalue_reference_v<T>)
          add(event);
        else
          add(std::move(event));
    } else {
      static_assert(
        E::events::template contains<type> || std::is_same_v<type, variant>,
        "evented: given(..) takes events from the entity's list "
        "`events`");
      story_.add_event(std::make_shared<const type>(std::forward<T>(x)));
    }
  }

  detail::story<E> story_;
};

/// Begins a test of the entity type `E`, with these events in its past.
///
///   given<account>(deposited{5}).when(withdraw{4}).then(withdrawn{4});
template <class E, class... Events>
scenario<E> given(Events&&... events) {
  return scenario<E>{}.given(std::forward<Events>(events)...);
}

} // namespace evented::testkit
