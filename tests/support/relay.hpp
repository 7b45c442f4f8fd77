#pragma once

#include <cstdint>
#include <memory>

namespace evented::test {

/// Stands between two nodes of a cluster, who think that they talk to each other,
/// and cuts or holds their connection. Listens on a free port of 127.0.0.1 and
/// uses one thread. Thread-safe.
class relay {
public:
  relay();

  relay(const relay&) = delete;
  relay& operator=(const relay&) = delete;

  /// Cuts all connections.
  ~relay();

  /// Returns the port that leads through this relay.
  [[nodiscard]] std::uint16_t port() const noexcept;

  /// Says where to: new connections go to this port of 127.0.0.1.
  void lead_to(std::uint16_t port);

  /// Cuts all connections, and new ones at once.
  void refuse();

  /// Keeps connections open and forwards nothing, as a network that loses every
  /// packet does.
  void hold();

  /// Ends both. What was held arrives now.
  void heal();

private:
  class loop;

  std::unique_ptr<loop> loop_;
};

} // namespace evented::test
