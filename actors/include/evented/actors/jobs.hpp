#pragma once

// What entities and the journal's actors hand to each other. Not for users.

#include <evented/store.hpp>

#include <caf/actor_control_block.hpp>
#include <caf/error.hpp>
#include <caf/message.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace evented::detail {

using clock = std::chrono::steady_clock;

/// Where an append stands. Worker and appender race for a job that is `waiting`
/// when its time is up: either it is sent, and its outcome is unknown until the
/// answer comes, or it is withdrawn and will never be sent.
enum class append_stage : std::uint8_t {
  /// Nothing that may take effect has been sent.
  waiting,
  /// Set by the worker before it sends the first byte.
  sent,
  /// Set by the appender, which then answers: the worker leaves it out.
  withdrawn,
};

/// One entity's append. Belongs to the entity, then to the appender until it
/// comes back; in between, `request` is the worker's from `sent` on until the
/// batch comes back.
struct append_job {
  append_request request;
  std::size_t bytes = 0;
  /// When the first and the last of its commands want an answer.
  clock::time_point first_deadline = clock::time_point::max();
  clock::time_point last_deadline = clock::time_point::min();
  caf::strong_actor_ptr entity;
  std::atomic<append_stage> stage{append_stage::waiting};

  /// Moves from `waiting` to another stage. Returns whether it is there now.
  bool advance(append_stage to) noexcept {
    auto from = append_stage::waiting;
    return stage.compare_exchange_strong(from, to) || from == to;
  }
};

/// What an appender hands to its worker: a group commit.
struct append_batch {
  std::vector<std::shared_ptr<append_job>> jobs;
  /// Whether to wait before the next attempt.
  bool pause = false;
  /// Whether the session is of no more use.
  bool lost = false;
};

/// A snapshot on its way into the journal.
struct snapshot_job {
  /// Without its state.
  new_snapshot value;
  /// Makes the state, from a copy, in the thread of the worker.
  std::function<std::string()> encode;
  /// How many of the entity's snapshots stay.
  unsigned keep = 1;
  /// Set once it is written, or given up: snapshots are never waited for.
  std::atomic<bool> done{false};
};

} // namespace evented::detail
