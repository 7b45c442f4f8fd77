// What an entity sends to one target goes out in order and never gets stuck,
// whoever claims, completes, gives back, appends and deletes at the same time.

#include "support/journals.hpp"

#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;
using evented::test::raw_connection;
using evented::test::wait_until;

namespace {

class outbox_lanes : public testing::Test {
protected:
  outbox_lanes() : options(test::fresh_journal()) {
    options.ids = id_kind::text;
    options.lock_timeout = 10s;
    options.statement_timeout = 20s;
    journal = open_store(options);
    session = journal->connect();
  }

  /// Fills in the schema.
  [[nodiscard]] std::string sql(std::string text) const {
    for (auto at = text.find("SCHEMA"); at != std::string::npos;
         at = text.find("SCHEMA"))
      text.replace(at, 6, options.schema);
    return text;
  }

  std::string exec(raw_connection& by, const std::string& text) {
    return by.exec(sql(text));
  }

  /// Puts messages "1", "2" .. of an entity into the outbox, each with a command
  /// of its own.
  void send(const std::string& id, int count) {
    for (auto i = 1; i <= count; ++i)
      send(*session, id, i - 1, {{"a", std::to_string(i)}});
  }

  static void send(store_session& by, const std::string& id, int after,
                   std::vector<outgoing_message> messages) {
    append_step step;
    step.append_id = uuid::v4();
    step.after = static_cast<std::uint64_t>(after);
    step.events.push_back({"happened", 1, "{}", ""});
    step.messages = std::move(messages);
    append_request request{"thing", id, {std::move(step)}, {}};
    append_all(by, {&request});
    ASSERT_EQ(request.steps[0].status, append_status::stored);
  }

  std::vector<claimed_message> claim(std::size_t limit = 100) {
    return session->claim_messages({"thing", {"a"}, 1h, limit}).messages;
  }

  /// Claims, and renders the messages.
  std::string show_claimed() {
    std::string result;
    for (auto& x : claim())
      result += (result.empty() ? "" : " ") + x.message;
    return result;
  }

  void complete(const claimed_message& x) {
    settled_message one{x.id, x.claim};
    session->settle_messages({&one, 1});
  }

  /// Returns how many lanes have a first message that nobody would find.
  std::string stuck(raw_connection& by) {
    return exec(by,
                "select count(*) from SCHEMA.outbox as o where not o.head and "
                "not exists (select from SCHEMA.outbox as e where e.type_name "
                "= o.type_name and e.entity_id = o.entity_id and e.target = "
                "o.target and (e.due_at, e.id) < (o.due_at, o.id))");
  }

  /// Waits until somebody waits for a lock that `by` holds.
  [[nodiscard]] bool blocks_somebody(raw_connection& by) {
    auto pid = by.exec("select pg_backend_pid()");
    return wait_until([&] {
      return other.exec("select count(*) from pg_stat_activity where " + pid
                        + " = any (pg_blocking_pids(pid))")
             != "0";
    });
  }

  static timestamp in(std::chrono::milliseconds time) {
    return std::chrono::time_point_cast<timestamp::duration>(
      std::chrono::system_clock::now() + time);
  }

  static std::string deletes(const std::string& message) {
    return "delete from SCHEMA.outbox where message = '" + message + "'";
  }

  journal_options options;
  std::shared_ptr<store> journal;
  std::unique_ptr<store_session> session;
  raw_connection db;
  raw_connection other;
};

} // namespace

TEST_F(outbox_lanes, go_on_where_somebody_deletes) {
  send("x", 4);
  ASSERT_EQ(show_claimed(), "1");
  exec(db, deletes("2"));
  exec(db, deletes("1"));
  EXPECT_EQ(show_claimed(), "3");
  exec(db, deletes("3"));
  EXPECT_EQ(show_claimed(), "4");
  exec(db, deletes("4"));
  send("y", 5);
  ASSERT_EQ(show_claimed(), "1");
  exec(db, "delete from SCHEMA.outbox where message in ('1', '2', '4')");
  EXPECT_EQ(show_claimed(), "3");
  exec(db, "delete from SCHEMA.outbox");
  EXPECT_EQ(show_claimed(), "");
}

TEST_F(outbox_lanes, go_on_where_a_claim_takes_a_mark_while_a_delete_waits) {
  auto send_each
    = [&](const std::string& id, const std::vector<std::string>& messages) {
        for (std::size_t i = 0; i < messages.size(); ++i)
          send(*session, id, static_cast<int>(i), {{"a", messages[i]}});
      };
  send_each("x", {"x1", "x2", "x3"});
  send_each("y", {"y1", "y2", "y3"});
  // Waits in the lane of x, with all still to do in that of y.
  exec(db, "begin");
  exec(db, "select id from SCHEMA.outbox where message = 'x2' for update");
  std::thread waits{[&] {
    raw_connection by;
    exec(by, "delete from SCHEMA.outbox where message in ('x1', 'y1')");
  }};
  EXPECT_TRUE(blocks_somebody(db));
  // Finds y3 behind y2, which nobody is deleting yet.
  EXPECT_EQ(show_claimed(), "");
  // Finds y1 before it still.
  exec(other, deletes("y2"));
  exec(db, "commit");
  waits.join();
  EXPECT_EQ(stuck(db), "0");
  EXPECT_EQ(show_claimed(), "x2 y3");
}

