#pragma once

#include <evented/export.hpp>
#include <evented/uuid.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace evented {

class store;

/// What a `frontier_watch` knows.
struct watch_state {
  /// Whether the last attempt to speak with the database succeeded.
  bool connected = false;
  /// Whether the commits of other processes wake it up, rather than its poll
  /// interval only.
  bool listening = false;
  /// The highest frontier seen on this connection.
  std::uint64_t frontier = 0;
  /// For how long the frontier has been behind the last number drawn without
  /// moving; zero where it is not.
  std::chrono::milliseconds held{0};
  /// How often a connection was made anew.
  std::uint64_t reconnects = 0;
  /// What is wrong, empty where nothing is.
  std::string error;
};

/// Follows the frontier of one journal for a whole process, with one thread and
/// one connection. Thread-safe.
///
/// Problem: a projection must learn within milliseconds that there is something
/// new, from whichever process, without a poll per projection and without
/// slowing the appends down. Solution: after a commit, its process calls
/// `committed`; the watch then announces it to the others with NOTIFY, outside
/// of the append's transaction and at most once in 4 ms, and looks at the
/// frontier, at most once in 1 ms. It looks as well when another process's announcement arrives, and
/// at the latest after `journal_options::poll_interval`. A broken connection is
/// made anew, and the frontier is looked at right after.
///
/// The same connection tells the database that the runners of this process are
/// alive.
class EVENTED_EXPORT frontier_watch {
public:
  /// Called with the highest frontier of the present connection, in the thread
  /// of the watch. Has to return soon, since the signs of life come from the same
  /// thread. May call any member of the watch, end registrations and destroy the
  /// watch.
  using callback = std::function<void(std::uint64_t)>;

  /// Ends a subscription or the signs of life of a runner. After the destructor
  /// the callback is not called any more: it waits for one that runs, so hold
  /// no lock that the callback takes. Inside of a callback of the same watch,
  /// it does not wait. May outlive the watch.
  class registration {
  public:
    registration() noexcept;
    /// Takes over what the other one would end; that does nothing any more.
    /// @{
    registration(registration&&) noexcept;
    registration& operator=(registration&&) noexcept;
    /// @}
    ~registration();

  private:
    friend class frontier_watch;
    class state;

    std::unique_ptr<state> state_;
  };

  /// Does nothing yet: the thread starts with the first call of a member below.
  explicit frontier_watch(std::shared_ptr<store> where);

  /// Announces what was committed last and ends the thread. Waits for that,
  /// unless it is called in that thread.
  ~frontier_watch();

  frontier_watch(const frontier_watch&) = delete;
  frontier_watch& operator=(const frontier_watch&) = delete;

  /// Says that this process has committed events. Never blocks. Where nothing
  /// is announced, it only hastens the next look at the frontier.
  void committed() noexcept;

  /// Calls `f` whenever the frontier has moved, and once with where it is: for
  /// that it looks, so what is told is never older than the call of this.
  [[nodiscard]] registration subscribe(callback f);

  /// Tells the database again and again that the runner `id` is alive, so that
  /// nobody takes over what it owns. Waits for the first time.
  /// @throws connection_lost, sql_error where that first time fails; then the
  ///         runner is forgotten
  [[nodiscard]] registration keep_alive(const uuid& id);

  /// Returns what is known now.
  [[nodiscard]] watch_state state() const;

private:
  class impl;

  std::shared_ptr<impl> impl_;
};

/// The connection of a `frontier_watch`, as a store makes it. Used by one
/// thread at a time.
class EVENTED_EXPORT watch_session {
public:
  virtual ~watch_session() = default;

  /// What `look` returns.
  struct look_result {
    /// Everything at or below this number is visible, or was rolled back for
    /// ever.
    std::uint64_t frontier = 0;
    /// The last number drawn, at least `frontier`.
    std::uint64_t last = 0;
  };

  /// Returns whether announcements of other processes can be heard.
  [[nodiscard]] virtual bool listens() const = 0;

  /// Looks at the frontier.
  /// @throws connection_lost, sql_error, error(incompatible) on a standby
  virtual look_result look() = 0;

  /// Tells other processes that something was committed.
  /// @throws connection_lost, sql_error
  virtual void announce() = 0;

  /// Says that `runners` are alive for half of `journal_options::take_over`.
  /// @throws connection_lost, sql_error
  virtual void heartbeat(const std::vector<uuid>& runners) = 0;

  /// Waits until another process announces something, `wake_fd` becomes
  /// readable, or `limit` has passed. Returns whether something was announced.
  /// @throws connection_lost
  virtual bool wait(int wake_fd, std::chrono::milliseconds limit) = 0;
};

} // namespace evented
