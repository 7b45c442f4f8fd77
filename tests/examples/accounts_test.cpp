// examples/accounts, as a client over HTTP sees it.

#include "examples/accounts_service.hpp"

#include <evented/uuid.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <httplib.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace evented;
using namespace evented::test;

using nlohmann::json;

class accounts : public testing::Test {
protected:
  accounts() { start(); }

  void start() {
    service.emplace(ACCOUNTS,
                    std::vector<std::string>{"--port", "0", "--database", url});
    port = port_of(*service);
    client.emplace("127.0.0.1", port);
  }

  /// Sends a request; the answer has to come.
  httplib::Response send(const std::string& method, const std::string& path,
                         const json& body = {},
                         const httplib::Headers& headers = {}) {
    httplib::Request request;
    request.method = method;
    request.path = path;
    request.headers = headers;
    if (!body.is_null()) {
      request.body = body.dump();
      request.set_header("Content-Type", "application/json");
    }
    auto result = client->send(request);
    if (!result)
      throw std::runtime_error(httplib::to_string(result.error()));
    return *result;
  }

  static json parsed(const httplib::Response& x) { return json::parse(x.body); }

  /// Opens an account and returns its path.
  std::string open(const std::string& owner, std::int64_t balance = 0) {
    auto path = "/accounts/" + to_string(uuid::v4());
    EXPECT_EQ(send("PUT", path, {{"owner", owner}}).status, 201);
    if (balance > 0) {
      EXPECT_EQ(send("POST", path + "/deposits", {{"amount", balance}}).status,
                200);
    }
    return path;
  }

  std::int64_t balance(const std::string& path) {
    return parsed(send("GET", path)).at("balance");
  }

  std::string url = fresh_database();
  std::optional<process> service;
  std::optional<httplib::Client> client;
  int port = 0;
};

} // namespace