TEST_F(outbox_lanes, go_on_where_one_comes_while_a_delete_waits) {
  auto one = [&](const std::string& id, int after, const std::string& message) {
    send(*session, id, after, {{"a", message}});
  };
  for (auto n = 0; n < 2; ++n) {
    one("x", n, "x" + std::to_string(n + 1));
    one("y", n, "y" + std::to_string(n + 1));
  }
  // Waits in the lane of x, and has seen that of y as it is now.
  exec(db, "begin");
  exec(db, "select id from SCHEMA.outbox where message = 'x2' for update");
  std::thread waits{[&] {
    raw_connection by;
    exec(by, "delete from SCHEMA.outbox where message in ('x1', 'y1')");
  }};
  EXPECT_TRUE(blocks_somebody(db));
  one("y", 2, "y3");
  // Finds y3 behind y2, which nobody is deleting yet.
  EXPECT_EQ(show_claimed(), "");
  // Finds y1 before it still, whose deleter will not see y3.
  exec(other, deletes("y2"));
  exec(db, "commit");
  waits.join();
  EXPECT_EQ(stuck(db), "0");
  EXPECT_EQ(show_claimed(), "x2 y3");
}

TEST_F(outbox_lanes, go_on_where_two_delete_at_once) {
  send("x", 3);
  ASSERT_EQ(show_claimed(), "1");
  // Sees that there is one before it still.
  exec(db, "begin");
  exec(db, deletes("2"));
  std::thread first{[&] {
    raw_connection mine;
    exec(mine, deletes("1"));
  }};
  EXPECT_TRUE(blocks_somebody(db));
  exec(db, "commit");
  first.join();
  EXPECT_EQ(stuck(db), "0");
  EXPECT_EQ(show_claimed(), "3");
}

TEST_F(outbox_lanes, go_on_where_the_second_one_is_deleted_a_moment_later) {
  send("x", 3);
  ASSERT_EQ(show_claimed(), "1");
  exec(db, "begin");
  exec(db, deletes("1"));
  std::thread second{[&] {
    raw_connection mine;
    exec(mine, deletes("2"));
  }};
  EXPECT_TRUE(blocks_somebody(db));
  exec(db, "commit");
  second.join();
  EXPECT_EQ(stuck(db), "0");
  EXPECT_EQ(show_claimed(), "3");
}

TEST_F(outbox_lanes, a_claim_does_not_wait_for_one_who_deletes) {
  for (auto end : {"commit", "rollback"}) {
    send(end, 2);
    exec(db, "begin");
    exec(db, deletes("1"));
    // Nor does it remember that there was one before.
    EXPECT_EQ(show_claimed(), "");
    exec(db, end);
    EXPECT_EQ(stuck(db), "0");
    EXPECT_EQ(show_claimed(), end == "commit"s ? "2" : "1");
    exec(db, "delete from SCHEMA.outbox");
  }
}

TEST_F(outbox_lanes, a_claim_under_way_is_waited_for) {
  send("x", 2);
  exec(db, "begin");
  EXPECT_EQ(exec(db, "select message from SCHEMA.claim_messages('thing', "
                     "array['a'], gen_random_uuid(), '1 hour', 10)"),
            "\\x31");
  std::thread completes{[&] {
    raw_connection mine;
    exec(mine, deletes("1"));
  }};
  EXPECT_TRUE(blocks_somebody(db));
  // The other one goes to the next free one meanwhile.
  EXPECT_EQ(show_claimed(), "");
  exec(db, "commit");
  completes.join();
  EXPECT_EQ(stuck(db), "0");
  EXPECT_EQ(show_claimed(), "2");
}

TEST_F(outbox_lanes, an_append_waits_for_nobody) {
  send("x", 2);
  exec(db, "begin");
  exec(db, "delete from SCHEMA.outbox");
  raw_connection claims;
  claims.exec("begin");
  send("y", 1);
  exec(claims, "select count(*) from SCHEMA.claim_messages('thing', "
               "array['a'], gen_random_uuid(), '1 hour', 10)");
  send(*session, "x", 2, {{"a", "3"}});
  exec(db, "commit");
  claims.exec("commit");
  EXPECT_EQ(show_claimed(), "3");
}

