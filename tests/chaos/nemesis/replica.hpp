#pragma once

#include "support/moving_address.hpp"

#include <evented/dev/postgres.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace evented::test::nemesis {

/// A server with a streaming standby, and the place where clients find whichever
/// of the two is the primary, as behind an address that moves.
class replicated_server {
public:
  replicated_server();

  replicated_server(const replicated_server&) = delete;
  replicated_server& operator=(const replicated_server&) = delete;

  ~replicated_server();

  /// Returns the directory in which clients find the primary's socket.
  [[nodiscard]] const std::filesystem::path& sockets() const {
    return address_.directory();
  }

  /// Lets commits wait for the standby from now on.
  void make_synchronous();

  /// Cuts the standby off from what the primary commits from now on. Commits go
  /// on, or wait for it where they are synchronous.
  void stop_replication();

  /// Kills the primary, promotes the standby, and leads clients to it.
  void fail_over();

private:
  void copy_primary();

  std::filesystem::path directory_;
  moving_address address_;
  std::optional<dev::postgres> primary_;
  std::optional<dev::postgres> standby_;
  pid_t receiver_ = 0;
};

} // namespace evented::test::nemesis
