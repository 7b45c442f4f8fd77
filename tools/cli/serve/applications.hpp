#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace evented::cli {

/// What an application has counted since it began.
struct commit_figures {
  double commits = 0;
  double seconds = 0;
};

/// Reads from the text that applications tell Prometheus how many commits there
/// were and how long they took. Whatever else is in it is passed over.
commit_figures read_commit_figures(std::string_view text);

/// Where an application tells its figures.
struct application {
  std::string host;
  int port = 80;
  std::string path;

  /// As it is shown.
  [[nodiscard]] std::string url() const;
};

/// Reads `http://HOST[:PORT][/PATH]`; without a path it is /metrics.
/// @throws failure(usage)
application parse_application(const std::string& url);

/// The applications that somebody who started the dashboard has named: only they
/// know how long their commits take. Thread-safe.
class applications {
public:
  explicit applications(std::vector<application> list)
    : list_(std::move(list)) {
    // nop
  }

  /// Asks all of them at the same time, once a second at most, and waits no
  /// longer than a few seconds. Who does not answer has an error.
  nlohmann::json look();

private:
  using clock = std::chrono::steady_clock;

  std::vector<application> list_;
  std::mutex mutex_;
  nlohmann::json found_;
  clock::time_point found_at_;
};

} // namespace evented::cli
