// A client repeats a command with its ID after the process that had it is gone.

#include "chaos/proxied.hpp"
#include "chaos/worker.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <map>

using namespace std::literals;

using namespace evented::test;

using evented::command_id;
using evented::errc;

TEST(commands_with_an_id, are_answered_after_a_kill_between_commit_and_reply) {
  proxied at{10s};
  auto id = evented::uuid::v4();
  application here{[&] {
    auto direct = at.where();
    direct.url = at.direct();
    return direct;
  }()};
  worker payer{
    {"payer", at.where().url.reveal(), at.schema(), to_string(id), "1000"}};
  ASSERT_EQ(payer.hear().value_or("nothing"), "ready");
  payer.tell("0");
  ASSERT_TRUE(payer.hear());
  at.link().blackhole(direction::to_client);
  // Some payment commits, and nobody hears of it: the table stands still while
  // its last payment has no answer.
  std::map<std::string, answer> told;
  for (std::optional<std::string> line; (line = payer.hear(200ms));) {
    auto x = to_answer(*line);
    told[x.token] = x;
  }
  auto lost = at.journal().replay(id).events - 1;
  auto token = std::to_string(lost);
  ASSERT_EQ(told.count(token), 0u);
  EXPECT_EQ(payer.kill(), "signal 9");
  auto repeated = here.ask(id, deposit{token, 1}, command_id{token});
  ASSERT_TRUE(repeated.ok) << to_string(repeated);
  EXPECT_EQ(repeated.ok->version, lost + 1);
  EXPECT_EQ(at.journal().count(token), 1u);
  auto different = here.ask(id, deposit{token, 2}, command_id{token});
  EXPECT_EQ(different.code, errc::used_command_id) << to_string(different);
}

TEST(commands_with_an_id, are_made_once_however_often_their_process_is_killed) {
  auto& server = common_server();
  auto schema = unique_schema();
  auto id = evented::uuid::v4();
  constexpr auto payments = 2000;
  auto next = 0;
  auto kills = 0;
  std::map<int, evented::accepted> told;
  auto run_one = [&](bool to_the_end) {
    worker one{
      {"payer", server.url(), schema, to_string(id), std::to_string(payments)}};
    if (one.hear().value_or("nothing") != "ready") {
      ADD_FAILURE() << "the process does not start";
      return false;
    }
    // Begins with the one before: its answer has come, and comes again.
    one.tell(std::to_string(std::max(0, next - 1)));
    auto heard = 0;
    auto limit = 20 + 37 * (kills % 7);
    while (to_the_end || heard < limit) {
      auto line = one.hear();
      if (!line) {
        ADD_FAILURE() << "no answer";
        return false;
      }
      if (*line == "end")
        return false;
      auto x = to_answer(*line);
      if (!x.ok) {
        ADD_FAILURE() << to_string(x);
        return false;
      }
      auto n = std::stoi(x.token);
      auto [known, fresh] = told.emplace(n, *x.ok);
      EXPECT_TRUE(fresh || known->second == *x.ok) << to_string(x);
      next = n + 1;
      ++heard;
    }
    // Whatever it is doing now.
    EXPECT_EQ(one.kill(), "signal 9");
    ++kills;
    return true;
  };
  while (run_one(kills >= 8)) {
    // Another process goes on.
  }
  std::cout << kills << " kills\n";
  EXPECT_EQ(told.size(), static_cast<std::size_t>(payments));
  journal_view journal{server.url(), schema};
  EXPECT_EQ(journal.replay(id).events, static_cast<std::uint64_t>(payments));
  for (auto n = 0; n < payments; ++n)
    ASSERT_EQ(journal.count(std::to_string(n)), 1u) << n;
}
