#pragma once

#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/evolution.hpp>
#include <evented/export.hpp>
#include <evented/projection_store.hpp>
#include <evented/trace.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace evented {

// -- what a handler sees ------------------------------------------------------

/// An event of the entity type `E` as a projection sees it. A stored event in an
/// old shape is upcast first: one that becomes several events is seen as several
/// of these, with the same seq_no and version, in the same transaction; one that
/// is dropped is not seen.
template <class E>
struct recorded {
  /// The entity's ID.
  typename E::id_type id;
  /// The place in the history of its entity.
  std::uint64_t version = 0;
  /// The place in the whole journal.
  std::uint64_t seq_no = 0;
  /// As it is stored, so perhaps that of an old shape.
  std::string name;
  /// See `name`.
  std::int32_t schema_version = 1;
  /// When its transaction began, by the database's clock.
  timestamp created_at;
  /// As JSON, empty where there is none.
  std::string metadata;
  /// What the event was tagged with.
  std::vector<std::string> tags;
  /// Any one of the entity's events; use `std::visit` or `as`.
  typename E::events::variant event;
  /// Whether it was handled before: by the version of the view that this one
  /// will replace, or before a reset.
  bool replayed = false;
  /// The version of the view to write, see `control::rebuild`; else 1.
  std::int32_t view_version = 1;
  /// The place among the events that one stored event has become, from 0 on.
  std::uint32_t part = 0;

  /// Returns the event as a `T`, or null where it is another one.
  template <class T>
  const T* as() const noexcept {
    return std::get_if<T>(&event);
  }

  /// Returns the metadata as the entity's own type, nothing where the command
  /// had none.
  /// @throws std::exception where they have another shape
  [[nodiscard]] std::optional<metadata_of<E>> typed_metadata() const {
    if (only_trace(metadata))
      return std::nullopt;
    return from_json<metadata_of<E>>(metadata);
  }

  /// Returns where the command came from.
  [[nodiscard]] evented::trace trace() const { return trace_of(metadata); }
};

namespace detail {

template <class... Es>
struct batch_of {
  using type = std::vector<std::variant<recorded<Es>...>>;
};

template <class E>
struct batch_of<E> {
  using type = std::vector<recorded<E>>;
};

} // namespace detail

/// Events as a batch handler sees them, in the order of seq_no: `recorded<E>`,
/// or a variant of them where there are several entity types.
template <class... Es>
using batch = typename detail::batch_of<Es...>::type;

/// Collects what a handler wants to happen outside of the database.
class EVENTED_EXPORT effects {
public:
  /// Runs `f` after the commit of `e`'s transaction, in the thread of the
  /// handler; not where `e` is replayed, and not where the process dies in
  /// between: at most once. Where at least once is needed, use a subscription.
  template <class E, class F>
  void then(const recorded<E>& e, F f) {
    if (!e.replayed)
      list_.emplace_back(std::move(f));
  }

  // -- for the library --------------------------------------------------------

  /// Forgets everything: the transaction was rolled back.
  void clear() noexcept { list_.clear(); }

  /// Runs and forgets everything; what an effect throws is logged.
  void run();

private:
  std::vector<std::function<void()>> list_;
};

// -- handlers -----------------------------------------------------------------

/// What all events of a transaction have in common.
struct handling {
  /// See `recorded::view_version`.
  std::int32_t view_version = 1;
  /// Events at or below this are replayed.
  std::uint64_t mark = 0;
};

/// The type-erased handler of a projection. Called by one thread at a time for
/// each range of slices.
class EVENTED_EXPORT projection_handler {
public:
  virtual ~projection_handler() = default;

  /// Returns whether `handle` takes more than one event at a time.
  [[nodiscard]] virtual bool takes_batches() const noexcept = 0;

  /// Writes the view.
  /// @throws error(corrupt_event) for an event that cannot be decoded; anything
  ///         that the application throws
  virtual void handle(std::span<const journal_entry* const> entries,
                      const handling& common, transaction& tx,
                      effects& fx) const = 0;
};

