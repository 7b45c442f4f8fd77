#pragma once

#include "sessions.hpp"

#include <evented/actors/jobs.hpp>
#include <evented/actors/projection.hpp>
#include <evented/range_batch.hpp>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace evented::detail {

/// Where a range of the live version must stop: nowhere.
inline constexpr auto no_limit = std::numeric_limits<std::uint64_t>::max();

/// What a runner and the thread of its handler share.
struct handler_gate {
  std::atomic<bool> stop{false};

  /// Called by the thread before it calls the handler. Returns false where the
  /// runner has ended meanwhile: the handler must not be called.
  bool enter() noexcept {
    auto from = stage::outside;
    return stage_.compare_exchange_strong(from, stage::inside);
  }

  void leave() noexcept { stage_ = stage::outside; }

  /// Called by the runner. Returns whether the handler does not run, and never
  /// will again.
  bool close() noexcept {
    auto from = stage::outside;
    return stage_.compare_exchange_strong(from, stage::closed)
           || from == stage::closed;
  }

private:
  enum class stage : std::uint8_t { outside, inside, closed };

  std::atomic<stage> stage_{stage::outside};
};

/// Runs one range of a projection for as long as it gets the lease: reads ahead,
/// hands batches to the thread of the handler, and applies the error strategy.
/// Ends when it is told to, when the lease is not to be had, or when the
/// strategy says so; its death tells the projection that no handler runs.
class range_runner : public caf::event_based_actor {
public:
  range_runner(caf::actor_config& cfg,
               std::shared_ptr<const projection_settings> settings,
               range_key key, std::uint64_t limit, std::uint64_t incarnation,
               caf::weak_actor_ptr parent);

  const char* name() const override { return "evented.range_runner"; }

  caf::behavior make_behavior() override;

  void on_exit() override;

private:
  enum class phase : std::uint8_t { acquiring, running, waiting, ended };

  // -- the lease --------------------------------------------------------------

  void acquire();

  /// Learns the frontier anew, from a look that begins after the lease.
  void follow();

  /// Ends the runner, whose handler does not run.
  void end();

  // -- reading ahead ----------------------------------------------------------

  /// Returns up to where the range may be handled now.
  [[nodiscard]] std::uint64_t target() const;

  /// Returns how many events to handle together: fewer where transactions do
  /// not get through, since they may take too long.
  [[nodiscard]] std::size_t batch_size() const;

  void read_ahead();

  /// Starts whatever can be started.
  void pump();

  // -- handling ---------------------------------------------------------------

  void handle(bool alone);

  void on_handled(std::exception_ptr failure);

  void on_failed();

  void halt();

  void put_away(letter_kind kind);

  void on_committed();

  // -- pauses -----------------------------------------------------------------

  /// What to do after a pause.
  enum class next : std::uint8_t { acquire, handle, handle_alone, put_away };

  /// Says what is wrong and goes on later.
  void wait(next then, std::chrono::milliseconds delay,
            const std::string& what);

  void on_retry(const range_retry& x);

  /// Tells the projection how far the range is and what is wrong.
  void tell(const std::string& error = {});

  /// Logs, at most once in a few seconds.
  void complain(const std::string& what);

  [[nodiscard]] std::string where() const;

  // -- settings ---------------------------------------------------------------

  std::shared_ptr<const projection_settings> settings_;
  range_key key_;
  event_filter filter_;
  std::uint64_t incarnation_;
  caf::weak_actor_ptr parent_;
  uuid owner_ = uuid::v4();
  caf::actor worker_;
  std::shared_ptr<handler_gate> gate_ = std::make_shared<handler_gate>();
  /// Tells others that this runner is alive; made in the worker's thread.
  std::shared_ptr<frontier_watch::registration> alive_
    = std::make_shared<frontier_watch::registration>();
  frontier_watch::registration subscription_;

  // -- state ------------------------------------------------------------------

  phase phase_ = phase::acquiring;
  range_lease lease_;
  std::uint64_t frontier_ = 0;
  std::uint64_t subscriptions_ = 0;
  /// Where the building of a version must stop for now.
  std::uint64_t limit_;
  /// Whether the handler's thread has something to do.
  bool busy_ = false;

  /// Everything up to this was read. Only the newest read counts.
  std::uint64_t read_up_to_ = 0;
  std::uint64_t read_id_ = 0;
  bool reading_ = false;
  std::optional<read_result> ahead_;

  /// What is being handled.
  std::shared_ptr<range_batch> batch_;
  clock::time_point handling_since_ = clock::time_point::min();
  clock::time_point last_commit_ = clock::time_point::min();
  bool flushing_ = false;

  /// How often the event at hand has failed, and the database in a row.
  unsigned attempts_ = 0;
  std::uint64_t failed_seq_no_ = 0;
  unsigned obstacles_ = 0;
  next next_ = next::acquire;
  letter_kind kind_ = letter_kind::parked;
  std::uint64_t generation_ = 0;

  clock::time_point last_complaint_ = clock::time_point::min();
  std::uint64_t swallowed_ = 0;
};

} // namespace evented::detail
