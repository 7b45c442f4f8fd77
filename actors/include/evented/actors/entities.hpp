#pragma once

#include <evented/actors/boxes.hpp>
#include <evented/actors/journal.hpp>
#include <evented/actors/later.hpp>
#include <evented/actors/model.hpp>
#include <evented/actors/outbox.hpp>
#include <evented/actors/region.hpp>
#include <evented/listener.hpp>

#include <any>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <type_traits>
#include <variant>

namespace evented {

// -- listener -----------------------------------------------------------------

/// What a listener sees of an event that is about to be committed.
template <class E>
struct committing {
  /// The entity.
  const typename E::id_type& id;
  /// The version that the entity gets with the event.
  std::uint64_t version;
  /// The event's sequence number; others may be committed before smaller ones.
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
  /// Lets the event pass.
  verdict(pass) {} // NOLINT: implicit by design

  /// Vetoes the command.
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

/// Takes what may be said about a command besides the command itself.
inline delivery_content with(std::unique_ptr<command_box> box) {
  delivery_content result;
  result.command = std::move(box);
  return result;
}

inline delivery_content with(std::unique_ptr<command_box> box, command_id& id) {
  auto result = with(std::move(box));
  result.command_id = std::move(id.value);
  // An empty text is no ID, but it was meant to be one.
  result.has_id = true;
  return result;
}

inline delivery_content with(std::unique_ptr<command_box> box, expect x) {
  auto result = with(std::move(box));
  result.expected_version = static_cast<std::int64_t>(x.version);
  return result;
}

inline delivery_content with(std::unique_ptr<command_box> box, envelope& x) {
  auto result = with(std::move(box));
  result.has_id = !x.id.empty();
  result.command_id = std::move(x.id);
  result.expected_version = x.expected_version;
  result.trace = {std::move(x.correlation_id), std::move(x.causation_id),
                  std::move(x.traceparent)};
  return result;
}

template <class E, class... Cs, class... Qs>
caf::behavior region_behavior(region* self, commands<Cs...>*, queries<Qs...>*) {
  using id = typename E::id_type;
  return {
    [self](const id& to, Cs& cmd) {
      self->deliver(
        to, with(std::make_unique<typed_command<E, Cs>>(std::move(cmd))));
    }...,
    [self](const id& to, Qs& query) {
      self->deliver(
        to, with(std::make_unique<typed_query<E, Qs>>(std::move(query))));
    }...,
    [self](const stopping& x) { self->on_stopping(x.incarnation); },
    [self](const stopped& x) { self->on_stopped(x.incarnation); },
    [self](const sized& x) { self->on_sized(x.incarnation, x.bytes); },
    [self](load_done& x) {
      for (auto& job : x.jobs)
        self->on_loaded(*job);
    },
    [self](overdue x) { self->on_overdue(x.incarnation); },
    [self](tick) { self->on_tick(); },
    [self](outbox_filled) { self->on_outbox_filled(); },
    [self](const vacate& x) { self->on_vacate(x); },
    [self](control::get_state) { return self->state(); },
    [self](const id& to, Cs& cmd, command_id& x) {
      self->deliver(
        to, with(std::make_unique<typed_command<E, Cs>>(std::move(cmd)), x));
    }...,
    [self](const id& to, Cs& cmd, const expect& x) {
      self->deliver(
        to, with(std::make_unique<typed_command<E, Cs>>(std::move(cmd)), x));
    }...,
    [self](const id& to, Cs& cmd, envelope& x) {
      self->deliver(
        to, with(std::make_unique<typed_command<E, Cs>>(std::move(cmd)), x));
    }...};
}

template <class... Ts, template <class...> class List>
bool is_one_of(const auto& msg, List<Ts...>*) {
  return (seam::has_type<Ts>(msg, 1) || ...);
}

} // namespace detail

// -- entities -----------------------------------------------------------------

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
  /// How many commands and queries of this type may be in progress in this
  /// process, of all entities together; more get `errc::overloaded`. Bounds what
  /// waits while the database is slower than the senders. Zero: no limit.
  std::size_t max_in_progress = 100'000;
  /// How often a command is decided anew after a conflict.
  unsigned max_conflicts = 10;
  /// What an answer that stores nothing rests on.
  evented::confirm confirm = evented::confirm::journal;
  /// What becomes of events in the journal that this program has no decoder for.
  evented::unknown_events unknown_events = evented::unknown_events::fail;

