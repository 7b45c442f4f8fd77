#pragma once

#include "applications.hpp"
#include "guard.hpp"
#include "journal_pool.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <exception>
#include <httplib.h>
#include <mutex>
#include <string>
#include <vector>

namespace evented::cli {

/// How the dashboard is served.
struct dashboard_options {
  std::string host = "127.0.0.1";
  int port = 8480;
  std::string token;
  bool read_only = false;
  /// Who is asked for the time that commits take.
  std::vector<application> asked = {};
};

/// The dashboard as an HTTP server.
class dashboard {
public:
  /// @throws failure(usage) where it would be open to others, failure(failed)
  ///         where nobody can listen there
  dashboard(const globals& how, dashboard_options options);

  [[nodiscard]] int port() const noexcept { return options_.port; }

  /// Serves until `stop`.
  void run();

  /// From any thread.
  [[nodiscard]] bool serves() const { return server_.is_running(); }

  /// From any thread, once it serves.
  void stop() { server_.stop(); }

private:
  using request = httplib::Request;
  using response = httplib::Response;

  void add_routes();

  /// Answers with what `f` returns, or with what it throws.
  template <class F>
  void answer(const request& from, response& to, F&& f);

  void look(const request& from, response& to);

  void change(const request& from, response& to);

  void log_in(const request& from, response& to);

  void refuse(const request& from, response& to, int status,
              const std::string& why);

  /// Returns the state of the journal, which is looked for once a second at most,
  /// however many look at it.
  nlohmann::json overview();

  httplib::Server server_;
  dashboard_options options_;
  guard guard_;
  journal_pool journals_;
  applications applications_;
  std::mutex mutex_;
  nlohmann::json overview_;
  std::chrono::steady_clock::time_point overview_at_;
};

} // namespace evented::cli
