#pragma once

#include "range_runner.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace evented::detail {

/// A projection in one process: keeps a runner for each range that nobody else
/// runs, brings rescales and rebuilds to their end, and answers `control`.
class projection_actor : public caf::event_based_actor {
public:
  projection_actor(caf::actor_config& cfg,
                   std::shared_ptr<const projection_settings> settings);

  const char* name() const override { return "evented.projection"; }

  caf::behavior make_behavior() override;

  void on_exit() override;

private:
  /// Shared, so that it is kept once, and broken where this actor ends before.
  using promise = std::shared_ptr<caf::response_promise>;

  /// A runner of this process.
  struct resident {
    caf::actor actor;
    std::uint64_t incarnation = 0;
    /// Zero until it has a lease.
    std::uint64_t epoch = 0;
    std::uint64_t seq_no = 0;
    std::string error;
    /// What the last look has found to be less in the database.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> doubted;
  };

  /// When a range was last seen to move.
  struct movement {
    std::uint64_t seq_no = 0;
    clock::time_point at;
  };

  /// What has to wait until some runners have ended.
  struct postponed {
    std::vector<std::uint64_t> incarnations;
    std::function<void()> f;
  };

  /// How far the live version was at some time: the next one has to get there.
  struct lap {
    std::uint64_t to = 0;
    clock::time_point begin;
  };

  /// Somebody who waits for an event.
  struct waiter {
    control::wait_until what;
    clock::time_point deadline;
    promise answer;
  };

  // -- looking at the database ------------------------------------------------

  void look();

  void on_status();

  /// Returns whether the database does not know of the lease of a runner any
  /// more.
  static bool is_elsewhere(resident& mine, const range_status& range);

  void start_runner(const range_status& range, std::uint64_t limit);

  void go_on_with_rescale();

  void go_on_with_rebuild();

  [[nodiscard]] std::uint64_t limit_of(const range_status& range) const;

  void schedule();

  /// Does what an operator has asked for in the database, as if somebody had
  /// sent the message.
  void serve_requests();

  void serve(const projection_request& what);

  /// Plans the next attempt at a step of a rescale or rebuild.
  void on_step(const char* what, const std::exception_ptr& failure);

  // -- runners ----------------------------------------------------------------

  void stop_runners();

  /// Runs `f` once those have ended that run now in this process.
  void when_idle(std::function<void()> f);

  void on_progress(const range_progress& x);

  void on_ended(std::uint64_t incarnation);

  // -- answers ----------------------------------------------------------------

  /// Returns what the message at hand is to be answered with.
  promise make_promise();

  /// Does something in another thread and answers `done`, or what went wrong.
  /// @param again whether doing it twice is the same as once: then it is tried
  ///        again where the connection was gone
  void change(promise answer, std::function<void(projection_session&)> work,
              bool again = false);

  /// Runs `work` in a thread and on a connection of its own, with patience: for
  /// what the application does in it.
  void ask_patiently(std::function<void(projection_session&)> work,
                     std::function<void(std::exception_ptr)> then);

  void get_state(promise answer);

  /// Returns whether events wait for a range that has not moved for too long.
  [[nodiscard]] bool stands_still(const range_key& key, clock::time_point now,
                                  const std::vector<range_key>& behind) const;

  void watch_health();

  void start_rebuild(promise answer, std::optional<std::int32_t> revision);

  void replay(const control::replay& what);

  void replay_alone(const std::string& type_name, const entity_id& id,
                    promise answer);

  void answer_waiters();

  void answer_waiter(waiter x);

  /// Returns how far the live view is for a slice, as far as this process knows.
  [[nodiscard]] std::optional<std::uint64_t>
  reached_by(std::uint16_t slice) const;

  std::shared_ptr<const projection_settings> settings_;
  caf::actor sessions_;

  bool running_;
  /// What the database said last.
  projection_status status_;
  bool looking_ = false;
  bool look_again_ = false;
  clock::time_point next_tick_ = clock::time_point::max();
  /// Whether a step of a rescale or rebuild is under way, when the next one may
  /// begin, and what went wrong with the last one.
  bool stepping_ = false;
  clock::time_point next_step_ = clock::time_point::min();
  unsigned failed_steps_ = 0;
  /// Whether an operator's request is being served.
  bool serving_ = false;
  std::string step_error_;
  clock::time_point last_complaint_ = clock::time_point::min();
  std::optional<lap> lap_;

  std::map<range_key, resident> residents_;
  std::uint64_t next_incarnation_ = 1;
  /// Replays under way, numbered like runners.
  std::vector<std::uint64_t> replays_;
  std::vector<postponed> when_idle_;
  /// How many changes want no runner meanwhile.
  unsigned held_ = 0;
  std::vector<waiter> waiters_;
  /// What this actor owes.
  std::vector<promise> promises_;

  std::map<range_key, movement> movements_;
  clock::time_point next_health_ = clock::now() + std::chrono::seconds{5};
  bool was_healthy_ = true;
  bool warned_of_revision_ = false;
};

} // namespace evented::detail