namespace detail {

/// Calls `add` with every `recorded<E>` that the stored event `x` becomes.
/// @throws error(corrupt_event)
template <class E, class F>
void record(codec how, const journal_entry& x, const handling& common,
            unknown_event_policy& unknown, F add) {
  auto& from = x.event;
  std::uint32_t part = 0;
  auto sink = [&]<class T>(T&& event) {
    add(recorded<E>{std::get<typename E::id_type>(x.id), from.version,
                    from.seq_no, from.name, from.schema_version,
                    from.created_at, from.metadata, from.tags,
                    std::forward<T>(event), from.seq_no <= common.mark,
                    common.view_version, part++});
  };
  auto known = false;
  try {
    known = read_event<E>(how, from, sink);
  } catch (const std::exception& e) {
    throw error(errc::corrupt_event, std::string{E::type_name} + ": the event "
                                       + from.name + " "
                                       + std::to_string(from.seq_no)
                                       + " cannot be decoded: " + e.what());
  }
  if (!known)
    unknown.meet(E::type_name, from);
}

template <class F, class E>
concept event_handler = std::is_invocable_v < const F&,
        const recorded<E>
&, transaction& >
     || std::is_invocable_v<const F&, const recorded<E>&, transaction&,
                            effects&>;

template <class F, class... Es>
concept batch_handler = std::is_invocable_v < const F&,
        const batch<Es...>
&, transaction& >
     || std::is_invocable_v<const F&, const batch<Es...>&, transaction&,
                            effects&>;

/// The handler of a projection over the entity types `Es`.
template <class F, class... Es>
class typed_handler : public projection_handler {
public:
  static constexpr bool by_event = (event_handler<F, Es> && ...);
  static constexpr bool by_batch = batch_handler<F, Es...>;

  static_assert(by_event || by_batch,
                "evented: a projection's handler is called as f(const "
                "recorded<E>&, transaction&[, effects&]) for every entity type "
                "E of the projection, or as f(const batch<Es..>&, "
                "transaction&[, effects&])");
  static_assert(!(by_event && by_batch),
                "evented: a projection's handler takes single events or "
                "batches, not both; give its parameter a type");

  typed_handler(codec how, F f, unknown_events unknown = unknown_events::fail,
                std::string name = {})
    : codec_(how),
      f_(std::move(f)),
      unknown_(
        std::make_unique<unknown_event_policy>(unknown, std::move(name))) {
    // nop
  }

  [[nodiscard]] bool takes_batches() const noexcept override {
    return by_batch;
  }

  void handle(std::span<const journal_entry* const> entries,
              const handling& common, transaction& tx,
              effects& fx) const override {
    if constexpr (by_event) {
      for (auto* x : entries)
        if (!(handle_as<Es>(*x, common, tx, fx) || ...))
          refuse(*x);
    } else {
      batch<Es...> all;
      all.reserve(entries.size());
      for (auto* x : entries)
        if (!(add_as<Es>(*x, common, all) || ...))
          refuse(*x);
      if (!all.empty())
        call(all, tx, fx);
    }
  }

private:
  template <class E>
  bool handle_as(const journal_entry& x, const handling& common,
                 transaction& tx, effects& fx) const {
    if (x.type_name != E::type_name)
      return false;
    // All are decoded before the first is handled: what throws here is the
    // event's fault, what throws below is the handler's.
    std::vector<recorded<E>> list;
    record<E>(codec_, x, common, *unknown_,
              [&](recorded<E>&& one) { list.push_back(std::move(one)); });
    for (auto& one : list)
      call(one, tx, fx);
    return true;
  }

  template <class E>
  bool add_as(const journal_entry& x, const handling& common,
              batch<Es...>& to) const {
    if (x.type_name != E::type_name)
      return false;
    record<E>(codec_, x, common, *unknown_,
              [&](recorded<E>&& one) { to.emplace_back(std::move(one)); });
    return true;
  }

  template <class T>
  void call(const T& x, transaction& tx, effects& fx) const {
    if constexpr (std::is_invocable_v<const F&, const T&, transaction&,
                                      effects&>)
      f_(x, tx, fx);
    else
      f_(x, tx);
  }

  [[noreturn]] static void refuse(const journal_entry& x) {
    throw error(errc::corrupt_event,
                "an event of the entity type " + x.type_name
                  + ", which this projection does not know");
  }

  codec codec_;
  F f_;
  std::unique_ptr<unknown_event_policy> unknown_;
};

} // namespace detail

} // namespace evented
