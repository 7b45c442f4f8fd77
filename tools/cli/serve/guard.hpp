#pragma once

#include <chrono>
#include <httplib.h>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace evented::cli {

/// Who may do what at the dashboard.
///
/// Problem: a browser sends cookies, and reaches loopback addresses, on behalf of
/// any page that is open in it. Solution: a name of the host that is ours, so
/// that no other name can be made to lead here; a cookie that other sites do not
/// send; and for each change a header that other sites cannot set without asking
/// first, which is never answered. Thread-safe.
class guard {
public:
  /// @param token what opens the dashboard; empty: nothing is asked for, which is
  ///        for loopback addresses only
  /// @param hosts the names, with ports, under which browsers may know this;
  ///        empty: any, which is for those with a token
  guard(std::string token, std::vector<std::string> hosts);

  /// What to answer where a request is refused.
  struct refusal {
    int status;
    std::string why;
  };

  /// Looks at a request before anything else does.
  [[nodiscard]] std::optional<refusal> check(const httplib::Request& request);

  /// Opens a session for whoever knows the token, and returns the cookie.
  /// Empty where the token is wrong.
  [[nodiscard]] std::string open(const std::string& token);

  /// Ends the session of a request.
  void close(const httplib::Request& request);

  [[nodiscard]] bool wants_token() const noexcept { return !token_.empty(); }

private:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] bool known(const httplib::Request& request);

  std::string token_;
  std::vector<std::string> hosts_;
  std::mutex mutex_;
  std::map<std::string, clock::time_point> sessions_;
};

/// Returns whether only this machine can reach an address.
bool is_loopback(const std::string& host);

} // namespace evented::cli
