#pragma once

#include "cli/operator.hpp"

#include <csignal>
#include <httplib.h>
#include <memory>

namespace evented::test {

using namespace std::literals;

/// A journal with a few events and a projection, and `evented serve` for it.
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

} // namespace evented::test
