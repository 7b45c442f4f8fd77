#pragma once

#include "bench_journal.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bench {

/// A node of a cluster of tallies in a process of its own: this program, started
/// again. It has one thread of CAF's scheduler, so that it stands for a machine
/// with one core. Also answers `(uuid, compute)` with an actor that is no entity.
class node_process {
public:
  /// Returns when it listens.
  /// @throws std::runtime_error where it does not
  node_process(const bench_journal& where, const std::string& name);

  node_process(const node_process&) = delete;

  node_process& operator=(const node_process&) = delete;

  /// Lets it hand over what it owns and waits for its end.
  ~node_process();

  /// Returns the port of the actor that is no entity.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
};

/// Is such a process, until SIGTERM. Called by `main`.
/// @param args the schema and the node's name; EVENTED_DATABASE_URL says where the
///        database is
int run_node(const std::vector<std::string>& args);

/// Spawns an actor that answers `(uuid, compute)` and does nothing else.
caf::actor spawn_plain(caf::actor_system& sys);

} // namespace bench
