// What a projection promises, with real actors and a real PostgreSQL.

#include "support/bank.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

class projection_on_postgres : public ::testing::Test {
protected:
  projection_on_postgres() {
    sql("create table SCHEMA.balance (id uuid primary key, amount bigint not "
        "null)");
    sql("create table SCHEMA.handled (seq_no bigint primary key)");
  }

  template <class... Ts>
  rows sql(std::string statement, Ts&&... params) {
    return evented::sql(journal_, in_schema(std::move(statement)),
                        std::forward<Ts>(params)...);
  }

  std::string in_schema(std::string statement) const {
    for (auto at = statement.find("SCHEMA"); at != std::string::npos;
         at = statement.find("SCHEMA"))
      statement.replace(at, 6, options_.schema);
    return statement;
  }

  /// Adds up deposits, and notes each event that it has handled.
  auto handler() const {
    return [add = in_schema("insert into SCHEMA.balance values ($1, $2) on "
                            "conflict (id) do update set amount = "
                            "balance.amount + excluded.amount"),
            note = in_schema("insert into SCHEMA.handled values ($1)")](
             const recorded<account>& e, transaction& tx) {
      tx.exec(note, e.seq_no);
      if (auto* x = e.as<deposited>())
        tx.exec(add, e.id, x->amount);
    };
  }

  template <class Answer, class Message>
  Answer ask(const caf::actor& whom, Message what) {
    Answer result{};
    bank_.self()
      ->request(whom, 30s, std::move(what))
      .receive([&](Answer& x) { result = std::move(x); },
               [&](const caf::error& err) {
                 throw std::runtime_error(evented::render(bank_.sys(), err));
               });
    return result;
  }

  template <class Message>
  void tell(const caf::actor& whom, Message what) {
    ask<control::done>(whom, std::move(what));
  }

  std::string count(const std::string& table) {
    return *sql("select count(*) from SCHEMA." + table)[0][0];
  }

  bank bank_;
  journal_options options_ = fresh_journal();
  journal journal_{bank_.sys(), options_};
  uuid id_ = uuid::v4();
};

} // namespace

TEST_F(projection_on_postgres, writes_a_view) {
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  auto view
    = spawn_projection<account>(bank_.sys(), journal_, "balances", handler());
  std::uint64_t last = 0;
  for (int i = 0; i < 10; ++i)
    last = bank_.ask(region, id_, deposit{10}).where.seq_no;
  auto how = ask<reached>(view, control::wait_until{id_, last, 10s});
  EXPECT_EQ(how.fate, "handled");
  EXPECT_EQ(sql("select amount from SCHEMA.balance where id = $1", id_)[0][0],
            "100");
  EXPECT_EQ(count("handled"), "10");
}

TEST_F(projection_on_postgres, tells_how_it_is) {
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  auto view
    = spawn_projection<account>(bank_.sys(), journal_, "balances", handler());
  auto last = bank_.ask(region, id_, deposit{10}).where.seq_no;
  ask<reached>(view, control::wait_until{id_, last, 10s});
  auto how = ask<projection_state>(view, control::get_state{});
  EXPECT_EQ(how.name, "balances");
  EXPECT_EQ(how.seq_no, last);
  EXPECT_TRUE(how.running);
  EXPECT_FALSE(how.paused);
  EXPECT_NE(how.owner, "");
  EXPECT_EQ(how.error, "");
  EXPECT_EQ(how.lag_events, 0u);
  EXPECT_TRUE(how.healthy) << how.health;
  ASSERT_EQ(how.ranges.size(), 1u);
  EXPECT_TRUE(how.ranges[0].here);
}

TEST_F(projection_on_postgres, goes_on_where_it_was) {
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  for (int round = 1; round <= 3; ++round) {
    auto view
      = spawn_projection<account>(bank_.sys(), journal_, "balances", handler());
    auto last = bank_.ask(region, id_, deposit{1}).where.seq_no;
    ask<reached>(view, control::wait_until{id_, last, 10s});
    EXPECT_EQ(count("handled"), std::to_string(round));
  }
}

TEST_F(projection_on_postgres, never_has_two_runners) {
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  std::atomic<int> inside{0};
  std::atomic<bool> twice{false};
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [&, f = handler()](const recorded<account>& e, transaction& tx) {
      if (++inside > 1)
        twice = true;
      f(e, tx);
      --inside;
    });
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    last = bank_.ask(region, id_, deposit{1}).where.seq_no;
    tell(view, control::stop{});
    tell(view, control::run{});
  }
  ask<reached>(view, control::wait_until{id_, last, 10s});
  EXPECT_FALSE(twice);
  EXPECT_EQ(count("handled"), "100");
}
