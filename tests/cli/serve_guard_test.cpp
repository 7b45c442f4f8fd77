// evented serve: who may come in, and what is refused.

#include "cli/dashboard.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace evented;
using namespace evented::test;

namespace {

const std::string token = "a token that nobody guesses";

} // namespace

// -- who may come in ----------------------------------------------------------

TEST_F(cli_serve, is_not_opened_to_others_without_a_token) {
  for (auto* host :
       {"0.0.0.0", "[::]", "127.0.0.1.example.org", "::ffff:10.0.0.1"}) {
    auto x = run({"serve", "--listen", host + ":0"s});
    EXPECT_EQ(x.code, 2) << host << x.out << x.err;
  }
  auto x = run_plain(here({"serve", "--listen", "0.0.0.0:0"}),
                     {{"EVENTED_TOKEN", "short"}});
  EXPECT_EQ(x.code, 2);
  for (auto* address : {"", "127.0.0.1", ":1", "127.0.0.1:http",
                        "127.0.0.1:65536", "127.0.0.1:-1"})
    EXPECT_EQ(run({"serve", "--listen", address}).code, 2) << address;
  EXPECT_EQ(run({"serve", "--token-file", "/nowhere"}).code, 2);
}

TEST_F(cli_serve, is_opened_by_the_token) {
  serve({}, {{"EVENTED_TOKEN", token}});
  get("/api/overview", 401);
  get("/api/session", 401);
  get("/metrics", 401);
  EXPECT_EQ(client_->Get("/")->status, 200);
  for (auto& wrong : {json(""), json("a token that nobody guesset"), json(1),
                      json(token + "s"), json(nullptr)})
    post("/api/login", {{"token", wrong}}, 401);
  for (auto& header : {"Bearer wrong"s, "Bearer "s, token, "Basic " + token}) {
    client_->set_default_headers({{"Authorization", header}});
    get("/api/overview", 401);
  }
  client_->set_default_headers({{"Authorization", "Bearer " + token}});
  get("/api/overview");
  client_->set_default_headers({});
  auto in = client_->Post("/api/login", {{"X-Evented", "1"}},
                          json{{"token", token}}.dump(), "application/json");
  ASSERT_TRUE(in);
  auto cookie = in->get_header_value("Set-Cookie");
  EXPECT_NE(cookie.find("HttpOnly"), std::string::npos);
  EXPECT_NE(cookie.find("SameSite=Strict"), std::string::npos);
  EXPECT_EQ(cookie.find(token), std::string::npos);
  cookie = cookie.substr(0, cookie.find(';'));
  for (auto& wrong : {cookie + "0", "evented_session="s, "x=y"s}) {
    client_->set_default_headers({{"Cookie", wrong}});
    get("/api/overview", 401);
  }
  client_->set_default_headers({{"Cookie", "a=b; " + cookie + "; c=d"}});
  get("/api/overview");
  post("/api/projection/pause", {{"projection", "totals"}});
  post("/api/logout", json::object());
  get("/api/overview", 401);
  // The token is in no log.
  EXPECT_EQ(stop().find(token), std::string::npos);
}

TEST_F(cli_serve, reads_the_token_from_a_file_of_any_editor) {
  auto file = std::filesystem::temp_directory_path()
              / ("evented-token-" + std::to_string(::getpid()));
  std::ofstream{file} << token << "\r\nnothing of this\n";
  serve({"--token-file", file});
  std::filesystem::remove(file);
  get("/api/session", 401);
  client_->set_default_headers({{"Authorization", "Bearer " + token}});
  get("/api/session");
}

TEST_F(cli_serve, takes_no_changes_from_other_sites) {
  serve();
  auto before = journal_hash();
  const json body{{"projection", "totals"}};
  const auto host = "127.0.0.1:" + std::to_string(port_);
  // As a form or a script of another page would send it.
  post("/api/projection/pause", body, 403, {});
  post("/api/projection/pause", body, 403,
       {{"X-Evented", "1"}, {"Origin", "https://evil.example"}});
  post("/api/projection/pause", body, 403,
       {{"X-Evented", "1"}, {"Origin", "null"}});
  post("/api/projection/pause", body, 403,
       {{"X-Evented", "1"}, {"Sec-Fetch-Site", "cross-site"}});
  post("/api/projection/pause", body, 403,
       {{"X-Evented", "1"}, {"Sec-Fetch-Site", "same-site"}});
  for (auto* type : {"text/plain", "application/x-www-form-urlencoded",
                     "multipart/form-data"})
    EXPECT_EQ(
      client_
        ->Post("/api/projection/pause", {{"X-Evented", "1"}}, body.dump(), type)
        ->status,
      415);
  // Another name that leads here (DNS rebinding).
  for (auto& name : {"evil.example:" + std::to_string(port_), "127.0.0.1"s,
                     "localhost"s, ""s}) {
    client_->set_default_headers({{"Host", name}});
    get("/api/overview", 421);
    post("/api/projection/pause", body, 421);
  }
  client_->set_default_headers({});
  // No page may ask first.
  auto preflight = client_->Options("/api/projection/pause");
  ASSERT_TRUE(preflight);
  EXPECT_EQ(preflight->status, 405);
  EXPECT_FALSE(preflight->has_header("Access-Control-Allow-Origin"));
  EXPECT_EQ(
    client_->Put("/api/projection/pause", "{}", "application/json")->status,
    405);
  EXPECT_EQ(client_->Delete("/api/letters/drop")->status, 405);
  get("/api/projection/pause", 404);
  EXPECT_EQ(journal_hash(), before);
  // Our own page may.
  post("/api/projection/pause", body, 200,
       {{"X-Evented", "1"},
        {"Origin", "http://" + host},
        {"Sec-Fetch-Site", "same-origin"}});
  auto log = stop();
  EXPECT_GE(std::count(log.begin(), log.end(), '\n'), 15) << log;
  EXPECT_NE(log.find("POST /api/projection/pause: 403"), std::string::npos);
}