TEST_F(outbox_lanes, keep_their_order_where_an_earlier_one_comes_later) {
  send(*session, "x", 0, {{"a", "3", in(-1s)}});
  auto third = claim();
  ASSERT_EQ(third.size(), 1u);
  send(*session, "x", 1, {{"a", "2", in(-2s)}, {"a", "4", in(-500ms)}});
  send(*session, "x", 2, {{"a", "1"}});
  settled_message again{third[0].id, third[0].claim, 0ms};
  session->settle_messages({&again, 1});
  for (auto expected : {"1", "2", "3", "4"}) {
    auto found = claim();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].message, expected);
    complete(found[0]);
    EXPECT_EQ(stuck(db), "0");
  }
}

TEST_F(outbox_lanes, say_that_there_is_more_to_look_at) {
  exec(db, "insert into SCHEMA.outbox (type_name, entity_id, slice, version, "
           "append_id, target, message, due_at, claimed_until) select 'thing', "
           "'x', 0, n, gen_random_uuid(), 'a', 'x', '-infinity', case when n = "
           "1 then now() + interval '1 hour' else '-infinity' end from "
           "generate_series(1, 5000) as n");
  send("y", 1);
  std::size_t looks = 0;
  for (;;) {
    auto found = session->claim_messages({"thing", {"a"}, 1h, 10});
    ++looks;
    ASSERT_LE(looks, 5u);
    if (!found.messages.empty())
      break;
    ASSERT_EQ(found.next, 0ms);
  }
  EXPECT_GE(looks, 2u);
  EXPECT_FALSE(session->claim_messages({"thing", {"a"}, 1h, 10}).next);
}

TEST_F(outbox_lanes, refuse_what_would_break_them) {
  send("x", 2);
  for (auto change :
       {"due_at = now()", "target = 'b'", "entity_id = 'y'", "type_name = 'y'"})
    EXPECT_EQ(db.try_exec(sql("update SCHEMA.outbox set "s + change)), "EV012");
  for (auto level : {"repeatable read", "serializable"}) {
    exec(db, "begin isolation level "s + level);
    EXPECT_EQ(db.try_exec(sql("delete from SCHEMA.outbox")), "EV011");
    exec(db, "rollback");
  }
  exec(db, "update SCHEMA.outbox set attempts = 0, claimed_until = "
           "'-infinity'");
  EXPECT_EQ(show_claimed(), "1");
}

TEST_F(outbox_lanes, go_on_behind_a_pooler_whatever_its_sessions_begin_with) {
  auto name = "strict_" + options.schema;
  db.exec("create database " + name);
  db.exec("alter database " + name
          + " set default_transaction_isolation = 'serializable'");
  options.url = test::server().url(name);
  options.pooler = pooler::transaction;
  session = open_store(options)->connect();
  send("x", 2);
  for (auto expected : {"1", "2"}) {
    auto found = claim();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].message, expected);
    complete(found[0]);
  }
  EXPECT_EQ(show_claimed(), "");
}

// Claims skip what is locked, but PostgreSQL waits all the same where it has to
// follow a message to a version that somebody else has just written.
TEST_F(outbox_lanes, are_gone_on_with_after_a_deadlock) {
  exec(db, "create sequence SCHEMA.attempt");
  const auto meets = [&](const std::string& name, const std::string& types,
                         const std::string& result, int times) {
    exec(db, "alter function SCHEMA." + name + " rename to real_" + name);
    // What a sequence has given out, no rollback takes back.
    auto arguments = std::string{"$1"};
    for (auto i = 2; i <= 1 + std::count(types.begin(), types.end(), ','); ++i)
      arguments += ", $" + std::to_string(i);
    exec(db, "create function SCHEMA." + name + "(" + types + ") returns "
               + result + " language plpgsql as $x$ begin if nextval('"
               + "SCHEMA.attempt') <= " + std::to_string(times)
               + " then raise exception using errcode = '40P01', message = "
                 "'deadlock detected'; end if; "
               + (result == "void" ? "perform" : "return query select * from")
               + " SCHEMA.real_" + name + "(" + arguments + "); "
               + (result == "void" ? "" : "return; ") + "end $x$");
  };
  const auto anew = [&] { exec(db, "alter sequence SCHEMA.attempt restart"); };
  for (auto id : {"x", "y", "z"})
    send(id, 1);
  meets("claim_messages", "text, text[], uuid, interval, integer",
        "setof SCHEMA.outbox", 2);
  auto found = claim();
  ASSERT_EQ(found.size(), 3U);
  meets("complete_messages", "bigint[], uuid[]", "void", 2);
  anew();
  complete(found[0]);
  EXPECT_EQ(exec(db, "select count(*) from SCHEMA.outbox"), "2");
  meets("postpone_messages", "bigint[], uuid[], bigint[], boolean[]", "void",
        2);
  anew();
  settled_message again{found[1].id, found[1].claim,
                        std::chrono::milliseconds{0}};
  session->settle_messages({&again, 1});
  EXPECT_EQ(exec(db, "select count(*) from SCHEMA.outbox where claim is null"),
            "1");
  // Not for ever.
  exec(db, "alter sequence SCHEMA.attempt minvalue -1000 restart with -1000");
  EXPECT_THROW(complete(found[2]), sql_error);
}

