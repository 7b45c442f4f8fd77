#include <evented/actors/metrics.hpp>

#include <algorithm>
#include <numeric>

namespace evented {

namespace {

constexpr std::uint64_t us = 1000;
constexpr std::uint64_t ms = 1000 * us;
constexpr std::uint64_t s = 1000 * ms;

constexpr std::uint64_t times[]
  = {500 * us, 1 * ms,   2500 * us, 5 * ms,    10 * ms,   25 * ms, 50 * ms,
     100 * ms, 250 * ms, 500 * ms,  1000 * ms, 2500 * ms, 5 * s,   10 * s};

constexpr std::uint64_t numbers[]
  = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

constexpr std::uint64_t sizes[]
  = {1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24};

std::span<const std::uint64_t> bounds_of(metric_histogram::kind kind) {
  switch (kind) {
  case metric_histogram::kind::time:
    return times;
  case metric_histogram::kind::pieces:
    return numbers;
  default:
    return sizes;
  }
}

} // namespace

// -- metric_histogram ---------------------------------------------------------

std::uint64_t histogram_figures::count() const noexcept {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

metric_histogram::metric_histogram(kind of) noexcept
  : kind_(of), bounds_(bounds_of(of)) {
  static_assert(std::size(times) < most_buckets);
}

void metric_histogram::observe(std::uint64_t value) noexcept {
  auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<std::size_t>(bucket - bounds_.begin())].fetch_add(
    1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

histogram_figures metric_histogram::figures() const {
  auto unit = kind_ == kind::time ? 1e-9 : 1.0;
  histogram_figures result;
  for (auto x : bounds_)
    result.bounds.push_back(static_cast<double>(x) * unit);
  for (std::size_t i = 0; i <= bounds_.size(); ++i)
    result.counts.push_back(counts_[i].load(std::memory_order_relaxed));
  result.sum = static_cast<double>(sum_.load(std::memory_order_relaxed)) * unit;
  return result;
}

// -- entity_metrics -----------------------------------------------------------

void entity_metrics::answered(
  errc outcome, std::chrono::steady_clock::duration took) noexcept {
  answers_[static_cast<std::size_t>(outcome) % answers_.size()].add();
  time.observe(took);
}

// -- metrics ------------------------------------------------------------------

metrics::metrics(std::shared_ptr<const frontier_watch> watch)
  : watch_(std::move(watch)) {
  // nop
}

std::shared_ptr<entity_metrics>
metrics::entities(const std::string& type_name) {
  std::lock_guard guard{mutex_};
  auto& result = entities_[type_name];
  if (result == nullptr)
    result = std::make_shared<entity_metrics>();
  return result;
}

std::shared_ptr<projection_metrics>
metrics::projection(const std::string& name) {
  std::lock_guard guard{mutex_};
  auto& known = projections_[name];
  auto result = known.lock();
  if (result == nullptr)
    known = result = std::make_shared<projection_metrics>();
  return result;
}

namespace {

entity_figures figures_of(const entity_metrics& from) {
  entity_figures to;
  // Answers first: of what arrives meanwhile, none is answered before it is
  // received.
  std::uint64_t answers = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    auto code = static_cast<errc>(i);
    auto count = from.answers(code);
    answers += count;
    // Also what did not occur yet: a rate cannot tell how the first one came.
    auto name = i == 0 ? "accepted" : to_string(code);
    if (name != "unknown")
      to.commands[std::string{name}] = count;
  }
  auto received = from.received.value();
  to.in_progress = received > answers ? received - answers : 0;
  to.time = from.time.figures();
  to.decided_again = from.decided_again.value();
  to.conflicts = from.conflicts.value();
  to.repeated = from.repeated.value();
  to.put_to_sleep = from.put_to_sleep.value();
  to.awake = from.awake.value();
  to.loading = from.loading.value();
  to.delivered = from.delivered.value();
  to.undelivered = from.undelivered.value();
  to.in_flight = from.in_flight.value();
  return to;
}

projection_figures figures_of(const projection_metrics& from) {
  projection_figures to;
  to.events = from.events.value();
  to.batch_time = from.batch_time.figures();
  to.failures = from.failures.value();
  to.parked = from.parked.value();
  to.skipped = from.skipped.value();
  to.checkpoint = from.checkpoint.value();
  to.lag_events = from.lag_events.value();
  to.lag_seconds = static_cast<double>(from.lag_ms.value()) / 1000;
  to.ranges_here = from.ranges_here.value();
  to.healthy = from.healthy.value() != 0;
  to.paused = from.paused.value() != 0;
  to.dead_letters = from.dead_letters.value();
  return to;
}

} // namespace

metrics_snapshot metrics::snapshot() const {
  metrics_snapshot result;
  {
    std::lock_guard guard{mutex_};
    for (auto& [name, from] : entities_)
      result.entities[name] = figures_of(*from);
    for (auto& [name, weak] : projections_)
      if (auto from = weak.lock())
        result.projections[name] = figures_of(*from);
  }
  result.batch_commands = batch_commands.figures();
  result.batch_bytes = batch_bytes.figures();
  result.commit_time = commit_time.figures();
  result.events_stored = events_stored.value();
  result.appends_waiting = appends_waiting.value();
  result.load_entities = load_entities.figures();
  result.load_time = load_time.figures();
  result.events_loaded = events_loaded.value();
  result.loads_waiting = loads_waiting.value();
  result.snapshots_written = snapshots_written.value();
  result.snapshots_failed = snapshots_failed.value();
  result.snapshots_dropped = snapshots_dropped.value();
  result.snapshots_waiting = snapshots_waiting.value();
  result.connections_open = connections_open.value();
  result.connections_failing = connections_failing.value();
  result.connections_lost = connections_lost.value();
  if (watch_ != nullptr)
    result.watch = watch_->state();
  return result;
}

} // namespace evented