TEST_F(accounts, keep_what_was_put_in_and_taken_out) {
  auto path = open("Ada");
  auto answer = send("POST", path + "/deposits", {{"amount", 500}});
  EXPECT_EQ(answer.get_header_value("ETag"), "\"2\"");
  answer = send("POST", path + "/withdrawals", {{"amount", 120}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(parsed(answer), (json{{"id", path.substr(10)},
                                  {"owner", "Ada"},
                                  {"balance", 380},
                                  {"version", 3}}));
  answer = send("GET", path);
  EXPECT_EQ(answer.get_header_value("ETag"), "\"3\"");
  EXPECT_EQ(parsed(answer).at("balance"), 380);
}

TEST_F(accounts, say_why_not) {
  auto path = open("Ada", 100);
  auto missing = "/accounts/" + to_string(uuid::v4());
  auto check = [&](const httplib::Response& x, int status, const char* title) {
    EXPECT_EQ(x.status, status) << x.body;
    EXPECT_EQ(x.get_header_value("Content-Type"), "application/problem+json");
    EXPECT_EQ(parsed(x).at("title"), title);
    EXPECT_EQ(parsed(x).at("status"), status);
  };
  check(send("GET", missing), 404, "No such account");
  check(send("GET", "/accounts/7"), 404, "No such account");
  check(send("GET", missing + "/history"), 404, "No such account");
  check(send("POST", missing + "/deposits", {{"amount", 1}}), 404,
        "No such account");
  check(send("PUT", path, {{"owner", "Bob"}}), 409, "Account is taken");
  check(send("PUT", missing, {{"name", "Bob"}}), 422,
        "Field is missing or wrong");
  check(send("POST", path + "/withdrawals", {{"amount", 101}}), 422,
        "Insufficient funds");
  for (json amount : {json(0), json(-1), json(0.5), json("1"),
                      json(1'000'000'000'001), json(UINT64_MAX), json()})
    check(send("POST", path + "/deposits", {{"amount", amount}}), 422,
          "Not an amount");
  check(send("POST", path + "/transfers",
             {{"to", missing.substr(10)}, {"amount", 1}}),
        422, "No such receiver");
  check(
    send("POST", path + "/transfers", {{"to", path.substr(10)}, {"amount", 1}}),
    422, "No such receiver");
  check(send("POST", path + "/deposits", json::array({1})), 400, "Not JSON");
  check(send("POST", path + "/deposits"), 415, "Not JSON");
  check(send("GET", "/nowhere"), 404, "Not found");
  EXPECT_EQ(balance(path), 100);
}

TEST_F(accounts, move_money_between_them) {
  auto from = open("Ada", 100);
  auto to = open("Bob");
  auto body = json{{"to", to.substr(10)}, {"amount", 30}};
  EXPECT_EQ(parsed(send("POST", from + "/transfers", body)).at("balance"), 70);
  EXPECT_TRUE(wait_until([&] { return balance(to) == 30; }));
  body["amount"] = 71;
  EXPECT_EQ(send("POST", from + "/transfers", body).status, 422);
}

TEST_F(accounts, are_listed_as_soon_as_somebody_waits_for_it) {
  for (std::int64_t i = 1; i <= 5; ++i) {
    auto path = open("Ada");
    auto answer = send("POST", path + "/deposits?wait=10", {{"amount", i}});
    ASSERT_EQ(answer.get_header_value("View"), "current");
    auto history = parsed(send("GET", path + "/history"));
    ASSERT_EQ(history.size(), 2u);
    EXPECT_EQ(history[0].at("what"), "deposited");
    EXPECT_EQ(history[0].at("amount"), i);
    auto list = parsed(send("GET", "/accounts"));
    ASSERT_EQ(list.size(), static_cast<std::size_t>(i));
  }
  auto first = parsed(send("GET", "/accounts?limit=3"));
  ASSERT_EQ(first.size(), 3u);
  auto rest = parsed(
    send("GET", "/accounts?after=" + first.back().at("id").get<std::string>()));
  EXPECT_EQ(rest.size(), 2u);
}

TEST_F(accounts, take_a_repeated_request_once) {
  auto path = open("Ada");
  httplib::Headers key{{"Idempotency-Key", "payment-17"}};
  auto first = send("POST", path + "/deposits", {{"amount", 5}}, key);
  auto again = send("POST", path + "/deposits", {{"amount", 5}}, key);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  auto other = send("POST", path + "/deposits", {{"amount", 6}}, key);
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(parsed(other).at("title"), "Idempotency-Key is taken");
  EXPECT_EQ(balance(path), 5);
}

TEST_F(accounts, change_only_as_the_client_knows_them) {
  auto path = open("Ada");
  auto tag = send("GET", path).get_header_value("ETag");
  auto put_in = [&] {
    return send("POST", path + "/deposits", {{"amount", 5}},
                {{"If-Match", tag}});
  };
  EXPECT_EQ(put_in().status, 200);
  auto late = put_in();
  EXPECT_EQ(late.status, 412);
  EXPECT_EQ(parsed(late).at("version"), 2);
  EXPECT_EQ(balance(path), 5);
  EXPECT_EQ(
    send("POST", path + "/deposits", {{"amount", 5}}, {{"If-Match", "W/\"2\""}})
      .status,
    400);
}

TEST_F(accounts, store_the_trace_of_a_request) {
  const auto parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  auto path = "/accounts/" + to_string(uuid::v4());
  send("PUT", path, {{"owner", "Ada"}}, {{"traceparent", parent}});
  send("POST", path + "/deposits", {{"amount", 1}}, {{"traceparent", "junk"}});
  raw_connection database{url};
  auto trace = [&](int version) {
    return database.exec("select coalesce(metadata #>> '{$trace,traceparent}', "
                         "'') from evented.event where version = "
                         + std::to_string(version));
  };
  EXPECT_EQ(trace(1), parent);
  EXPECT_EQ(trace(2), "");
}

TEST_F(accounts, are_found_before_the_view_has_them) {
  raw_connection database{url};
  database.exec("begin");
  database.exec("lock table account_entry in exclusive mode");
  auto path = open("Ada");
  auto history = send("GET", path + "/history");
  EXPECT_EQ(history.status, 200);
  EXPECT_EQ(parsed(history), json::array());
  database.exec("rollback");
}

TEST_F(accounts, serve_all_that_they_describe) {
  auto spec = parsed(send("GET", "/openapi.json"));
  auto path = open("Ada");
  auto seen = 0;
  for (auto& [name, methods] : spec.at("paths").items())
    for (auto& [method, operation] : methods.items()) {
      if (method == "parameters")
        continue;
      auto where = name;
      if (auto at = where.find("/accounts/{id}"); at == 0)
        where = path + where.substr(std::string{"/accounts/{id}"}.size());
      std::string upper = method == "get"   ? "GET"
                          : method == "put" ? "PUT"
                                            : "POST";
      auto answer
        = send(upper, where, upper == "GET" ? json{} : json::object());
      EXPECT_NE(answer.status, 404) << upper << " " << name;
      EXPECT_NE(answer.status, 500) << upper << " " << name;
      ++seen;
    }
  EXPECT_EQ(seen, 7);
}

TEST_F(accounts, show_pages_that_load_nothing_from_elsewhere) {
  for (auto* path : {"/", "/api"}) {
    auto page = send("GET", path);
    EXPECT_EQ(page.status, 200);
    EXPECT_TRUE(page.get_header_value("Content-Security-Policy")
                  .starts_with("default-src 'self'"));
    EXPECT_EQ(page.body.find("://"), std::string::npos);
    EXPECT_NE(page.body.find("</html>"), std::string::npos);
  }
}

TEST_F(accounts, answer_what_is_under_way_when_they_are_told_to_end) {
  auto path = open("Ada");
  std::atomic<int> accepted{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> clients;
  for (auto i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      httplib::Client mine{"127.0.0.1", port};
      while (auto answer = mine.Post(path + "/deposits", R"({"amount":1})",
                                     "application/json")) {
        EXPECT_EQ(answer->status, 200);
        ++accepted;
      }
      over = true;
    });
  EXPECT_TRUE(wait_until([&] { return accepted > 20; }));
  EXPECT_FALSE(over);
  service->signal(SIGTERM);
  for (auto& x : clients)
    x.join();
  EXPECT_EQ(service->finish(), 0);
  EXPECT_TRUE(service->out().ends_with("stopped\n"));
  // None was answered that is not there, and none done that was not answered.
  start();
  EXPECT_EQ(balance(path), accepted);
}

TEST(accounts_options, come_from_flags_files_and_the_environment) {
  auto url = fresh_database();
  auto file = std::filesystem::temp_directory_path()
              / ("accounts_" + to_string(uuid::v4()) + ".toml");
  std::ofstream{file} << "port = 0\nhost = \"192.0.2.2\"\n";
  process service{ACCOUNTS,
                  {"--config", file.string(), "--host", "127.0.0.1"},
                  {{"EVENTED_DATABASE_URL", url},
                   {"ACCOUNTS_HOST", "192.0.2.1"},
                   {"ACCOUNTS_PORT", "1"},
                   {"ACCOUNTS_THREADS", "2"}}};
  auto port = port_of(service);
  std::filesystem::remove(file);
  auto answer = httplib::Client{"127.0.0.1", port}.Get("/accounts");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "[]");
  service.signal(SIGINT);
  EXPECT_EQ(service.finish(), 0);

  process bad{ACCOUNTS, {"--port", "70000"}};
  EXPECT_NE(bad.finish(), 0);
}
