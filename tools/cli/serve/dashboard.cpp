#include "dashboard.hpp"

#include "asked.hpp"
#include "core/failure.hpp"
#include "core/text.hpp"
#include "evented_assets.hpp"
#include "figures.hpp"
#include "pages.hpp"

#include <spdlog/spdlog.h>

#include <array>

namespace evented::cli {

namespace {

using nlohmann::json;

/// Nothing that is sent here is long.
constexpr std::size_t most_bytes = 64 * 1024;

/// So many requests at a time, each with a connection to the database.
constexpr std::size_t threads = 16;

struct asset {
  const char* path;
  const char* type;
  std::string_view content;
};

constexpr std::array<asset, 8> assets_served{{
  {"/", "text/html; charset=utf-8", assets::index},
  {"/app.css", "text/css; charset=utf-8", assets::app_css},
  {"/app.js", "text/javascript; charset=utf-8", assets::app_js},
  {"/overview.js", "text/javascript; charset=utf-8", assets::overview_js},
  {"/history.js", "text/javascript; charset=utf-8", assets::history_js},
  {"/operate.js", "text/javascript; charset=utf-8", assets::operate_js},
  {"/nodes.js", "text/javascript; charset=utf-8", assets::nodes_js},
  {"/icon.svg", "image/svg+xml", assets::icon},
}};

std::vector<std::string> names_of(const dashboard_options& how) {
  // A token is not sent to a stranger's name that leads here.
  if (!how.token.empty())
    return {};
  std::vector<std::string> result;
  constexpr int port_of_http = 80;
  for (auto* host : {"localhost", "127.0.0.1", "[::1]", how.host.c_str()}) {
    result.push_back(std::string{host} + ":" + std::to_string(how.port));
    // Browsers leave it out.
    if (how.port == port_of_http)
      result.emplace_back(host);
  }
  return result;
}

int status_of(exit_code code) {
  switch (code) {
  case exit_code::usage:
    return 400;
  case exit_code::not_found:
    return 404;
  case exit_code::refused:
    return 409;
  case exit_code::unreachable:
  case exit_code::no_journal:
    return 503;
  case exit_code::timed_out:
    return 504;
  default:
    return 500;
  }
}

void put(httplib::Response& to, const json& x) {
  to.set_content(x.dump(-1, ' ', false, json::error_handler_t::replace),
                 "application/json");
}

/// Binds a server to where it is to listen, and returns the port.
int bind(httplib::Server& server, const dashboard_options& how) {
  if (!is_loopback(how.host) && how.token.empty())
    throw failure(exit_code::usage,
                  "\"" + visible(how.host)
                    + "\" can be reached by others: set EVENTED_TOKEN or "
                      "--token-file, or listen on 127.0.0.1");
  constexpr std::size_t least = 24;
  if (!how.token.empty() && how.token.size() < least)
    throw failure(exit_code::usage, "a token has at least "
                                      + std::to_string(least)
                                      + " characters: nobody must guess it");
  auto port = how.port == 0 ? server.bind_to_any_port(how.host)
              : server.bind_to_port(how.host, how.port) ? how.port
                                                        : -1;
  if (port <= 0)
    throw failure(exit_code::failed, "cannot listen on " + visible(how.host)
                                       + ", port " + std::to_string(how.port));
  return port;
}

dashboard_options bound(httplib::Server& server, dashboard_options how) {
  how.port = bind(server, how);
  return how;
}

} // namespace

dashboard::dashboard(const globals& how, dashboard_options options)
  : options_(bound(server_, std::move(options))),
    guard_(options_.token, names_of(options_)),
    journals_(how),
    applications_(options_.asked) {
  server_.new_task_queue = [] { return new httplib::ThreadPool(threads); };
  server_.set_payload_max_length(most_bytes);
  server_.set_read_timeout(5);
  server_.set_write_timeout(10);
  server_.set_keep_alive_timeout(2);
  server_.set_default_headers({
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
     "'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
  });
  add_routes();
}

void dashboard::run() {
  server_.listen_after_bind();
}

void dashboard::add_routes() {
  server_.set_pre_routing_handler([this](const request& from, response& to) {
    using handled = httplib::Server::HandlerResponse;
    auto no = guard_.check(from);
    if (!no)
      return handled::Unhandled;
    refuse(from, to, no->status, no->why);
    return handled::Handled;
  });
  // What the server itself does not take: large bodies, unknown paths.
  server_.set_error_handler([this](const request& from, response& to) {
    if (to.body.empty())
      refuse(from, to, to.status,
             to.status == 413 ? "this is too large" : "there is nothing here");
  });
  for (auto& x : assets_served)
    server_.Get(x.path, [x](const request&, response& to) {
      to.set_content(x.content.data(), x.content.size(), x.type);
    });
  server_.Get("/metrics", [this](const request& from, response& to) {
    answer(from, to, [&] {
      to.set_content(render_figures(overview()), "text/plain; version=0.0.4");
    });
  });
  server_.Get("/api/session", [this](const request&, response& to) {
    put(to, {{"read_only", options_.read_only},
             {"token", guard_.wants_token()},
             {"version", EVENTED_VERSION}});
  });
  server_.Get("/api/applications", [this](const request& from, response& to) {
    answer(from, to, [&] {
      put(to, {{"applications", applications_.look()}});
    });
  });
  server_.Post("/api/login",
               [this](const request& from, response& to) { log_in(from, to); });
  server_.Post("/api/logout", [this](const request& from, response& to) {
    guard_.close(from);
    put(to, {{"done", "logged out"}});
  });
  for (auto& [path, _] : pages())
    server_.Get(path,
                [this](const request& from, response& to) { look(from, to); });
  for (auto& [path, _] : changes())
    server_.Post(
      path, [this](const request& from, response& to) { change(from, to); });
}

template <class F>
void dashboard::answer(const request& from, response& to, F&& f) {
  try {
    f();
  } catch (...) {
    auto why = explain(std::current_exception());
    refuse(from, to, status_of(why.code()), why.what());
  }
}

void dashboard::look(const request& from, response& to) {
  answer(from, to, [&] {
    auto f = pages().at(from.path);
    put(to, from.path == "/api/overview"
              ? overview()
              : journals_.with([&](journal& x) { return f(x, from); }));
  });
}

json dashboard::overview() {
  std::lock_guard guard{mutex_};
  auto now = std::chrono::steady_clock::now();
  if (overview_.is_null() || now - overview_at_ > std::chrono::seconds{1}) {
    overview_ = journals_.with(
      [](journal& x) { return pages().at("/api/overview")(x, {}); });
    overview_at_ = now;
  }
  return overview_;
}

void dashboard::change(const request& from, response& to) {
  answer(from, to, [&] {
    if (options_.read_only)
      throw failure(exit_code::refused,
                    "this dashboard was started with --read-only");
    auto what = read_body(from.body);
    auto f = changes().at(from.path);
    put(to, journals_.with([&](journal& x) {
      x.on_behalf_of = from.remote_addr;
      return f(x, what);
    }));
    SPDLOG_INFO("{} {}: done", from.remote_addr, from.path);
  });
}

void dashboard::log_in(const request& from, response& to) {
  auto token = token_of(from.body);
  auto cookie = token.empty() ? std::string{} : guard_.open(token);
  if (cookie.empty()) {
    refuse(from, to, 401, "this is not the token");
    return;
  }
  to.set_header("Set-Cookie", cookie);
  put(to, {{"done", "logged in"}});
}

void dashboard::refuse(const request& from, response& to, int status,
                       const std::string& why) {
  // Never with the query or the body: tokens may be in them.
  SPDLOG_WARN("{} {} {}: {} {}", from.remote_addr, visible(from.method),
              visible(from.path.substr(0, 200)), status, visible(why));
  to.status = status;
  put(to, {{"error", why}});
}

} // namespace evented::cli
