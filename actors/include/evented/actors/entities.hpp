#pragma once

#include <evented/actors/journal.hpp>
#include <evented/actors/model.hpp>
#include <evented/actors/region.hpp>
#include <evented/listener.hpp>

#include <any>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <variant>

namespace evented {

// -- listener -----------------------------------------------------------------

/// What a listener sees of an event that is about to be committed.
template <class E>
struct committing {
  const typename E::id_type& id;
  std::uint64_t version;
  std::uint64_t seq_no;
  /// Any one of the entity's events; use `std::visit` or `get_if`.
  const typename E::events::variant& event;
  /// The metadata of the command's events as JSON, empty where there is none.
  const std::string& metadata;

  /// Returns the event as a `T`, or null where it is another one.
  template <class T>
  const T* as() const noexcept {
    return std::get_if<T>(&event);
  }
};

/// Lets an event pass, see `verdict`.
struct pass {};

/// What a listener may return: `pass{}`, or `reject(r)` to veto the command of
/// this event with a typed rejection.
template <class... Rejections>
class verdict {
public:
  verdict(pass) {} // NOLINT: implicit by design

  template <class R>
  verdict(rejected_with<R> why) // NOLINT: implicit by design
    : value_(std::move(why.value)) {
    static_assert((std::is_same_v<R, Rejections> || ...),
                  "evented: reject(..) was given a type that the listener's "
                  "verdict<rejections..> does not list");
  }

  /// Returns the veto as an error for the command's sender, nothing for a pass.
  [[nodiscard]] std::optional<caf::error> error() const {
    return std::visit(
      [](auto& x) -> std::optional<caf::error> {
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, pass>)
          return std::nullopt;
        else
          return caf::make_error(errc::rejected, x);
      },
      value_);
  }

private:
  std::variant<pass, Rejections...> value_;
};

namespace detail {

template <class E, class F>
class typed_listener : public event_listener {
public:
  explicit typed_listener(F f) : f_(std::move(f)) {
    // nop
  }

  std::any on_event(const uncommitted_event& x,
                    transaction& tx) const override {
    using event_list = typename typed_model<E>::event_list;
    auto& events = *static_cast<const event_list*>(x.typed);
    committing<E> view{std::get<typename E::id_type>(x.id), x.version, x.seq_no,
                       events[x.index], x.event.metadata};
    if constexpr (std::is_void_v<std::invoke_result_t<const F&, decltype(view)&,
                                                      transaction&>>) {
      f_(view, tx);
    } else {
      if (auto veto = f_(view, tx).error())
        return std::any{std::move(*veto)};
    }
    return {};
  }

private:
  F f_;
};

template <class E, class... Cs>
caf::behavior region_behavior(region* self, commands<Cs...>*) {
  return {[self](const typename E::id_type& id, Cs& cmd) {
            self->deliver(
              id, std::make_unique<typed_command<E, Cs>>(std::move(cmd)));
          }...,
          [self](const stopping& x) { self->on_stopping(x.incarnation); },
          [self](const stopped& x) { self->on_stopped(x.incarnation); }};
}

template <class... Cs>
bool is_command(const auto& msg, commands<Cs...>*) {
  return (seam::has_type<Cs>(msg, 1) || ...);
}

} // namespace detail

// -- entities -----------------------------------------------------------------

/// Whether the answers that rest on memory alone, namely rejections and accepts
/// without events, are checked against the journal before they go out.
enum class confirm : std::uint8_t {
  /// Checked: no answer contradicts one that another process has given before.
  journal,
  /// Not checked: faster, right as of the last event that this process has
  /// seen.
  memory,
};

/// How the entities of one type live. A plain struct: set what differs from the
/// defaults.
template <class E>
struct entity_options {
  /// Bounds every command, from its arrival at the region on. One that is not
  /// answered by then gets `errc::unavailable`, or `errc::outcome_unknown`
  /// where it had been sent to the database.
  std::chrono::milliseconds command_timeout{5000};
  /// How many commands of one entity may wait; more get `errc::overloaded`.
  std::size_t max_queue = 4096;
  /// How often a command is decided anew after a conflict.
  unsigned max_conflicts = 10;
  evented::confirm confirm = evented::confirm::journal;
  /// What becomes of events in the journal that this program has no decoder for.
  evented::unknown_events unknown_events = evented::unknown_events::fail;

  /// Takes part in the transaction that stores the events of this entity type:
  /// called once per event as `f(const committing<E>&, transaction&)`, and
  /// returns nothing or a `verdict`. Runs in the journal's threads, several at
  /// once; may run again for the same event after a rollback, so it touches
  /// nothing but the transaction. One that throws or takes longer than
  /// `journal_options::listener_timeout` fails the command.
  template <class F>
  entity_options& listener(F f) {
    listener_ = std::make_shared<detail::typed_listener<E, F>>(std::move(f));
    return *this;
  }

  [[nodiscard]] const std::shared_ptr<const event_listener>&
  listener() const noexcept {
    return listener_;
  }

private:
  std::shared_ptr<const event_listener> listener_;
};

/// Starts the region of the entity type `E` and returns its handle. Commands go
/// to it as `(id, command)`, sent, requested or delegated by any actor; the
/// answer is `(accepted)`, `(accepted, reply)` or an error of the category
/// `evented`. The actor of an ID is spawned by the first command for it.
///
/// The region ends, after its entities have answered, when the last handle is
/// dropped or an exit message arrives.
/// Looks first whether the journal holds events of this type that the program
/// has no decoder for; this blocks for as long as a connection takes.
/// @throws error(invalid_options) where the journal holds IDs of another kind;
///         error(incompatible) with one text that lists all events without a
///         decoder, unless `unknown_events` says to skip them; sql_error
template <class E>
caf::actor spawn_entities(caf::actor_system& sys, const journal& where,
                          const entity_options<E>& options = {}) {
  static_assert(check_entity<E>());
  auto unknown = std::make_shared<unknown_event_policy>(
    options.unknown_events, "the region of " + std::string{E::type_name});
  detail::region_settings settings{
    .type_name = std::string{E::type_name},
    .journal = where,
    .ids = id_kind_of<typename E::id_type>,
    .command_timeout = options.command_timeout,
    .max_queue = options.max_queue,
    .max_conflicts = options.max_conflicts,
    .confirm_in_journal = options.confirm == confirm::journal,
    .listener = options.listener(),
    .make_model =
      [how = where.options().payloads, unknown] {
        return std::make_unique<detail::typed_model<E>>(how, unknown);
      },
    .make_behavior =
      [](detail::region* self) {
        return detail::region_behavior<E>(
          self, static_cast<typename E::commands*>(nullptr));
      },
    .explain = {},
  };
  auto is_command = [](const auto& msg) {
    return msg.size() == 2
           && detail::is_command(msg,
                                 static_cast<typename E::commands*>(nullptr));
  };
  settings.explain = [is_command](const auto& msg) {
    return is_command(msg)
             ? evented::make_error(
               errc::invalid_id,
               std::string{E::type_name} + ": IDs are of kind "
                 + std::string{to_string(id_kind_of<typename E::id_type>)})
             : evented::make_error(errc::unknown_command,
                                   std::string{E::type_name}
                                     + ": no command of this entity type; "
                                       "commands are sent as (id, command)");
  };
  if (options.unknown_events == unknown_events::fail)
    detail::check_at_start(where, readable<E>());
  return detail::spawn_region(sys, std::move(settings));
}

} // namespace evented
