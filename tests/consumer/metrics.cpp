// Tells Prometheus what a journal in memory counts.

#include <evented/actors.hpp>
#include <evented/actors/metrics_exporter.hpp>

#include <iostream>

int main() {
  evented::config<> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, evented::make_memory_store()};
  evented::metrics_exporter exporter{journal, "127.0.0.1:0"};
  std::cout << (exporter.port() != 0 ? "figures at a port" : "no port") << "\n";
}
