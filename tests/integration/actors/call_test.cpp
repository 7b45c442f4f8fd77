// What threads that are no actors get from `call`.

#include "support/bank.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class calls : public testing::Test {
protected:
  bank bank_;
  journal journal_{bank_.sys(), make_memory_store()};
  caf::actor accounts_ = spawn_entities<account>(bank_.sys(), journal_);
  uuid id_ = uuid::v4();
};

} // namespace

TEST_F(calls, return_what_was_accepted) {
  auto first = call(bank_.sys(), accounts_, 30s, id_, deposit{10});
  ASSERT_TRUE(first) << evented::render(bank_.sys(), first.error());
  EXPECT_EQ(first->version, 1u);
  auto second
    = call(bank_.sys(), accounts_, 30s, id_, deposit{5}, command_id{"x"});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->version, 2u);
}

TEST_F(calls, return_replies_beside_it) {
  ASSERT_TRUE(call(bank_.sys(), accounts_, 30s, id_, deposit{10}));
  auto found = call<accepted, std::uint64_t>(bank_.sys(), accounts_, 30s, id_,
                                             get_balance{});
  ASSERT_TRUE(found);
  EXPECT_EQ(std::get<0>(*found).version, 1u);
  EXPECT_EQ(std::get<1>(*found), 10u);
}

TEST_F(calls, return_the_reason_why_not) {
  auto done = call(bank_.sys(), accounts_, 30s, id_, withdraw{1});
  ASSERT_FALSE(done);
  auto why = rejection<insufficient>(done.error());
  ASSERT_TRUE(why.has_value());
  EXPECT_EQ(why->balance, 0u);
}

TEST_F(calls, take_no_other_answer_for_theirs) {
  EXPECT_FALSE(call<std::string>(bank_.sys(), accounts_, 30s, id_, deposit{1}));
  EXPECT_FALSE(call(bank_.sys(), accounts_, 30s, id_, get_balance{}));
}

TEST_F(calls, return_in_time) {
  auto answer = [](caf::event_based_actor* self, int) {
    // CAF 1.x would answer for a promise that is dropped.
    auto kept = std::make_shared<caf::response_promise>();
    return caf::behavior{[=](const uuid&, const deposit&) {
      return *kept = self->make_response_promise();
    }};
  };
  // With an argument, as CAF 0.17 asserts on functions that take none.
  auto silent = bank_.sys().spawn(answer, 0);
  auto done = call(bank_.sys(), silent, 10ms, id_, deposit{1});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), caf::make_error(caf::sec::request_timeout));
  // The promise holds the actor.
  caf::anon_send_exit(silent, caf::exit_reason::user_shutdown);
}

TEST_F(calls, may_come_from_many_threads) {
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back([this] {
      for (auto j = 0; j < 25; ++j)
        EXPECT_TRUE(call(bank_.sys(), accounts_, 30s, id_, deposit{1}));
    });
  for (auto& x : threads)
    x.join();
  EXPECT_EQ(bank_.balance(accounts_, id_), 100u);
}
