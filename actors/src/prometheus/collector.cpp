#include <evented/actors/metrics_exporter.hpp>

#include <limits>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <utility>

namespace evented {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using labels = std::vector<std::pair<std::string, std::string>>;

/// Collects the families of one answer.
class page {
public:
  /// Begins a family; what is added from now on belongs to it.
  void family(MetricType type, const char* name, const char* help) {
    families_.push_back({name, help, type, {}});
  }

  template <class T>
  void add(T value, const labels& which = {}) {
    auto& to = families_.back();
    auto& metric = labelled(which);
    if (to.type == MetricType::Counter)
      metric.counter.value = static_cast<double>(value);
    else
      metric.gauge.value = static_cast<double>(value);
  }

  void add(const histogram_figures& from, const labels& which = {}) {
    auto& to = labelled(which).histogram;
    to.sample_sum = from.sum;
    for (std::size_t i = 0; i < from.counts.size(); ++i) {
      to.sample_count += from.counts[i];
      to.bucket.push_back(
        {to.sample_count, i < from.bounds.size()
                            ? from.bounds[i]
                            : std::numeric_limits<double>::infinity()});
    }
  }

  template <class T>
  void single(MetricType type, const char* name, const char* help, T value) {
    family(type, name, help);
    add(value);
  }

  void single(const char* name, const char* help,
              const histogram_figures& from) {
    family(MetricType::Histogram, name, help);
    add(from);
  }

  std::vector<MetricFamily> take() {
    // A family without a metric is no valid text.
    std::erase_if(families_, [](auto& x) { return x.metric.empty(); });
    return std::move(families_);
  }

private:
  ClientMetric& labelled(const labels& which) {
    auto& result = families_.back().metric.emplace_back();
    for (auto& [name, value] : which)
      result.label.push_back({name, value});
    return result;
  }

