#pragma once

#include "chaos/nemesis/recorder.hpp"
#include "chaos/worker.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace evented::test::nemesis {

inline constexpr std::chrono::milliseconds command_timeout{2000};
inline constexpr std::chrono::milliseconds take_over{1500};

/// How a call and its answer look on the pipes.
std::string to_words(const call& x);
call to_call(const std::vector<std::string>& words);
std::string to_words(std::uint64_t call, const reply& x);

/// A process of the application as its clients see it. They may be many threads.
class vault_process {
public:
  /// Starts it.
  /// @param name names this life of it
  /// @param args its URL, schema and time limits, see vault_worker.cpp
  vault_process(std::string name, std::vector<std::string> args,
                std::vector<std::string> environment, recorder& book);

  vault_process(const vault_process&) = delete;
  vault_process& operator=(const vault_process&) = delete;

  /// Kills it if it still runs.
  ~vault_process();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  [[nodiscard]] bool running() const { return !gone_; }

  /// Returns whether it takes calls.
  [[nodiscard]] bool ready() const { return ready_ && !gone_; }

  /// Returns how many commands it has accepted.
  [[nodiscard]] std::size_t accepted() const { return accepted_; }

  /// Writes a call down, sends it, and waits for its answer, which is `lost`
  /// where the process goes first, and empty where none comes in two minutes.
  reply ask(call x);

  /// Kills it with what it is doing. Returns how it has ended: "signal 9", or
  /// "gone before" where it was killed or told to end before, else it has
  /// crashed.
  std::string kill();

  /// Lets it stand still, as where its machine has no time for it, and go on.
  void pause();
  void resume();

  /// Lets it end in good order. Returns how it has ended, "exit 0" where all is
  /// well.
  std::string end();

private:
  void listen();
  void take(const std::string& line);

  std::string name_;
  recorder& book_;
  worker process_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> gone_{false};
  std::atomic<std::size_t> accepted_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  /// What is asked and not taken yet, with its answer once there is one.
  std::map<std::uint64_t, std::optional<reply>> open_;
  std::thread listener_;
};

} // namespace evented::test::nemesis
