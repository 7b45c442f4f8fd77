#include "guard.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace evented::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto session_length = 12h;
constexpr std::size_t most_sessions = 1000;

constexpr std::string_view cookie_name = "evented_session=";

/// Takes as long whatever is in them.
bool equal(const std::string& a, const std::string& b) {
  unsigned differences = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i)
    differences
      |= static_cast<unsigned char>(a[i] ^ (b.empty() ? 0 : b[i % b.size()]));
  return differences == 0;
}

/// Returns 128 bits that nobody can guess, as text.
std::string secret() {
  std::ifstream source{"/dev/urandom", std::ios::binary};
  char bytes[16];
  if (!source.read(bytes, sizeof bytes))
    throw std::runtime_error("/dev/urandom cannot be read");
  std::string result;
  for (auto c : bytes)
    for (auto half : {static_cast<unsigned char>(c) >> 4, c & 15})
      result += "0123456789abcdef"[half];
  return result;
}

std::string cookie_of(const httplib::Request& request) {
  auto all = request.get_header_value("Cookie");
  auto at = all.find(cookie_name);
  if (at == std::string::npos)
    return {};
  at += cookie_name.size();
  return all.substr(at, all.find(';', at) - at);
}

} // namespace

guard::guard(std::string token, std::vector<std::string> hosts)
  : token_(std::move(token)), hosts_(std::move(hosts)) {
  // nop
}

std::optional<guard::refusal> guard::check(const httplib::Request& request) {
  auto host = request.get_header_value("Host");
  if (!hosts_.empty()
      && std::find(hosts_.begin(), hosts_.end(), host) == hosts_.end())
    return refusal{421, "this is not the name of this host"};
  auto reads = request.method == "GET" || request.method == "HEAD";
  if (!reads && request.method != "POST")
    return refusal{405, "only GET and POST are known here"};
  if (!reads) {
    auto origin = request.get_header_value("Origin");
    auto site = request.get_header_value("Sec-Fetch-Site");
    if (request.get_header_value("X-Evented") != "1"
        || (!site.empty() && site != "same-origin")
        || (!origin.empty() && origin != "http://" + host
            && origin != "https://" + host))
      return refusal{403, "this request comes from another site"};
    if (request.get_header_value("Content-Type") != "application/json")
      return refusal{415, "the body has to be application/json"};
  }
  // What shows the form for the token, and takes it, holds nothing of the
  // journal.
  auto open = request.path == "/" || request.path.ends_with(".js")
              || request.path.ends_with(".css")
              || request.path.ends_with(".svg") || request.path == "/api/login";
  if (!open && !known(request))
    return refusal{401, "a token is needed"};
  return std::nullopt;
}

bool guard::known(const httplib::Request& request) {
  if (token_.empty())
    return true;
  auto bearer = request.get_header_value("Authorization");
  if (bearer.starts_with("Bearer ") && equal(bearer.substr(7), token_))
    return true;
  auto cookie = cookie_of(request);
  std::lock_guard lock{mutex_};
  auto found = sessions_.find(cookie);
  return found != sessions_.end() && found->second > clock::now();
}

std::string guard::open(const std::string& token) {
  if (!equal(token, token_))
    return {};
  std::lock_guard lock{mutex_};
  auto now = clock::now();
  std::erase_if(sessions_, [now](auto& x) { return x.second <= now; });
  if (sessions_.size() >= most_sessions)
    sessions_.clear();
  auto session = secret();
  sessions_[session] = now + session_length;
  return std::string{cookie_name} + session
         + "; Path=/; HttpOnly; SameSite=Strict";
}

void guard::close(const httplib::Request& request) {
  std::lock_guard lock{mutex_};
  sessions_.erase(cookie_of(request));
}

bool is_loopback(const std::string& host) {
  // Not by its beginning: 127.example.org is somebody's name.
  in_addr address{};
  return host == "localhost" || host == "::1"
         || (inet_pton(AF_INET, host.c_str(), &address) == 1
             && ntohl(address.s_addr) >> 24 == 127);
}

} // namespace evented::cli
