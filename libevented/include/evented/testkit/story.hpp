#pragma once

// What a scenario knows before a command: the state, and how it came about. Not
// for users.

#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/testkit/codecs.hpp>
#include <evented/testkit/failure.hpp>
#include <evented/testkit/show.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace evented::testkit::detail {

/// An event or a command of the past. Shown only when a check fails.
struct line {
  std::shared_ptr<const void> value;
  std::string (*show)(const void*) = nullptr;
};

template <class T>
std::string show_event_line(const void* x) {
  return show_named(*static_cast<const T*>(x));
}

template <class T>
std::string show_command_line(const void* x) {
  return "-> " + show_named(*static_cast<const T*>(x));
}

/// The past of a scenario. A list that its copies share, so that each of many
/// commands in a row copies nothing.
class history {
public:
  /// Appends `x`.
  void push_back(line x);

  /// Renders the past, the oldest line first.
  [[nodiscard]] std::vector<std::string> show() const;

private:
  struct node;
  std::shared_ptr<node> last_;
};

/// An ID for entities whose ID does not matter.
template <class E>
typename E::id_type default_id() {
  if constexpr (std::is_same_v<typename E::id_type, std::string>)
    return "some-" + std::string{E::type_name};
  else
    return typename E::id_type{};
}

/// Applies `event`, which may be a variant of events, to `state`.
/// @throws what `apply` throws
template <class E, class T>
void apply_to(E& state, const T& event) {
  if constexpr (is_variant<T>)
    std::visit([&](auto& x) { state.apply(x); }, event);
  else
    state.apply(event);
}

/// The state of an entity, with how it came about and how commands are checked.
template <class E>
struct story {
  E state{};
  typename E::id_type id = default_id<E>();
  std::uint64_t version = 0;
  std::size_t effects = 0;
  history past;
  std::vector<codec> forms{codec::json, codec::binary};
  bool pure = true;

  /// Appends an event, or a variant of events.
  template <class T>
  void add_event(std::shared_ptr<const T> event) {
    past.push_back({event, show_event_line<T>});
    try {
      apply_to(state, *event);
    } catch (...) {
      fail({.where = {},
            .summary = "an event that was given cannot be applied",
            .given = past.show(),
            .when = {},
            .expected = {},
            .got = {"exception " + what_was_thrown()}});
    }
    ++version;
  }
};

} // namespace evented::testkit::detail
