#pragma once

#include "support/journals.hpp"
#include "support/process.hpp"

#include <atomic>
#include <stdexcept>
#include <string>

namespace evented::test {

/// Returns the URL of a new database.
inline std::string fresh_database() {
  static std::atomic<int> count{0};
  auto name = "accounts_" + std::to_string(++count);
  raw_connection{}.exec("create database " + name);
  return server().url(name);
}

/// Waits until the service has told its address, and returns the port.
inline int port_of(process& service) {
  const std::string begin = "listening on http://127.0.0.1:";
  auto told = service.read_until([&](const std::string& out) {
    return out.starts_with(begin) && out.ends_with('\n');
  });
  if (!told)
    throw std::runtime_error("it does not listen: " + service.out()
                             + service.err());
  return std::stoi(service.out().substr(begin.size()));
}

} // namespace evented::test
