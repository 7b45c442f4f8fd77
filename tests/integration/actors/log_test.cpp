// What the log says of commands, and what it must not.

#include "answer_log.hpp"
#include "support/bank.hpp"
#include "support/log_lines.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

using namespace evented;
using namespace evented::test;

namespace {

class logged_commands : public testing::Test {
protected:
  logged_commands() : log_(&log_lines::instance()) { log_->clear(); }

  ~logged_commands() override { spdlog::set_level(spdlog::level::info); }

  log_lines* log_;
  bank bank_;
  journal journal_{bank_.sys(), fresh_journal()};
  caf::actor accounts_ = spawn_entities<account>(bank_.sys(), journal_);
  uuid id_ = uuid::v4();
};

} // namespace

TEST_F(logged_commands, that_fail_are_found_by_their_entity_and_correlation) {
  envelope how;
  how.correlation_id = "request \"7\"";
  // Somebody else may have used up the line of this second.
  EXPECT_TRUE(wait_until([&] {
    caf::error err;
    bank_.self()
      ->request(accounts_, std::chrono::seconds{30}, id_, explode{"the beast"},
                how)
      .receive([](const accepted&) {}, [&](caf::error& x) { err = x; });
    EXPECT_EQ(code_of(err), errc::handler_failed);
    return log_->count("the beast") > 0;
  }));
  EXPECT_EQ(log_->count("outcome=handler_failed entity_type=account entity_id="
                        + to_string(id_)
                        + " version=0 correlation_id=\"request \\\"7\\\"\""),
            1U);
  EXPECT_EQ(log_->count("the beast"), 1U);
}

TEST_F(logged_commands, that_fail_together_take_a_line_a_second) {
  constexpr std::size_t most = 200;
  auto begin = std::chrono::steady_clock::now();
  for (auto& x : bank_.ask_all(accounts_, id_,
                               std::vector<explode>(most, explode{"again"})))
    EXPECT_EQ(x.code(), errc::handler_failed);
  auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(log_->count("outcome=handler_failed"),
            2U + static_cast<std::size_t>(took / std::chrono::seconds{1}));
}

TEST_F(logged_commands, leave_no_payload_behind) {
  spdlog::set_level(spdlog::level::trace);
  const std::string secret = "what nobody else shall read";
  EXPECT_TRUE(bank_.ask(accounts_, id_, write_note{secret}).ok);
  EXPECT_EQ(bank_.ask(accounts_, id_, withdraw{1000}).code(), errc::rejected);
  // The answers themselves are there at this level.
  EXPECT_EQ(log_->count("outcome=accepted entity_type=account"), 1U);
  EXPECT_EQ(log_->count("outcome=rejected entity_type=account"), 1U);
  EXPECT_EQ(log_->count(secret), 0U);
}

TEST_F(logged_commands, say_nothing_where_nothing_is_wrong) {
  EXPECT_TRUE(bank_.ask(accounts_, id_, deposit{1}).ok);
  EXPECT_EQ(bank_.ask(accounts_, id_, withdraw{1000}).code(), errc::rejected);
  EXPECT_EQ(log_->count("command"), 0U);
}

TEST(log_value, cannot_pose_as_something_else) {
  using detail::log_value;
  EXPECT_EQ(log_value("account-7"), "account-7");
  EXPECT_EQ(log_value(""), "\"\"");
  EXPECT_EQ(log_value("a b"), "\"a b\"");
  EXPECT_EQ(log_value("x outcome=accepted"), "\"x outcome=accepted\"");
  EXPECT_EQ(log_value("a\"\\"), "\"a\\\"\\\\\"");
  EXPECT_EQ(log_value("a\nevented: \x1b[31m"), "\"a\\x0aevented: \\x1b[31m\"");
}
