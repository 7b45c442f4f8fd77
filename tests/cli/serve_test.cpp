// evented serve: what the dashboard answers, and what it refuses.

#include "cli/operator.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <httplib.h>
#include <memory>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

const std::string token = "a token that nobody guesses";

class cli_serve : public cli {
protected:
  cli_serve() {
    append("account", "a"s, 3);
    append("account", "b"s, 2, 0, {"tea"});
    append("order", "c"s, 1);
    session_ = open()->connect_projections();
    session_->declare("totals", 1, 1, from_beginning{});
  }

  /// Starts the server and a client for it.
  void serve(std::vector<std::string> more = {},
             const std::map<std::string, std::string>& env = {}) {
    std::vector<std::string> arguments{"serve", "--listen", "127.0.0.1:0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_ = std::make_unique<program>(here(arguments), env);
    ASSERT_TRUE(server_->read_until(
      [](auto& out) { return out.find("/\n") != std::string::npos; }))
      << server_->err();
    auto& out = server_->out();
    port_ = std::stoi(out.substr(out.rfind(':') + 1));
    client_ = std::make_unique<httplib::Client>("127.0.0.1", port_);
    client_->set_read_timeout(30);
  }

  json get(const std::string& path, int status = 200) {
    auto found = client_->Get(path);
    EXPECT_TRUE(found) << path;
    if (!found)
      return {};
    EXPECT_EQ(found->status, status) << path << ": " << found->body;
    return json::parse(found->body);
  }

  json post(const std::string& path, const json& body, int status = 200,
            httplib::Headers headers = {{"X-Evented", "1"}}) {
    auto found = client_->Post(path, headers, body.dump(), "application/json");
    EXPECT_TRUE(found) << path;
    if (!found)
      return {};
    EXPECT_EQ(found->status, status) << path << ": " << found->body;
    return json::parse(found->body);
  }

  /// Stores dead letters of "a" at the events 1 and 2.
  void park() {
    auto lease = session_->acquire({"totals", 1, 0}, 1, uuid::v4());
    ASSERT_TRUE(lease);
    projection_step step;
    step.up_to = 2;
    step.letters = {{"account", "a"s, 1, letter_kind::parked, "the beast"},
                    {"account", "a"s, 2, letter_kind::behind, "one before it"}};
    session_->commit(*lease, step);
  }

  std::string operations() {
    return sql("select coalesce(string_agg(verb || ' ' || outcome, ', ' order "
               "by id), '') from SCHEMA.operation");
  }

  /// Everything that somebody could have changed.
  std::string journal_hash() {
    std::string result;
    for (auto* name : {"event", "projection", "projection_range", "dead_letter",
                       "operation", "meta", "snapshot", "outbox"})
      result += sql("select md5(coalesce(string_agg(x::text, '|' order by "
                    "x::text), '')) from SCHEMA."s
                    + name + " as x")
                + " ";
    return result;
  }

  /// Ends the server and returns what it has logged.
  std::string stop() {
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->finish(), 0) << server_->err();
    return server_->err();
  }

  std::unique_ptr<projection_session> session_;
  std::unique_ptr<program> server_;
  std::unique_ptr<httplib::Client> client_;
  int port_ = 0;
};

} // namespace

// -- looking ------------------------------------------------------------------

TEST_F(cli_serve, shows_the_state_of_the_journal) {
  serve();
  auto x = get("/api/overview");
  EXPECT_EQ(x["frontier"], 6);
  ASSERT_EQ(x["projections"].size(), 1U);
  EXPECT_EQ(x["projections"][0]["lag_events"], 6);
  auto types = get("/api/types")["types"];
  ASSERT_EQ(types.size(), 2U);
  EXPECT_EQ(types[0]["entities"], 2);
  EXPECT_EQ(types[0]["events"], 5);
  EXPECT_EQ(stop(), "");
}

TEST_F(cli_serve, pages_through_entities_in_the_order_of_their_ids) {
  for (auto i = 10; i < 20; ++i)
    append("thing", "t" + std::to_string(i), 2);
  serve();
  std::string seen;
  std::string after;
  for (;;) {
    auto page
      = get("/api/entities?type=thing&limit=3&after=" + after)["entities"];
    for (auto& e : page) {
      EXPECT_EQ(e["version"], 2);
      after = e["id"];
      seen += after + " ";
    }
    if (page.size() < 3)
      break;
  }
  EXPECT_EQ(seen, "t10 t11 t12 t13 t14 t15 t16 t17 t18 t19 ");
  auto from = get("/api/entities?type=thing&limit=1&from=t15")["entities"];
  EXPECT_EQ(from[0]["id"], "t15");
}

TEST_F(cli_serve, pages_through_events_both_ways) {
  serve();
  auto numbers = [this](const std::string& query) {
    std::string result;
    auto found = get("/api/events?limit=2" + query)["events"];
    for (auto& e : found)
      result += std::to_string(e["seq_no"].get<int>()) + " ";
    return result;
  };
  EXPECT_EQ(numbers(""), "5 6 ");
  EXPECT_EQ(numbers("&up_to=4"), "3 4 ");
  EXPECT_EQ(numbers("&after=0"), "1 2 ");
  EXPECT_EQ(numbers("&type=order"), "6 ");
  EXPECT_EQ(numbers("&type=account&id=a"), "2 3 ");
  EXPECT_EQ(numbers("&name=never"), "");
}

