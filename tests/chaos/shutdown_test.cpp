// The application goes down with commands in flight. Runs in a process of its
// own, since its end is part of what is tested.

#include "chaos/application.hpp"
#include "chaos/worker.hpp"
#include "support/proxy.hpp"

#include <gtest/gtest.h>

#include <iostream>

using namespace std::literals;

using namespace evented::test;

using evented::errc;

namespace {

/// What goes down, and after how many answers.
struct way_down {
  const char* what;
  int after;
};

class shutdown : public testing::TestWithParam<way_down> {};

INSTANTIATE_TEST_SUITE_P(
  , shutdown,
  testing::Values(way_down{"region", 0}, way_down{"region", 100},
                  way_down{"exit", 0}, way_down{"exit", 100},
                  way_down{"system", 0}, way_down{"system", 100}),
  [](auto& x) {
    return std::string{x.param.what} + "_after_" + std::to_string(x.param.after)
           + "_answers";
  });

} // namespace

TEST_P(shutdown, answers_every_command_in_flight_and_ends) {
  auto& server = common_server();
  auto schema = unique_schema();
  worker app{{"shutdown", server.url(), schema, GetParam().what, "500",
              std::to_string(GetParam().after)}};
  ASSERT_EQ(app.hear().value_or("nothing"), "warm");
  app.tell("go");
  ledger book;
  ASSERT_TRUE(app.hear_answers(book)) << "got " << book.summary();
  EXPECT_EQ(app.wait(10s), "exit 0");
  std::cout << book.summary() << '\n';
  EXPECT_EQ(book.size(), 525u);
  EXPECT_EQ(book.unexpected({errc::shutting_down, errc::outcome_unknown}), "");
  journal_view journal{server.url(), schema};
  EXPECT_EQ(journal.compare(book.answers()), "");
}

class shutdown_without_database : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(, shutdown_without_database,
                         testing::Values("region", "exit", "system"),
                         [](auto& x) { return std::string{x.param}; });

TEST_P(shutdown_without_database, answers_every_command_and_ends) {
  auto& server = common_server();
  proxy link{server.socket_directory() / ".s.PGSQL.5432"};
  auto schema = unique_schema();
  worker app{
    {"shutdown", link.url(server.user()), schema, GetParam(), "500", "0"}};
  ASSERT_EQ(app.hear().value_or("nothing"), "warm");
  link.blackhole();
  app.tell("go");
  ledger book;
  ASSERT_TRUE(app.hear_answers(book)) << "got " << book.summary();
  EXPECT_EQ(app.wait(10s), "exit 0");
  std::cout << book.summary() << '\n';
  EXPECT_EQ(book.size(), 525u);
  EXPECT_EQ(book.accepted(), 25u);
  EXPECT_EQ(book.unexpected(
              {errc::shutting_down, errc::unavailable, errc::outcome_unknown}),
            "");
  // What was on its way may still arrive.
  link.heal();
  EXPECT_TRUE(wait_until([&] { return link.open_connections() == 0; }));
  journal_view journal{server.url(), schema};
  EXPECT_EQ(journal.compare(book.answers()), "");
}
