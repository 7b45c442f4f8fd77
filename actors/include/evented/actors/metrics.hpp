#pragma once

#include <evented/error.hpp>
#include <evented/export.hpp>
#include <evented/frontier_watch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace evented {

// -- numbers ------------------------------------------------------------------

/// A number that only grows. Thread-safe; no lock, no order with anything else.
class metric_counter {
public:
  /// Counts `n` more.
  void add(std::uint64_t n = 1) noexcept {
    value_.fetch_add(n, std::memory_order_relaxed);
  }

  /// Returns how many there were.
  [[nodiscard]] std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// A number that goes up and down. Thread-safe like `metric_counter`.
class metric_gauge {
public:
  /// Adds `n`, which may be negative.
  void add(std::int64_t n) noexcept {
    value_.fetch_add(n, std::memory_order_relaxed);
  }

  /// Forgets what was there.
  void set(std::int64_t n) noexcept {
    value_.store(n, std::memory_order_relaxed);
  }

  /// Returns the number as it is now.
  [[nodiscard]] std::int64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::int64_t> value_{0};
};

/// What a `metric_histogram` has seen, in seconds, bytes or pieces.
struct histogram_figures {
  /// Upper ends of all buckets but the last, which has none.
  std::vector<double> bounds;
  /// How many values fell into each bucket alone; one more than `bounds`.
  std::vector<std::uint64_t> counts;
  /// The sum of all values.
  double sum = 0;

  /// Returns how many values there were.
  [[nodiscard]] std::uint64_t count() const noexcept;
};

/// How values spread over fixed buckets. Thread-safe like `metric_counter`.
class EVENTED_EXPORT metric_histogram {
public:
  /// What values are: times in nanoseconds, shown in seconds from half a
  /// millisecond to ten seconds; numbers from 1 to 1024; or bytes from 1 KiB to
  /// 16 MiB.
  enum class kind : std::uint8_t { time, pieces, bytes };

  /// @param of what its values are
  explicit metric_histogram(kind of) noexcept;

  /// Counts a value, in nanoseconds, pieces or bytes.
  void observe(std::uint64_t value) noexcept;

  /// Counts a time; a negative one as 0.
  void observe(std::chrono::steady_clock::duration time) noexcept {
    auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time);
    observe(static_cast<std::uint64_t>(ns.count() > 0 ? ns.count() : 0));
  }

  /// Returns what was seen so far.
  [[nodiscard]] histogram_figures figures() const;

private:
  static constexpr std::size_t most_buckets = 15;

  kind kind_;
  std::span<const std::uint64_t> bounds_;
  std::array<std::atomic<std::uint64_t>, most_buckets> counts_{};
  std::atomic<std::uint64_t> sum_{0};
};

// -- what is counted ----------------------------------------------------------

/// What regions, entities and dispatchers of one entity type count.
class entity_metrics {
public:
  /// Counts the answer to a command, and how long it took; `errc::none` is for
  /// one that was accepted.
  void answered(errc outcome,
                std::chrono::steady_clock::duration time) noexcept;

  /// Returns how many commands were answered so.
  [[nodiscard]] std::uint64_t answers(errc outcome) const noexcept {
    return answers_[static_cast<std::size_t>(outcome) % answers_.size()]
      .value();
  }

  /// From the arrival at the region to the answer.
  metric_histogram time{metric_histogram::kind::time};
  /// Commands and queries that have arrived.
  metric_counter received;
  /// Commands whose handler ran again, as another process was faster or a
  /// command before them failed.
  metric_counter decided_again;
  /// Appends that another process was faster than.
  metric_counter conflicts;
  /// Commands whose ID was known.
  metric_counter repeated;
  /// Entities that were idle, or too many.
  metric_counter put_to_sleep;
  /// Entities that have an actor.
  metric_gauge awake;
  /// Entities that wait for what the journal holds of them.
  metric_gauge loading;
  /// Messages of the outbox.
  metric_counter delivered;
  /// Attempts that have failed; the message is tried again.
  metric_counter undelivered;
  /// Messages that wait for an acknowledgement.
  metric_gauge in_flight;

private:
  std::array<metric_counter, 40> answers_;
};

/// What a projection of this process counts, and what its last look at the
/// database has found, at least every five seconds while it is to run.
struct projection_metrics {
  /// Events that were handled and committed.
  metric_counter events;
  /// From the beginning of a handler's transaction to its end.
  metric_histogram batch_time{metric_histogram::kind::time};
  /// Events or batches whose handler has failed.
  metric_counter failures;
  /// Events that were put away, to be replayed.
  metric_counter parked;
  /// Events that were left out for good.
  metric_counter skipped;
  /// The least checkpoint of all ranges.
  metric_gauge checkpoint;
  /// Events that wait; above 10 000, at least so many.
  metric_gauge lag_events;
  /// The age of the oldest of them.
  metric_gauge lag_ms;
  /// Ranges that run in this process.
  metric_gauge ranges_here;
  /// 1 for yes, 0 for no.
  /// @{
  metric_gauge healthy;
  metric_gauge paused;
  /// @}
  /// Dead letters in the table; 100 stands for as many or more.
  metric_gauge dead_letters;
};

