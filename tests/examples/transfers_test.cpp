// examples/transfers, killed at each of its steps.

#include "support/journals.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

namespace {

using namespace evented::test;

/// The journal of one database.
class ledger {
public:
  explicit ledger(const std::string& name) {
    raw_connection{}.exec("create database " + name);
    url_ = server().url(name);
  }

  /// Starts the program.
  [[nodiscard]] process start() const {
    return process{TRANSFERS, {}, {{"EVENTED_DATABASE_URL", url_}}};
  }

  [[nodiscard]] int events() const {
    raw_connection database{url_};
    if (database.exec("select to_regclass('evented.event')").empty())
      return 0;
    return std::stoi(database.exec("select count(*) from evented.event"));
  }

  /// Returns what has happened to each entity, one line an event.
  [[nodiscard]] std::string story() const {
    return raw_connection{url_}.exec(
      "select string_agg(entity_id || '@' || version || ' ' || event::text, "
      "E'\n' order by type_name, entity_id, version) from evented.event "
      "where type_name = 'transfer'");
  }

  /// Returns the entries of a wallet, whose order is up to the transfers.
  [[nodiscard]] std::string entries(const std::string& wallet) const {
    return raw_connection{url_}.exec(
      "select coalesce(string_agg((event->>'by') || ' ' || (event->>'why'), "
      "E'\n' order by event->>'why'), '') from evented.event where entity_id = "
      "'"
      + wallet + "' and event ? 'by'");
  }

private:
  std::string url_;
};

} // namespace

TEST(transfers, end_the_same_whenever_the_process_manager_is_killed) {
  ledger calm{"transfers_calm"};
  EXPECT_EQ(calm.start().finish(), 0);
  EXPECT_EQ(calm.entries("alice"), "100 funded\n"
                                   "20 given back by present\n"
                                   "-20 taken by present\n"
                                   "-70 taken by rent");
  EXPECT_EQ(calm.entries("bob"), "70 given by rent");
  EXPECT_EQ(calm.entries("carol"), "");

  ledger rough{"transfers_rough"};
  auto all = calm.events();
  EXPECT_EQ(all, 15);
  for (auto step = 1; step < all; ++step) {
    auto program = rough.start();
    EXPECT_TRUE(wait_until([&] { return rough.events() >= step; },
                           std::chrono::minutes{1}));
    program.signal(SIGKILL);
    EXPECT_EQ(program.finish(), -1);
  }
  EXPECT_EQ(rough.start().finish(), 0);
  EXPECT_EQ(rough.story(), calm.story());
  for (auto* wallet : {"alice", "bob", "carol"})
    EXPECT_EQ(rough.entries(wallet), calm.entries(wallet)) << wallet;
}