TEST_F(cli_serve, shows_an_entity_at_each_of_its_versions) {
  serve();
  EXPECT_EQ(get("/api/entity?type=account&id=a")["version"], 3);
  auto found = get("/api/history?type=account&id=a&from=2&limit=1")["events"];
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]["version"], 2);
  EXPECT_EQ(json::parse(found[0]["payload"].get<std::string>())["n"], 2);
  get("/api/entity?type=account&id=nobody", 404);
  EXPECT_EQ(get("/api/event?type=order&seq_no=6")["id"], "c");
  get("/api/event?type=order&seq_no=1", 404);
}

TEST_F(cli_serve, leaves_large_numbers_as_they_are) {
  sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
      "event_name, schema_version, append_id, event) values ('big', 'x', 1, "
      + std::to_string(slice_of("x"s))
      + ", 'happened', 1, gen_random_uuid(), '{\"n\": 9007199254740993}')");
  serve();
  auto found = get("/api/history?type=big&id=x")["events"];
  EXPECT_EQ(found[0]["payload"], R"({"n": 9007199254740993})");
}

TEST_F(cli_serve, tells_prometheus_what_the_journal_knows) {
  park();
  serve();
  auto found = client_->Get("/metrics");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->status, 200);
  for (auto* line : {"\nevented_journal_frontier_seq_no 6\n",
                     "\nevented_journal_projection_dead_letters{projection="
                     "\"totals\"} 2\n",
                     "\nevented_journal_projection_lag_events{projection="
                     "\"totals\"} 4\n"})
    EXPECT_NE(found->body.find(line), std::string::npos) << found->body;
}

// -- changing -----------------------------------------------------------------

TEST_F(cli_serve, does_what_the_verbs_do_and_writes_it_down) {
  park();
  serve();
  post("/api/projection/pause", {{"projection", "totals"}});
  EXPECT_TRUE(session_->status("totals").paused);
  post("/api/projection/resume", {{"projection", "totals"}});
  EXPECT_FALSE(session_->status("totals").paused);
  EXPECT_EQ(get("/api/letters")["letters"].size(), 2U);
  post("/api/letters/drop",
       {{"projection", "totals"}, {"seq_no", 2}, {"confirm", "totals"}});
  EXPECT_EQ(get("/api/letters")["letters"].size(), 1U);
  EXPECT_EQ(operations(), "projection pause done, projection resume done, "
                          "dead-letters drop done");
  auto found = get("/api/operations")["operations"];
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0]["verb"], "dead-letters drop");
  // From where, as whom.
  EXPECT_NE(found[0]["client"].get<std::string>().find("127.0.0.1 by "),
            std::string::npos);
}

TEST_F(cli_serve, asks_the_program_that_runs_the_projection) {
  serve();
  std::thread program{[this] {
    auto mine = open()->connect_projections();
    std::optional<projection_request> found;
    EXPECT_TRUE(
      wait_until([&] { return (found = mine->take_request("totals")); }));
    if (found)
      mine->end_request(found->id, "no, not now", 0);
  }};
  auto answer = post("/api/projection/reset",
                     {{"projection", "totals"}, {"confirm", "totals"}}, 409);
  program.join();
  EXPECT_NE(answer["error"].get<std::string>().find("no, not now"),
            std::string::npos);
  EXPECT_EQ(operations(), "projection reset failed");
}

TEST_F(cli_serve, wants_the_name_once_more_before_what_is_for_good) {
  park();
  serve();
  auto before = journal_hash();
  for (auto* path : {"/api/projection/reset", "/api/projection/rebuild",
                     "/api/projection/skip", "/api/letters/drop"})
    for (auto& confirm : {json(), json("other"), json(true)})
      post(path,
           {{"projection", "totals"}, {"seq_no", 1}, {"confirm", confirm}},
           409);
  EXPECT_EQ(journal_hash(), before);
}

TEST_F(cli_serve, changes_nothing_where_it_may_only_look) {
  park();
  serve({"--read-only"});
  auto before = journal_hash();
  post("/api/projection/pause", {{"projection", "totals"}}, 409);
  post("/api/letters/drop",
       {{"projection", "totals"}, {"seq_no", 2}, {"confirm", "totals"}}, 409);
  EXPECT_TRUE(get("/api/session")["read_only"].get<bool>());
  EXPECT_EQ(journal_hash(), before);
}

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
    json name = text;
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
        std::string(30'000, '['), "{\"projection\": [\"totals\"]}"s}) {
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

TEST_F(cli_serve, answers_again_once_the_database_is_back) {
  serve();
  get("/api/types");
  sql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> "
      "pg_backend_pid() and backend_type = 'client backend'");
  EXPECT_TRUE(wait_until([&] {
    auto found = client_->Get("/api/types");
    return found && found->status == 200;
  }));
}