TEST_F(outbox_lanes, stand_all_that_happens_at_once) {
  constexpr auto senders = 3;
  constexpr auto workers = 3;
  constexpr auto commands = 150;
  // Few entities, so that they meet.
  constexpr auto entities = 4;
  std::mutex mutex;
  // Of each entity and target: the numbers that were delivered, in order.
  std::map<std::string, std::vector<int>> delivered;
  std::set<std::string> deleted;
  std::atomic<int> sending{senders * entities};
  std::atomic<std::size_t> sent{0};
  std::vector<std::thread> threads;
  for (auto s = 0; s < senders; ++s)
    threads.emplace_back([&, s] {
      auto mine = journal->connect();
      std::minstd_rand dice(static_cast<unsigned>(s) + 1);
      for (auto e = 0; e < entities; ++e) {
        auto id = "x" + std::to_string(s) + std::to_string(e);
        auto number = 0;
        for (auto n = 0; n < commands; ++n) {
          std::vector<outgoing_message> some;
          for (auto left = dice() % 4; left-- > 0;)
            some.push_back({"a", std::to_string(++number)});
          // Two timers, set and taken away all the time.
          if (auto what = dice() % 4; what > 0) {
            std::string name = dice() % 2 == 0 ? "t" : "u";
            auto due = in(std::chrono::milliseconds{dice() % 10});
            some.push_back({"", "0", due, name, what == 1});
          }
          send(*mine, id, n, std::move(some));
        }
        sent += static_cast<std::size_t>(number);
        --sending;
      }
    });
  for (auto w = 0; w < workers; ++w)
    threads.emplace_back([&, w] {
      auto mine = journal->connect();
      std::minstd_rand dice(static_cast<unsigned>(w) + 100);
      for (;;) {
        auto over = sending == 0;
        auto found
          = mine->claim_messages({"thing", {"a", ""}, 1h, 1 + dice() % 8});
        std::vector<settled_message> settled;
        for (auto& x : found.messages) {
          if (dice() % 4 == 0) {
            settled.push_back(
              {x.id, x.claim, std::chrono::milliseconds{dice() % 3}});
            continue;
          }
          settled.push_back({x.id, x.claim});
          std::lock_guard guard{mutex};
          if (x.target == "a")
            delivered[to_string(x.entity)].push_back(std::stoi(x.message));
        }
        mine->settle_messages(settled);
        if (over && mine->waiting_targets("thing").empty())
          return;
      }
    });
  // Two operators delete what they meet, singly and several at once.
  for (auto o = 0; o < 2; ++o)
    threads.emplace_back([&, o] {
      raw_connection mine;
      auto some = "select id from SCHEMA.outbox where claim is null and target "
                  "= 'a' "s
                  + (o == 0 ? "order by random() limit 1"
                            : "and random() < 0.02 order by id for update skip "
                              "locked");
      while (sending > 0) {
        std::string gone;
        try {
          gone = exec(mine, "with d as (delete from SCHEMA.outbox where id in ("
                              + some
                              + ") and claim is null returning *) select "
                                "string_agg(entity_id || '/' || "
                                "convert_from(message, 'UTF8'), ' ') from d");
        } catch (const std::runtime_error& e) {
          // Nothing is deleted then.
          if (std::string_view{e.what()}.find("deadlock") == std::string::npos)
            throw;
          continue;
        }
        std::lock_guard guard{mutex};
        for (std::size_t at = 0; at < gone.size();) {
          auto end = std::min(gone.find(' ', at), gone.size());
          deleted.insert(gone.substr(at, end - at));
          at = end + 1;
        }
      }
    });
  // The invariant holds in whatever anybody sees.
  while (sending > 0 && !HasFailure())
    EXPECT_EQ(stuck(db), "0");
  for (auto& x : threads)
    x.join();
  EXPECT_EQ(exec(db, "select count(*) from SCHEMA.outbox"), "0");
  EXPECT_FALSE(deleted.empty());
  std::size_t count = 0;
  for (auto& [id, numbers] : delivered) {
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << id;
    count += numbers.size();
    for (auto n : numbers)
      EXPECT_FALSE(deleted.contains(id + "/" + std::to_string(n)))
        << id << "/" << n;
  }
  // Each message has been delivered or deleted, and once.
  EXPECT_EQ(count + deleted.size(), sent);
}