TEST_F(cli_serve, lets_its_pages_load_nothing_from_elsewhere) {
  serve();
  for (auto* path : {"/", "/app.js", "/app.css", "/overview.js", "/history.js",
                     "/operate.js", "/icon.svg", "/api/types"}) {
    auto found = client_->Get(path);
    ASSERT_TRUE(found) << path;
    EXPECT_EQ(found->status, 200) << path;
    auto policy = found->get_header_value("Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos) << path;
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(found->get_header_value("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(found->get_header_value("Cache-Control"), "no-store");
    // The name space of SVG is no address.
    auto body = found->body;
    for (std::size_t at = 0; (at = body.find("http://www.w3.org/2000/svg", at))
                             != std::string::npos;)
      body.erase(at, 26);
    EXPECT_EQ(body.find("://"), std::string::npos) << path;
    EXPECT_EQ(body.find("style=\""), std::string::npos) << path;
    EXPECT_EQ(body.find("innerHTML"), std::string::npos) << path;
  }
}

// -- what is hostile ----------------------------------------------------------

TEST_F(cli_serve, refuses_what_is_hostile_and_changes_nothing) {
  park();
  serve();
  auto before = journal_hash();
  const std::vector<std::string> texts{
    "'; drop table event; --",
    "' or '1'='1",
    "$1",
    "{schema}",
    "a'||(select pg_sleep(30))||'",
    "../../../etc/passwd",
    "..\\..\\windows",
    "%00",
    "<script>alert(1)</script>",
    std::string(5000, 'x'),
    "\xff\xfe",
    "\x1b[31m",
    "\xc2\x9b",
  };
  for (auto& text : texts) {
    auto x = httplib::detail::encode_query_param(text);
    if (text == "%00")
      x = text;
    for (auto& path :
         {"/api/entity?type=account&id=" + x, "/api/entity?id=a&type=" + x,
          "/api/event?seq_no=1&type=" + x,
          "/api/event?type=account&seq_no=" + x, "/api/events?after=" + x,
          "/api/history?type=account&id=a&from=" + x}) {
      auto found = client_->Get(path);
      ASSERT_TRUE(found) << path;
      EXPECT_TRUE(found->status == 400 || found->status == 404)
        << path << ": " << found->status << " " << found->body;
      EXPECT_EQ(found->get_header_value("Content-Type"), "application/json");
    }
    for (auto& path :
         {"/api/events?name=" + x, "/api/letters?projection=" + x,
          "/api/entities?type=" + x, "/api/events?type=account&id=" + x}) {
      auto found = client_->Get(path);
      ASSERT_TRUE(found) << path;
      // Nothing is found under such names.
      EXPECT_LE(found->body.size(), 6000U) << path;
      EXPECT_NE(found->status, 500) << path << ": " << found->body;
    }
    auto body
      = json{{"projection", text}, {"seq_no", 1}, {"confirm", text}}.dump(
        -1, ' ', false, json::error_handler_t::replace);
    for (auto* path : {"/api/projection/pause", "/api/projection/skip",
                       "/api/letters/drop", "/api/letters/replay"}) {
      auto found
        = client_->Post(path, {{"X-Evented", "1"}}, body, "application/json");
      ASSERT_TRUE(found) << path;
      EXPECT_TRUE(found->status == 404 || found->status == 400)
        << path << " " << text << ": " << found->status << found->body;
    }
  }
  for (auto* path :
       {"/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
        "/app.js/../../secret", "/api/", "/api/overview/", "/index.html",
        "/.git/config", "/api/projection/pause%00"}) {
    auto found = client_->Get(path);
    ASSERT_TRUE(found) << path;
    EXPECT_EQ(found->status, 404) << path;
    EXPECT_EQ(found->body.find("root:"), std::string::npos);
  }
  for (auto& body :
       {""s, "[]"s, "null"s, "{"s, "\"x\""s, "{\"projection\": 1}"s,
        "{\"projection\": null}"s, "{\"projection\": \"a\\u0000b\"}"s,
        std::string(30'000, '['),
        std::string(30'000, '[') + std::string(30'000, ']'),
        "{\"projection\": " + std::string(30'000, '[')
          + std::string(30'000, ']') + "}",
        "{\"projection\": [\"totals\"]}"s}) {
    auto found = client_->Post("/api/projection/pause", {{"X-Evented", "1"}},
                               body, "application/json");
    ASSERT_TRUE(found) << body.substr(0, 100);
    EXPECT_EQ(found->status, 400) << body.substr(0, 100);
  }
  // A giant body is not read to its end.
  auto giant
    = client_->Post("/api/projection/pause", {{"X-Evented", "1"}},
                    std::string(8 * 1024 * 1024, ' '), "application/json");
  EXPECT_TRUE(!giant || giant->status == 413);
  auto long_address = client_->Get("/" + std::string(20'000, 'x'));
  EXPECT_TRUE(!long_address || long_address->status == 414);
  EXPECT_EQ(journal_hash(), before);
  // Whoever is next is served, and the operator's terminal is left alone.
  get("/api/overview");
  auto log = stop();
  EXPECT_NE(log.find("POST /api/projection/pause: 400"), std::string::npos);
  EXPECT_EQ(log.find('\x1b'), std::string::npos);
}
