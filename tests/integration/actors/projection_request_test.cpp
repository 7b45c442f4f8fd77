// What an operator, who has no handle, asks of a projection through the database.

#include "support/projected_bank.hpp"

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

class projection_request_test : public projected_bank {
protected:
  /// Asks as the command line does, and returns the number of the request.
  std::string ask_for(const std::string& columns, const std::string& values) {
    return *sql("insert into SCHEMA.projection_request (name, expires_at, "
                + columns
                + ") values ('balances', clock_timestamp() + interval '1 "
                  "minute', "
                + values + ") returning id")[0][0];
  }

  /// Waits for the answer and returns it: "done 0", or what went wrong.
  std::string answer(const std::string& id) {
    std::string result = "nobody has answered";
    EXPECT_TRUE(wait_until([&] {
      auto found
        = sql("select coalesce(error, 'done ' || count) from "
              "SCHEMA.projection_request where id = $1::bigint and ended_at is "
              "not null",
              id);
      if (!found.empty())
        result = *found[0][0];
      return !found.empty();
    }));
    return result;
  }
};

} // namespace

TEST_F(projection_request_test, empties_the_view_and_begins_anew) {
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler(), {.on_reset = emptying()});
  put();
  wait_for(view, put());
  EXPECT_EQ(answer(ask_for("what", "'reset'")), "done 0");
  EXPECT_TRUE(wait_until([&] { return count("handled") == "2"; }));
  EXPECT_EQ(*sql("select count(*) from SCHEMA.handled where replayed")[0][0],
            "2");
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_request_test, begins_where_the_operator_says) {
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler(), {.on_reset = emptying()});
  auto first = put();
  wait_for(view, put());
  EXPECT_EQ(answer(ask_for("what, after", "'reset', " + std::to_string(first))),
            "done 0");
  EXPECT_TRUE(wait_until([&] { return count("handled") == "1"; }));
}

TEST_F(projection_request_test, is_told_what_is_missing) {
  auto view
    = spawn_projection<account>(bank_.sys(), journal_, "balances", handler());
  wait_for(view, put());
  auto told = answer(ask_for("what", "'reset'"));
  EXPECT_NE(told.find("on_reset"), std::string::npos) << told;
  told = answer(ask_for("what", "'rebuild'"));
  EXPECT_NE(told.find("on_rebuild"), std::string::npos) << told;
}

TEST_F(projection_request_test, replays_dead_letters) {
  auto broken = std::make_shared<std::atomic<bool>>(true);
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances", handler_after([broken](auto&) {
      if (*broken)
        throw std::runtime_error("the beast");
    }),
    {.on_error = error_strategy::park(1)});
  put();
  EXPECT_EQ(wait_for(view, put()), "behind");
  auto replay = [&] {
    return ask_for("what, type_name, entity_id",
                   "'replay', 'account', '" + to_string(id_) + "'");
  };
  EXPECT_NE(answer(replay()).find("the beast"), std::string::npos);
  *broken = false;
  EXPECT_EQ(answer(replay()), "done 2");
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_request_test, waits_for_a_process_that_runs_the_projection) {
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler(), {.on_reset = emptying()});
  wait_for(view, put());
  tell(view, control::stop{});
  auto id = ask_for("what", "'reset'");
  second_process other{options_};
  auto second
    = spawn_projection<account>(other.own.sys(), other.where, "balances",
                                handler(), {.on_reset = emptying()});
  EXPECT_EQ(answer(id), "done 0");
}

TEST_F(projection_request_test, is_forgotten_once_it_has_expired) {
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler(), {.on_reset = emptying()});
  wait_for(view, put());
  tell(view, control::stop{});
  auto id = ask_for("what", "'reset'");
  sql("update SCHEMA.projection_request set expires_at = clock_timestamp()");
  tell(view, control::run{});
  wait_for(view, put());
  // A later one is served, so the expired one was passed over.
  EXPECT_EQ(answer(ask_for("what", "'reset'")), "done 0");
  EXPECT_TRUE(sql("select from SCHEMA.projection_request where id = $1::bigint "
                  "and taken_at is not null",
                  id)
                .empty());
}