  /// An entity that has had nothing to do for this long is put to sleep: its
  /// actor ends, and the next command spawns it anew. Zero: never.
  std::chrono::milliseconds idle_timeout{120'000};
  /// How many entities of this type are awake, about: beyond that, those that
  /// were used least recently are put to sleep. Zero: no limit.
  std::size_t max_awake = 0;
  /// About how many bytes the states of those awake take: beyond that, the same
  /// happens. Counts what a member function `memory_bytes() const` of the state
  /// returns, else its `sizeof`, and a fixed amount per entity. Zero: no limit.
  std::size_t max_bytes = 0;

  /// How long the answers to commands with an ID are remembered.
  std::chrono::hours remember_commands{7 * 24};

  /// When to write snapshots of the state, from which an entity is rebuilt
  /// without its earlier events. They are written beside the commands, in
  /// another thread, and never needed: one that cannot be read, or has another
  /// `state_version`, falls back to the events.
  struct snapshot_policy {
    /// After so many events since the last one. Zero: not for their number.
    std::uint64_t every = 0;
    /// Called after each command that has stored events.
    std::function<bool(const E& state, std::uint64_t version)> when = {};
    /// Before the entity is put to sleep.
    bool when_put_to_sleep = false;
    /// How many of an entity's snapshots are kept, at least 1.
    unsigned keep = 2;
  };

  /// Switches snapshots on. The state needs a member function template
  /// `serialize`, as events do.
  entity_options& snapshots(snapshot_policy policy) {
    static_assert(has_snapshots<E>,
                  "evented: snapshots need a member function template "
                  "serialize(Archive&) in the entity, as events have it");
    snapshots_ = std::move(policy);
    return *this;
  }

  /// Returns the policy, nothing where there are no snapshots.
  [[nodiscard]] const std::optional<snapshot_policy>&
  snapshots() const noexcept {
    return snapshots_;
  }

  /// How what the entities send is delivered.
  delivery_policy delivery;

  /// Names an actor that the entities of this type may ask, see `ask`, and send
  /// to: it receives `(message, delivery_id)` as a request, and any answer but an error
  /// acknowledges it. A message that is not acknowledged comes again. For as
  /// long as the region lives, it holds `whom`.
  entity_options& target(std::string name, caf::actor whom) {
    targets_[std::move(name)] = std::move(whom);
    return *this;
  }

  /// The same for the entities of the type `Other`, see `acceptance::send_to`.
  /// Those that `spawn_entities` has started on the same journal in this process
  /// are known already, whichever comes first, and held by nobody.
  template <class Other>
  entity_options& target(caf::actor region) {
    return target(std::string{Other::type_name}, std::move(region));
  }

  /// Returns the actors by their names.
  [[nodiscard]] const std::map<std::string, caf::actor>&
  targets() const noexcept {
    return targets_;
  }

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

  /// Returns the listener, null where there is none.
  [[nodiscard]] const std::shared_ptr<const event_listener>&
  listener() const noexcept {
    return listener_;
  }

private:
  std::shared_ptr<const event_listener> listener_;
  std::optional<snapshot_policy> snapshots_;
  std::map<std::string, caf::actor> targets_;
};

/// Starts the region of the entity type `E` and returns its handle. Commands go
/// to it as `(id, command)`, sent, requested or delegated by any actor; the
/// answer is `(accepted)`, `(accepted, reply)` or an error of the category
/// `evented`. A `command_id`, `expect` or `envelope` may follow the command.
/// Queries go to it as `(id, query)`; the answer is what `answer` returns. The
/// actor of an ID is spawned by the first command for it. `control::get_state`
/// is answered with `region_state`.
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
    .max_in_progress = options.max_in_progress,
    .max_conflicts = options.max_conflicts,
    .confirm_in_journal = options.confirm == confirm::journal,
    .idle_timeout = options.idle_timeout,
    .max_awake = options.max_awake,
    .max_bytes = options.max_bytes,
    .remember_commands = options.remember_commands,
    .snapshots = {},
    .listener = options.listener(),
    .targets = options.targets(),
    .outbox = {},
    .make_model =
      [how = where.options().payloads, unknown] {
        return std::make_unique<detail::typed_model<E>>(how, unknown);
      },
    .make_behavior =
      [](detail::region* self) {
        return detail::region_behavior<E>(
          self, static_cast<typename E::commands*>(nullptr),
          static_cast<queries_of<E>*>(nullptr));
      },
    .explain = {},
  };
  if (auto& from = options.snapshots()) {
    auto& to = settings.snapshots.emplace();
    to.every = from->every;
    to.when_put_to_sleep = from->when_put_to_sleep;
    to.keep = from->keep;
    to.schema_version = state_version<E>();
    if (from->when)
      to.when = [f = from->when](const detail::entity_model& model,
                                 std::uint64_t version) {
        return f(static_cast<const detail::typed_model<E>&>(model).state(),
                 version);
      };
  }
  if constexpr (!messages_of<E>::empty)
    settings.outbox
      = std::make_shared<const detail::outbox_settings>(detail::outbox_settings{
        std::string{E::type_name}, options.delivery, options.targets(),
        where.regions(), [](caf::actor_system& in, const claimed_message& x) {
          return detail::unpack(in, x, static_cast<messages_of<E>*>(nullptr));
        }});
  settings.explain = [](const auto& msg) {
    auto known
      = (msg.size() == 2 || msg.size() == 3)
        && (detail::is_one_of(msg, static_cast<typename E::commands*>(nullptr))
            || (msg.size() == 2
                && detail::is_one_of(msg,
                                     static_cast<queries_of<E>*>(nullptr))));
    auto named = msg.size() == 3 && !seam::has_type<command_id>(msg, 2)
                 && !seam::has_type<expect>(msg, 2)
                 && !seam::has_type<envelope>(msg, 2);
    return known && !named
             ? evented::make_error(
               errc::invalid_id,
               std::string{E::type_name} + ": IDs are of kind "
                 + std::string{to_string(id_kind_of<typename E::id_type>)})
             : evented::make_error(
               errc::unknown_command,
               std::string{E::type_name}
                 + ": no command or query of this entity type; commands are "
                   "sent as (id, command), with a command_id, expect or "
                   "envelope behind it if need be, queries as (id, query)");
  };
  if (options.unknown_events == unknown_events::fail)
    detail::check_at_start(where, readable<E>());
  return detail::spawn_region(sys, std::move(settings));
}

} // namespace evented
