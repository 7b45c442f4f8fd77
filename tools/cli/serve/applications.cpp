#include "applications.hpp"

#include "core/failure.hpp"
#include "core/text.hpp"

#include <cmath>
#include <cstdlib>
#include <future>
#include <httplib.h>

namespace evented::cli {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// Some hundred entity types and projections tell less than this.
constexpr std::size_t most_bytes = 16 * 1024 * 1024;

/// An application that hangs must not hang the page.
constexpr auto patience = 2s;

/// Returns the value of a line `NAME{..} VALUE` or `NAME VALUE`, 0 for any other
/// line.
double value_of(std::string_view line, std::string_view name) {
  if (!line.starts_with(name))
    return 0;
  line.remove_prefix(name.size());
  if (line.starts_with('{')) {
    auto end = line.rfind('}');
    if (end == std::string_view::npos)
      return 0;
    line.remove_prefix(end + 1);
  }
  if (!line.starts_with(' '))
    return 0;
  auto value = std::strtod(std::string{line}.c_str(), nullptr);
  return std::isfinite(value) && value > 0 ? value : 0;
}

json ask(const application& whom) {
  json result{{"url", whom.url()}};
  std::string body;
  auto until = std::chrono::steady_clock::now() + patience;
  httplib::Client client{whom.host, whom.port};
  client.set_connection_timeout(patience);
  client.set_read_timeout(patience);
  auto found = client.Get(whom.path, [&](const char* data, std::size_t size) {
    body.append(data, size);
    return body.size() <= most_bytes
           && std::chrono::steady_clock::now() < until;
  });
  if (!found || found->status != 200) {
    result["error"]
      = found ? "it answers with status " + std::to_string(found->status)
              : "it does not answer";
    return result;
  }
  auto figures = read_commit_figures(body);
  result["commits"] = figures.commits;
  result["seconds"] = figures.seconds;
  return result;
}

} // namespace

commit_figures read_commit_figures(std::string_view text) {
  commit_figures result;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    result.commits += value_of(line, "evented_commit_duration_seconds_count");
    result.seconds += value_of(line, "evented_commit_duration_seconds_sum");
  }
  return result;
}

// -- whom to ask --------------------------------------------------------------

std::string application::url() const {
  auto name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return "http://" + name + ":" + std::to_string(port) + path;
}

application parse_application(const std::string& url) {
  constexpr std::string_view scheme = "http://";
  auto no = [&] {
    return failure(exit_code::usage,
                   "\"" + visible(url)
                     + "\" is no address of figures: http://HOST:PORT/metrics");
  };
  if (!url.starts_with(scheme))
    throw no();
  auto rest = url.substr(scheme.size());
  auto slash = rest.find('/');
  application result;
  result.path = slash == std::string::npos ? "/metrics" : rest.substr(slash);
  for (auto c : url)
    if (c <= ' ' || c == 0x7F)
      throw no();
  auto host = rest.substr(0, slash);
  // IPv6 has colons of its own.
  auto colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (colon != std::string::npos) {
    auto port = host.substr(colon + 1);
    if (port.empty() || port.size() > 5
        || port.find_first_not_of("0123456789") != std::string::npos
        || std::stoi(port) > 65535 || std::stoi(port) == 0)
      throw no();
    result.port = std::stoi(port);
    host.resize(colon);
  }
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  // A password in an address would be shown.
  if (host.empty() || host.find_first_of("@[]") != std::string::npos)
    throw no();
  result.host = host;
  return result;
}

// -- asking -------------------------------------------------------------------

json applications::look() {
  std::lock_guard guard{mutex_};
  auto now = clock::now();
  if (!found_.is_null() && now - found_at_ <= 1s)
    return found_;
  std::vector<std::future<json>> answers;
  answers.reserve(list_.size());
  for (auto& x : list_)
    answers.push_back(std::async(std::launch::async, [&x] { return ask(x); }));
  found_ = json::array();
  for (auto& x : answers)
    found_.push_back(x.get());
  found_at_ = now;
  return found_;
}

} // namespace evented::cli
