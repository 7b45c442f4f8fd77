#include <evented/actors/metrics_exporter.hpp>

#include <prometheus/exposer.h>
#include <stdexcept>

namespace evented {

class metrics_exporter::impl {
public:
  impl(const journal& where, const std::string& address)
    : collector_(prometheus_collector(where)),
      // One scrape at a time is what Prometheus does.
      exposer_(address, 1) {
    exposer_.RegisterCollectable(collector_);
  }

  [[nodiscard]] int port() const { return exposer_.GetListeningPorts().at(0); }

private:
  std::shared_ptr<prometheus::Collectable> collector_;
  prometheus::Exposer exposer_;
};

metrics_exporter::metrics_exporter(const journal& where,
                                   const std::string& address) {
  // A port alone would mean all interfaces, which has to be said, and the server
  // below takes lists of addresses.
  auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0
      || address.find_first_of(", ") != std::string::npos)
    throw error(errc::invalid_options, "metrics need a host and a port, and \""
                                         + address + "\" is not both");
  try {
    impl_ = std::make_unique<impl>(where, address);
  } catch (const std::exception& e) {
    throw error(errc::invalid_options,
                "metrics cannot be served at \"" + address + "\": " + e.what());
  }
}

metrics_exporter::~metrics_exporter() = default;

int metrics_exporter::port() const noexcept {
  return impl_->port();
}

} // namespace evented
