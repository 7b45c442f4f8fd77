#pragma once

#include "row.hpp"

#include <evented/options.hpp>

#include <caf/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

/// Sets what `env` says of CAF's scheduler.
void set_scheduler(caf::actor_system_config& cfg, const environment& env);

/// Says what load to put on the entities.
struct load_options {
  std::size_t entities = 10'000;
  std::size_t in_flight = 4096;
  /// A table with the columns entity_id and value, to which a listener adds each
  /// event; none where this is empty.
  std::string view;
  evented::journal_options journal;
};

/// What came of a load.
struct load_result {
  /// Over the measured time.
  double commands_per_second = 0;
  /// All accepted commands, those of the warm-up included.
  std::int64_t accepted = 0;
  /// CPU time of this process and of the server, in microseconds per command.
  double own_cpu = 0;
  double server_cpu = 0;
  /// From a command to its answer, in seconds; measured only where one at a time
  /// is under way.
  double median_latency = 0;
};

/// Starts an actor system with an entity region, sends a command to each of the
/// entities (fresh ones) and then to random ones, and keeps `in_flight` of them
/// under way. Measures for `env.duration` once all entities are there, then
/// waits for all answers and shuts the system down.
///
/// Each answer is checked: accepted, with the version that follows the one
/// before.
/// @throws std::runtime_error where one is anything else
load_result run_load(const environment& env, load_options options);

} // namespace bench
