#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace bench {

/// What all rows share. Rows connect on their own.
struct environment {
  /// Where the database is.
  std::string url;
  /// The server's first process, 0 where it is not ours.
  pid_t server = 0;
  /// How long one side of a row is measured in each round.
  std::chrono::milliseconds duration{5000};
  /// Whether to do with less than is worth publishing.
  bool quick = false;
  /// Whether to do with so little that the figures mean nothing.
  bool smoke = false;
  /// How long each client count is tried, twice, to find the best one.
  std::chrono::milliseconds calibration{2000};
  /// How many actors send commands. Few with much under way would measure how CAF
  /// searches the list of their pending answers.
  unsigned drivers = 32;
  /// The policy and the threads of CAF's scheduler; 0: what CAF does itself,
  /// which is at least four. As many as cores do better on a small machine.
  std::string policy = "sharing";
  unsigned threads = std::thread::hardware_concurrency();
};

/// One line of the table: something of ours and what it is compared with. The
/// two are measured in turns, round by round, on one server.
///
/// All members may throw `std::exception`, which fails the whole run.
class row {
public:
  virtual ~row() = default;

  virtual std::string name() const = 0;

  virtual std::string unit() const = 0;

  /// Makes what the rounds need. Runs once, before the first round.
  virtual void prepare(const environment& env) = 0;

  /// Measures our side once.
  virtual double ours(const environment& env) = 0;

  /// Measures the baseline once.
  virtual double baseline(const environment& env) = 0;
};

/// Returns `append.throughput`: commands per second of 10 000 entities with 4096
/// commands under way, against the ancestor's sequence per command.
std::unique_ptr<row> make_append_throughput();

/// Returns `append.listener`: the same with a listener that adds each event to a
/// view, in both.
std::unique_ptr<row> make_append_listener();

/// Returns `append.vs_copy`: the same against COPY of such rows over one
/// connection.
std::unique_ptr<row> make_append_vs_copy();

/// Returns `append.latency`: the median time of one command where none other is
/// under way, against pgbench with an INSERT per transaction.
std::unique_ptr<row> make_append_latency();

/// Returns `append.hot`: one entity with 256 commands under way, against the
/// ancestor's sequence with one client.
std::unique_ptr<row> make_append_hot();

/// Returns `append.batch`: commands per commit, counted by the server.
std::unique_ptr<row> make_append_batch();

/// Returns `append.scaling_N`: N writers against one.
std::unique_ptr<row> make_append_scaling(unsigned writers);

/// Returns `append.scaling_nodes`: two nodes against one, both with the database
/// on this machine.
std::unique_ptr<row> make_append_scaling_nodes();

/// Returns `append.growth`: with ten million events in the table against a
/// hundred thousand.
std::unique_ptr<row> make_append_growth();

/// Returns `replay.long`: the events of one entity with many, against a SELECT of
/// the same rows, fetched and dropped.
std::unique_ptr<row> make_replay_long();

/// Returns `replay.cold`: 10 000 entities that wake up at once with a command
/// each, which stores nothing but is checked against the journal; against a
/// select per entity.
std::unique_ptr<row> make_replay_cold();

/// Returns `replay.cold_write`: the same with commands that store an event each.
std::unique_ptr<row> make_replay_cold_write();

/// Returns `replay.snapshot`: the first command after a restart of an entity with
/// a million events and a snapshot every 1000, against that of a new entity.
std::unique_ptr<row> make_replay_snapshot();

/// Returns `projection.event`: events per second of a projection that catches up
/// with half a million of them, one statement each, against the ancestor's
/// transaction per event.
std::unique_ptr<row> make_projection_event();

/// Returns `projection.batch`: the same with a handler that takes batches.
std::unique_ptr<row> make_projection_batch();

/// Returns `projection.lag`: the median time from the reply of a command to its
/// event in the view, at 5000 commands/s; its baseline is the bound of 5 ms.
std::unique_ptr<row> make_projection_lag();

/// Returns `projection.lag_1000`: the same at 1000 commands/s.
std::unique_ptr<row> make_projection_lag_1000();

/// Returns `entity.memory`: what an idle entity takes above its state, against a
/// bare actor.
std::unique_ptr<row> make_entity_memory();

/// Returns `hop.region`: the median time of one query to an entity that is awake,
/// against a request to a bare actor.
std::unique_ptr<row> make_hop_region();

/// Returns `hop.remote`: the same where both are in another process.
std::unique_ptr<row> make_hop_remote();

/// Returns `nodes.scaling`: queries per second of two nodes with a thread each
/// against one, where each query takes some time and none needs the database.
std::unique_ptr<row> make_nodes_scaling();

/// Returns all rows, in the order of the table. A new one is added here.
inline std::vector<std::unique_ptr<row>> all_rows() {
  std::vector<std::unique_ptr<row>> result;
  result.push_back(make_append_throughput());
  result.push_back(make_append_listener());
  result.push_back(make_append_vs_copy());
  result.push_back(make_append_latency());
  result.push_back(make_append_hot());
  result.push_back(make_append_batch());
  result.push_back(make_append_scaling(2));
  result.push_back(make_append_scaling(4));
  result.push_back(make_append_scaling_nodes());
  result.push_back(make_append_growth());
  result.push_back(make_replay_long());
  result.push_back(make_replay_cold());
  result.push_back(make_replay_cold_write());
  result.push_back(make_replay_snapshot());
  result.push_back(make_projection_event());
  result.push_back(make_projection_batch());
  result.push_back(make_projection_lag());
  result.push_back(make_projection_lag_1000());
  result.push_back(make_entity_memory());
  result.push_back(make_hop_region());
  result.push_back(make_hop_remote());
  result.push_back(make_nodes_scaling());
  return result;
}

} // namespace bench
