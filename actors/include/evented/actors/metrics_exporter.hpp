#pragma once

#include <evented/actors/journal.hpp>
#include <evented/export.hpp>

#include <memory>
#include <string>

namespace prometheus {
class Collectable;
}

namespace evented {

/// Serves what a journal counts in this process to Prometheus, at `/metrics`.
/// In the target `evented::prometheus`.
///
///   evented::metrics_exporter exporter{journal, "127.0.0.1:9464"};
///
/// Whoever can reach the address can read the names of entity types and
/// projections and how busy they are, and nothing else: it asks for no password.
/// Keep it on the loopback interface or in a network of its own. Ends with the
/// object.
class EVENTED_EXPORT metrics_exporter {
public:
  /// @param address where to listen: a host or IP address, and a port; 0 for any
  ///        that is free
  /// @throws error(invalid_options) where nobody can listen there
  metrics_exporter(const journal& where, const std::string& address);

  ~metrics_exporter();

  metrics_exporter(const metrics_exporter&) = delete;
  metrics_exporter& operator=(const metrics_exporter&) = delete;

  /// Returns the port that it listens on.
  [[nodiscard]] int port() const noexcept;

private:
  class impl;

  std::unique_ptr<impl> impl_;
};

/// Returns the same figures for an exposer of prometheus-cpp that the program
/// has already. It keeps the counts, but not the journal.
[[nodiscard]] EVENTED_EXPORT std::shared_ptr<prometheus::Collectable>
prometheus_collector(const journal& where);

} // namespace evented
