// Connections and the server itself go away under load, and come back.

#include "chaos/application.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <random>

using namespace std::literals;

using namespace evented::test;

using evented::errc;

namespace {

/// An application with 200 accounts under load.
class busy {
public:
  explicit busy(evented::dev::postgres& server) : server_(server) {
    where_.url = server.url();
    where_.schema = unique_schema();
    app_.emplace(where_);
    for (int i = 0; i < 200; ++i)
      ids_.push_back(evented::uuid::v4());
    load_.emplace(*app_, ids_, 1, "load", book);
  }

  /// Waits until commands are accepted that were sent from now on.
  [[nodiscard]] bool makes_progress() {
    // Each sender has one command in flight; these may be from before.
    auto enough = book.accepted() + ids_.size() + 1;
    return wait_until([&] { return book.accepted() >= enough; }, 20s);
  }

  /// Stops the load and returns everything that is wrong.
  std::string finish() {
    if (!load_->stop())
      return "senders wait for answers in vain";
    // Each account is of use, and in memory what it is in the journal.
    for (auto& id : ids_)
      book.add(app_->ask(id, deposit{"last." + to_string(id), 1}));
    std::cout << book.summary() << '\n';
    journal_view journal{server_.url(), where_.schema};
    auto result = journal.compare(book.answers());
    for (std::size_t i = 0; i < ids_.size(); i += 10) {
      auto seen = app_->see(ids_[i]);
      auto replayed = journal.replay(ids_[i]);
      if (!seen.error.empty())
        result += seen.error + '\n';
      else if (seen.state != replayed)
        result += "in memory " + to_string(seen.state) + ", in the journal "
                  + to_string(replayed) + '\n';
    }
    return result;
  }

  ledger book;

private:
  evented::dev::postgres& server_;
  evented::journal_options where_;
  std::optional<application> app_;
  std::vector<evented::uuid> ids_;
  std::optional<load> load_;
};

/// Kills the connections of all applications; returns how many.
std::size_t terminate_all(const std::string& url) {
  return query(url, "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'evented'")
    .size();
}

} // namespace

TEST(connections, that_are_terminated_lose_and_double_no_command) {
  busy app{common_server()};
  ASSERT_TRUE(app.makes_progress()) << app.book.summary();
  std::minstd_rand random{42};
  std::uniform_int_distribution<int> pause{50, 100};
  std::size_t terminated = 0;
  auto end = std::chrono::steady_clock::now() + load_time(3s);
  while (std::chrono::steady_clock::now() < end) {
    terminated += terminate_all(common_server().url());
    pass_time(std::chrono::milliseconds{pause(random)});
  }
  std::cout << terminated << " connections terminated\n";
  EXPECT_GT(terminated, 20u);
  EXPECT_TRUE(app.makes_progress()) << app.book.summary();
  EXPECT_EQ(app.finish(), "");
  EXPECT_EQ(app.book.unexpected(
              {errc::rejected, errc::outcome_unknown, errc::unavailable}),
            "");
}

TEST(server, that_stops_and_starts_under_load_loses_and_doubles_no_command) {
  evented::dev::postgres server{fast_server()};
  busy app{server};
  using evented::dev::shutdown;
  for (auto mode : {shutdown::fast, shutdown::immediate}) {
    ASSERT_TRUE(app.makes_progress()) << app.book.summary();
    server.restart(mode);
  }
  ASSERT_TRUE(app.makes_progress()) << app.book.summary();
  server.kill();
  server.start();
  EXPECT_TRUE(app.makes_progress()) << app.book.summary();
  EXPECT_EQ(app.finish(), "");
  EXPECT_EQ(app.book.unexpected(
              {errc::rejected, errc::outcome_unknown, errc::unavailable}),
            "");
}