// -- snapshots ----------------------------------------------------------------

/// The figures of one entity type.
struct entity_figures {
  /// By outcome: `accepted`, or the name of an error.
  std::map<std::string, std::uint64_t> commands;
  /// As `entity_metrics` counts it.
  /// @{
  histogram_figures time;
  std::uint64_t in_progress = 0;
  std::uint64_t decided_again = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t repeated = 0;
  std::uint64_t put_to_sleep = 0;
  std::int64_t awake = 0;
  std::int64_t loading = 0;
  std::uint64_t delivered = 0;
  std::uint64_t undelivered = 0;
  std::int64_t in_flight = 0;
  /// @}
};

/// The figures of one projection.
struct projection_figures {
  /// As `projection_metrics` counts it.
  /// @{
  std::uint64_t events = 0;
  histogram_figures batch_time;
  std::uint64_t failures = 0;
  std::uint64_t parked = 0;
  std::uint64_t skipped = 0;
  std::int64_t checkpoint = 0;
  std::int64_t lag_events = 0;
  double lag_seconds = 0;
  std::int64_t ranges_here = 0;
  bool healthy = false;
  bool paused = false;
  std::int64_t dead_letters = 0;
  /// @}
};

/// All figures of a journal in this process, at about one time.
struct metrics_snapshot {
  /// By type name.
  std::map<std::string, entity_figures> entities;
  /// By name, those that have a handle in this process.
  std::map<std::string, projection_figures> projections;

  // -- appends ----------------------------------------------------------------

  /// As `metrics` counts it.
  /// @{
  histogram_figures batch_commands;
  histogram_figures batch_bytes;
  histogram_figures commit_time;
  std::uint64_t events_stored = 0;
  std::int64_t appends_waiting = 0;
  /// @}

  // -- loads ------------------------------------------------------------------

  /// As `metrics` counts it.
  /// @{
  histogram_figures load_entities;
  histogram_figures load_time;
  std::uint64_t events_loaded = 0;
  std::int64_t loads_waiting = 0;
  /// @}

  // -- snapshots of entities --------------------------------------------------

  /// As `metrics` counts it.
  /// @{
  std::uint64_t snapshots_written = 0;
  std::uint64_t snapshots_failed = 0;
  /// @}
  /// Given up since newer ones were waiting.
  std::uint64_t snapshots_dropped = 0;
  /// As `metrics` counts it.
  std::int64_t snapshots_waiting = 0;

  // -- connections ------------------------------------------------------------

  /// As `metrics` counts it.
  std::int64_t connections_open = 0;
  /// Workers whose last attempt to use the database failed.
  std::int64_t connections_failing = 0;
  /// As `metrics` counts it.
  std::uint64_t connections_lost = 0;
  /// What the watch for events of other processes says of itself.
  watch_state watch;
};

/// What a journal counts in this process. Counting is a relaxed atomic addition:
/// it takes no lock and no memory, and figures that belong together may differ
/// by what is under way. Thread-safe.
class EVENTED_EXPORT metrics {
public:
  /// @param watch whose state is part of the snapshots
  explicit metrics(std::shared_ptr<const frontier_watch> watch);

  /// Returns what is counted for an entity type, always the same.
  [[nodiscard]] std::shared_ptr<entity_metrics>
  entities(const std::string& type_name);

  /// Returns what is counted for a projection, the same for as long as anybody
  /// holds it: one that has ended is in no snapshot.
  [[nodiscard]] std::shared_ptr<projection_metrics>
  projection(const std::string& name);

  /// Returns all figures. Takes a lock for as long as copying the maps takes.
  [[nodiscard]] metrics_snapshot snapshot() const;

  /// How many commands share one commit.
  metric_histogram batch_commands{metric_histogram::kind::pieces};
  /// How many bytes of payload share one commit.
  metric_histogram batch_bytes{metric_histogram::kind::bytes};
  /// How long a commit took, as this process has waited for it.
  metric_histogram commit_time{metric_histogram::kind::time};
  /// Events that were committed.
  metric_counter events_stored;
  /// Appends that wait for a connection.
  metric_gauge appends_waiting;
  /// How many entities share one load.
  metric_histogram load_entities{metric_histogram::kind::pieces};
  /// How long a load took, as this process has waited for it.
  metric_histogram load_time{metric_histogram::kind::time};
  /// Events that were read to rebuild entities.
  metric_counter events_loaded;
  /// Entities that wait for a connection.
  metric_gauge loads_waiting;
  /// Snapshots that were written, and could not be.
  /// @{
  metric_counter snapshots_written;
  metric_counter snapshots_failed;
  /// @}
  /// Those that were given up since newer ones were waiting.
  metric_counter snapshots_dropped;
  /// Those that wait for a connection.
  metric_gauge snapshots_waiting;
  /// Connections of this process that are open, and workers whose last attempt
  /// to use the database failed.
  /// @{
  metric_gauge connections_open;
  metric_gauge connections_failing;
  /// @}
  /// Connections that broke.
  metric_counter connections_lost;

private:
  std::shared_ptr<const frontier_watch> watch_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<entity_metrics>> entities_;
  std::map<std::string, std::weak_ptr<projection_metrics>> projections_;
};

} // namespace evented
