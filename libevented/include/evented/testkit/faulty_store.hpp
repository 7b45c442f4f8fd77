#pragma once

#include <evented/store.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace evented::testkit {

/// Names what happens to one call of a `faulty_store`.
enum class fault : std::uint8_t {
  /// Nothing special.
  none,
  /// The connection breaks before the call has any effect.
  fail,
  /// The call takes effect, then the connection breaks.
  lose_reply,
  /// The connection breaks, and an append takes effect later or never, as with
  /// a server that has not noticed: see `faulty_store::advance_late`.
  /// Everything else: as `fail`.
  late,
  /// An append is to be repeated after a pause, as with a lock that cannot be
  /// had. Everything else: as `fail`.
  delay,
  /// Another writer appends to every entity of the append first. Everything
  /// else: nothing special.
  conflict,
  /// The statement fails: an append with `errc::refused`, everything else with
  /// an `sql_error`.
  refuse,
};

/// Names a call of a store or of one of its sessions.
enum class store_call : std::uint8_t {
  connect,
  append,
  load,
  save_snapshots,
  forget_commands,
  frontier,
  read,
  /// Any other.
  other,
};

/// Returns the name of `x`, for example `lose_reply`.
std::string_view to_string(fault x) noexcept;

/// Returns the name of `x`, for example `save_snapshots`.
std::string_view to_string(store_call x) noexcept;

/// A journal whose calls fail when a test says so. Whatever it does keeps the
/// promises that a store makes: a fault is one that PostgreSQL has too.
///
///   auto store = std::make_shared<faulty_store>();
///   journal journal{sys, store};
///   store->inject(store_call::append, fault::lose_reply);
///
/// Thread-safe.
class faulty_store : public store {
public:
  /// Asked before each call, one at a time. May inject what is to follow.
  using policy = std::function<fault(store_call)>;

  /// Returns what another writer appends to the entity of a request, see
  /// `fault::conflict`.
  using rival = std::function<std::vector<new_event>(const append_request&)>;

  /// Wraps `inner`.
  explicit faulty_store(std::shared_ptr<store> inner = make_memory_store());

  // -- what goes wrong --------------------------------------------------------

  /// Lets the next `times` calls of this kind go wrong, after those that were
  /// injected before; `fault::none` lets calls pass in between.
  void inject(store_call call, fault what, std::size_t times = 1);

  /// Asks `f` about all calls for which nothing is injected.
  void decide_by(policy f);

  /// Sets what `fault::conflict` appends. Without it, that is the first event
  /// which the request asks for, once more.
  void compete_by(rival f);

  // -- appends that are late --------------------------------------------------

  /// Returns how many appends are neither done nor dropped, see `fault::late`.
  [[nodiscard]] std::size_t late() const;

  /// Repeats the call of the late append at `index` once; it leaves the list
  /// when it is done.
  /// @pre `index < late()`
  void advance_late(std::size_t index = 0);

  /// Drops the late append at `index`: it has no effect any more.
  /// @pre `index < late()`
  void drop_late(std::size_t index = 0);

  // -- what happened ----------------------------------------------------------

  /// Returns how many calls of this kind there were.
  [[nodiscard]] std::size_t count(store_call call) const;

  /// Returns how many of them went wrong.
  [[nodiscard]] std::size_t faults(store_call call) const;

  // -- store ------------------------------------------------------------------

  std::unique_ptr<store_session> connect() override;

  std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds limit = {}) override;

  std::unique_ptr<watch_session> connect_watch() override;

  std::unique_ptr<membership_session> connect_membership() override;

  [[nodiscard]] const journal_options& options() const noexcept override;

  [[nodiscard]] bool blocks() const noexcept override;

private:
  class state;
  class session;

  std::shared_ptr<state> state_;
};

} // namespace evented::testkit
