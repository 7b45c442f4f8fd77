#pragma once

#include "chaos/nemesis/dice.hpp"
#include "chaos/nemesis/vault_process.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace evented::test::nemesis {

/// Few enough for them to meet, too many to be awake all at once.
inline constexpr std::int64_t entity_count = 12;

/// Clients at work: each is a thread that asks one thing after the other, of
/// any process that takes calls, until it is stopped.
class clients {
public:
  /// Returns a process to ask, null where none takes calls.
  using chooser
    = std::function<std::shared_ptr<vault_process>(std::uint64_t any)>;

  clients(std::size_t count, std::uint64_t seed, chooser choose);

  /// Lets them end, each with its last answer.
  ~clients();

private:
  void work(const std::stop_token& stopped, std::size_t which,
            std::uint64_t seed);
  void pause(const std::stop_token& stopped, std::chrono::milliseconds time);
  call next(dice& from, std::size_t which);
  void ask(const std::stop_token& stopped, dice& from, const call& what);

  chooser choose_;
  std::atomic<std::uint64_t> keys_{0};
  /// The highest versions that were told, for commands that expect one.
  std::array<std::atomic<std::uint64_t>, entity_count> versions_{};
  std::mutex mutex_;
  std::condition_variable_any stopping_;
  std::vector<std::jthread> threads_;
};

} // namespace evented::test::nemesis
