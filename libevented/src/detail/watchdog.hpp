#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace evented::detail {

/// Cuts connections on which a call takes too long.
///
/// Problem: libpqxx blocks until the server answers, and a server process that
/// is stopped, or a host that is gone, never does. Solution: one thread shuts
/// the socket down once the call's deadline passes, and the call returns with a
/// broken connection, whose consequences are handled anyway. Thread-safe.
class watchdog {
public:
  using clock = std::chrono::steady_clock;

  watchdog();
  ~watchdog();

  /// Watches one connection as long as it lives. Used by one thread at a time.
  class leash {
  public:
    leash() = default;

    /// @param fd the connection's socket; duplicated, so that the number stays
    ///           valid when libpq closes its own
    leash(watchdog& dog, int fd);

    leash(leash&&) noexcept;
    leash& operator=(leash&&) noexcept;
    ~leash();

    /// Shuts the socket down unless `disarm` is called within `limit`.
    void arm(std::chrono::milliseconds limit);

    void disarm();

  private:
    friend class watchdog;

    struct entry {
      int fd = -1;
      clock::time_point deadline = clock::time_point::max();
    };

    watchdog* dog_ = nullptr;
    std::unique_ptr<entry> entry_;
  };

private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<leash::entry*> entries_;
  /// When the thread will look next.
  clock::time_point next_look_ = clock::time_point::max();
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace evented::detail