  std::vector<MetricFamily> families_;
};

constexpr auto counter = MetricType::Counter;
constexpr auto gauge = MetricType::Gauge;
constexpr auto histogram = MetricType::Histogram;

void add_entities(page& to, const metrics_snapshot& from) {
  // One figure of all types.
  auto each
    = [&](MetricType type, const char* name, const char* help, auto figure) {
        to.family(type, name, help);
        for (auto& [entity_type, x] : from.entities)
          to.add(x.*figure, {{"entity_type", entity_type}});
      };
  to.family(counter, "evented_commands_total",
            "Commands that were answered, by what they were answered with.");
  for (auto& [type, x] : from.entities)
    for (auto& [outcome, count] : x.commands)
      to.add(count, {{"entity_type", type}, {"outcome", outcome}});
  each(histogram, "evented_command_duration_seconds",
       "From the arrival of a command to its answer.", &entity_figures::time);
  each(gauge, "evented_commands_in_progress",
       "Commands that have arrived and were not answered yet.",
       &entity_figures::in_progress);
  each(counter, "evented_commands_decided_again_total",
       "Commands whose handler ran again.", &entity_figures::decided_again);
  each(counter, "evented_conflicts_total",
       "Appends that found another process's events in their place.",
       &entity_figures::conflicts);
  each(counter, "evented_commands_repeated_total",
       "Commands whose ID was known, which were answered as before.",
       &entity_figures::repeated);
  each(counter, "evented_passivations_total",
       "Entities that were put to sleep.", &entity_figures::put_to_sleep);
  to.family(gauge, "evented_entities", "Entities in memory, by their state.");
  for (auto& [type, x] : from.entities) {
    to.add(x.awake, {{"entity_type", type}, {"state", "awake"}});
    to.add(x.loading, {{"entity_type", type}, {"state", "loading"}});
  }
  to.family(counter, "evented_outbox_messages_total",
            "Messages of the outbox, by what came of an attempt.");
  for (auto& [type, x] : from.entities) {
    to.add(x.delivered, {{"entity_type", type}, {"outcome", "delivered"}});
    to.add(x.undelivered, {{"entity_type", type}, {"outcome", "failed"}});
  }
  each(gauge, "evented_outbox_messages_in_flight",
       "Messages of the outbox that are on their way from this process.",
       &entity_figures::in_flight);
}

void add_projections(page& to, const metrics_snapshot& from) {
  auto each
    = [&](MetricType type, const char* name, const char* help, auto figure) {
        to.family(type, name, help);
        for (auto& [projection, x] : from.projections)
          to.add(x.*figure, {{"projection", projection}});
      };
  each(counter, "evented_projection_events_total",
       "Events that this process has handled.", &projection_figures::events);
  each(histogram, "evented_projection_batch_duration_seconds",
       "From the beginning of a handler's transaction to its end.",
       &projection_figures::batch_time);
  each(counter, "evented_projection_failures_total",
       "Attempts of the handler that failed.", &projection_figures::failures);
  to.family(counter, "evented_projection_put_away_total",
            "Events that became dead letters in this process, by their kind.");
  for (auto& [projection, x] : from.projections) {
    to.add(x.parked, {{"projection", projection}, {"kind", "parked"}});
    to.add(x.skipped, {{"projection", projection}, {"kind", "skipped"}});
  }
  each(gauge, "evented_projection_checkpoint",
       "The number that all ranges have got to.",
       &projection_figures::checkpoint);
  each(gauge, "evented_projection_lag_events",
       "Events that wait for the projection, in all processes; above 10000, at "
       "least so many.",
       &projection_figures::lag_events);
  each(gauge, "evented_projection_lag_seconds",
       "The age of the oldest event that waits.",
       &projection_figures::lag_seconds);
  each(gauge, "evented_projection_ranges", "Ranges that this process runs.",
       &projection_figures::ranges_here);
  each(gauge, "evented_projection_healthy",
       "0 where something is wrong with it; the log says what.",
       &projection_figures::healthy);
  each(gauge, "evented_projection_paused", "1 while an operator has paused it.",
       &projection_figures::paused);
  each(gauge, "evented_projection_dead_letters",
       "Dead letters that are stored; 100 stands for as many or more.",
       &projection_figures::dead_letters);
}

void add_journal(page& to, const metrics_snapshot& x) {
  to.single("evented_append_batch_commands", "Commands per group commit.",
            x.batch_commands);
  to.single("evented_append_batch_bytes", "Bytes of events per group commit.",
            x.batch_bytes);
  to.single("evented_commit_duration_seconds",
            "How long group commits took in the database.", x.commit_time);
  to.single(counter, "evented_events_stored_total", "Events that were stored.",
            x.events_stored);
  to.single(gauge, "evented_appends_waiting",
            "Appends of entities that wait or are under way.",
            x.appends_waiting);
  to.single("evented_load_batch_entities", "Entities per query.",
            x.load_entities);
  to.single("evented_load_duration_seconds",
            "How long queries for entities took in the database.", x.load_time);
  to.single(counter, "evented_events_loaded_total",
            "Events that were read for entities.", x.events_loaded);
  to.single(gauge, "evented_loads_waiting",
            "Loads of entities that wait for a connection.", x.loads_waiting);
  to.family(counter, "evented_snapshots_total",
            "Snapshots of entities, by what came of them; those dropped gave "
            "way to newer ones.");
  to.add(x.snapshots_written, {{"outcome", "written"}});
  to.add(x.snapshots_failed, {{"outcome", "failed"}});
  to.add(x.snapshots_dropped, {{"outcome", "dropped"}});
  to.single(gauge, "evented_snapshots_waiting",
            "Snapshots of entities that wait to be written.",
            x.snapshots_waiting);
  to.family(gauge, "evented_connections",
            "Connections to the database: those open, and the workers that "
            "have failed to get one or to use it.");
  to.add(x.connections_open, {{"state", "open"}});
  to.add(x.connections_failing, {{"state", "failing"}});
  to.single(counter, "evented_connections_lost_total",
            "Connections that were given up.", x.connections_lost);
  to.single(gauge, "evented_frontier_seq_no",
            "Up to which number everything is visible or rolled back, as seen "
            "last.",
            x.watch.frontier);
  to.single(gauge, "evented_frontier_held_seconds",
            "For how long the frontier has not moved although numbers above it "
            "were drawn: something holds all projections back.",
            static_cast<double>(x.watch.held.count()) / 1000);
  to.single(gauge, "evented_watch_connected",
            "1 while the connection that follows the frontier works.",
            x.watch.connected);
  to.single(gauge, "evented_watch_listening",
            "1 while other processes' commits wake this one up at once.",
            x.watch.listening);
  to.single(counter, "evented_watch_reconnects_total",
            "How often the connection that follows the frontier was made anew.",
            x.watch.reconnects);
}

class collector : public prometheus::Collectable {
public:
  explicit collector(std::shared_ptr<const metrics> counts)
    : counts_(std::move(counts)) {
    // nop
  }

  std::vector<MetricFamily> Collect() const override {
    auto found = counts_->snapshot();
    page result;
    add_journal(result, found);
    add_entities(result, found);
    add_projections(result, found);
    return result.take();
  }

private:
  std::shared_ptr<const metrics> counts_;
};

} // namespace

std::shared_ptr<prometheus::Collectable>
prometheus_collector(const journal& where) {
  return std::make_shared<collector>(where.metrics());
}

} // namespace evented
