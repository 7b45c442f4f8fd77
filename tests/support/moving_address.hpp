#pragma once

#include <evented/dev/postgres.hpp>

#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>

namespace evented::test {

/// A directory in which clients find the socket of one server or another, as
/// behind an address that moves.
class moving_address {
public:
  moving_address() {
    std::string path = "/tmp/evented-address-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
      throw std::system_error(errno, std::generic_category(), path);
    directory_ = path;
  }

  moving_address(const moving_address&) = delete;
  moving_address& operator=(const moving_address&) = delete;

  ~moving_address() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& directory() const {
    return directory_;
  }

  /// Returns a connection URL for libpq that leads here.
  [[nodiscard]] std::string url() const {
    return "postgresql:///postgres?host=" + directory_.native()
           + "&port=5432&user=evented";
  }

  /// Leads new connections to this server.
  void point_to(const dev::postgres& server) const {
    // In one step, so that clients find one or the other.
    auto next = directory_ / "next";
    std::filesystem::create_symlink(server.socket_directory() / ".s.PGSQL.5432",
                                    next);
    std::filesystem::rename(next, directory_ / ".s.PGSQL.5432");
  }

private:
  std::filesystem::path directory_;
};

} // namespace evented::test
