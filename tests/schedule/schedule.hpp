#pragma once

// Processes with entities over one journal, whose actors take their steps one
// after the other, in an order that depends on a seed only.

#include "schedule/dice.hpp"
#include "schedule/history.hpp"
#include "schedule/mortal_store.hpp"

#include <evented/testkit/faulty_store.hpp>

#include <caf/actor_system.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace evented::test {

/// Wraps the journal of a schedule, for instance into one that lies.
using wrap_store
  = std::function<std::shared_ptr<store>(std::shared_ptr<store>)>;

/// What happened in schedules, to see that everything does.
struct schedule_counts {
  std::uint64_t steps = 0;
  std::uint64_t commands = 0;
  std::uint64_t faults = 0;
  std::uint64_t crashes = 0;
  std::uint64_t stops = 0;
  /// Calls between the steps of another session's commit.
  std::uint64_t interleaved = 0;
};

/// Runs schedules. Expensive to make, so one serves for many.
class schedule_runner {
public:
  explicit schedule_runner(wrap_store wrap = {});

  ~schedule_runner();

  /// Runs the schedule of this seed. Returns what is wrong, an empty text where
  /// nothing is.
  std::string run(std::uint64_t seed, bool traced = false);

  /// Returns the steps of the last schedule that was traced.
  [[nodiscard]] std::string trace() const { return trace_.str(); }

  [[nodiscard]] schedule_counts counts() const noexcept {
    auto result = counts_;
    result.interleaved = commits_->interleaved;
    return result;
  }

private:
  struct process {
    std::size_t number = 0;
    std::shared_ptr<life> lives;
    std::shared_ptr<testkit::faulty_store> faults;
    std::optional<evented::journal> journal;
    caf::actor region;
    /// Whether all calls go through, for instance while it starts.
    bool undisturbed = false;
  };

  using process_ptr = std::shared_ptr<process>;

  // -- the steps --------------------------------------------------------------

  void set_up(std::uint64_t seed);
  void play();
  void step();
  void come_to_rest();
  void tear_down();
  bool run_job();
  bool pass_time();
  void lull();
  void send_something();
  void send(std::size_t wish, process& to);
  wish something();
  void read(std::size_t limit);
  void move_late();
  void save_snapshot();
  void disturb();
  void bury();
  process_ptr start();
  template <std::int32_t Shape>
  caf::actor spawn(process& x);
  void end(process_ptr& x, const char* how);
  testkit::fault decide(process& x, testkit::store_call call);
  [[nodiscard]] bool crashes(process& x, const char* where);

  template <class... Ts>
  void note(const Ts&... xs) {
    if (traced_)
      ((trace_ << xs), ...) << '\n';
  }

  // -- for all schedules ------------------------------------------------------

  wrap_store wrap_;
  std::unique_ptr<caf::actor_system_config> cfg_;
  std::unique_ptr<caf::actor_system> sys_;
  caf::scheduler::test_coordinator* jobs_ = nullptr;
  std::size_t actors_ = 0;
  caf::actor asker_;
  schedule_counts counts_;
  std::shared_ptr<open_commits> commits_ = std::make_shared<open_commits>();

  // -- for one ----------------------------------------------------------------

  /// What differs between schedules.
  struct character {
    bool hasty = false;
    unsigned fault_permille = 0;
    unsigned crash_permille = 0;
    std::uint64_t commands = 0;
    std::int64_t entities = 1;
    std::chrono::milliseconds command_timeout{5000};
    std::size_t max_queue = 4096;
    std::size_t max_in_progress = 100'000;
  };

  dice random_;
  character is_;
  std::shared_ptr<store> memory_;
  std::unique_ptr<history> history_;
  std::unique_ptr<store_session> reader_;
  std::unique_ptr<store_session> snapshots_;
  std::uint64_t frontier_ = 0;
  std::uint64_t read_up_to_ = 0;
  std::vector<process_ptr> processes_;
  std::vector<process_ptr> ended_;
  std::vector<std::shared_ptr<testkit::faulty_store>> all_faults_;
  std::vector<std::size_t> with_id_;
  std::size_t next_process_ = 0;
  std::uint64_t next_key_ = 1;
  std::uint64_t sent_ = 0;
  std::uint64_t faults_left_ = 0;
  std::uint64_t crashes_left_ = 0;
  bool traced_ = false;
  std::ostringstream trace_;
};

} // namespace evented::test
