// What only the store in PostgreSQL has: guards in the schema, the frontier's
// locks, migrations, and a server that may not be there.

#include "support/journals.hpp"
#include "support/wait.hpp"

#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;
using evented::test::raw_connection;
using evented::test::wait_until;

namespace {

append_request make_request(const std::string& id, std::uint64_t after,
                            std::size_t count = 1) {
  append_step step;
  step.append_id = uuid::v4();
  step.after = after;
  step.events.assign(count, new_event{"happened", 1, "{\"n\":1}", ""});
  return {"thing", id, {step}, {}};
}

class function_listener : public event_listener {
public:
  using function
    = std::function<std::any(const uncommitted_event&, transaction&)>;

  explicit function_listener(function f) : f_(std::move(f)) {
    // nop
  }

  std::any on_event(const uncommitted_event& event,
                    transaction& tx) const override {
    return f_(event, tx);
  }

private:
  function f_;
};

class postgres_store : public testing::Test {
protected:
  postgres_store() : options(test::fresh_journal()) {
    options.ids = id_kind::text;
  }

  store_session& session() {
    if (!session_) {
      store_ = open_store(options);
      session_ = store_->connect();
    }
    return *session_;
  }

  /// Stores events and returns the last number.
  std::uint64_t append(const std::string& id, std::uint64_t after = 0,
                       std::size_t count = 1) {
    auto x = make_request(id, after, count);
    append_all(session(), {&x});
    EXPECT_EQ(x.steps[0].status, append_status::stored) << x.steps[0].message;
    return x.steps[0].seq_no;
  }

  append_step append_with(const std::string& id,
                          function_listener::function f) {
    auto x = make_request(id, 0);
    x.listener = std::make_shared<function_listener>(std::move(f));
    append_all(session(), {&x});
    return x.steps[0];
  }

  /// Returns what appends one event on version 0 of `id`.
  std::string raw_append(const std::string& id) const {
    return test::raw_append(options.schema, id);
  }

  std::string table() const { return options.schema + ".event"; }

  error opening_fails() {
    try {
      open_store(options);
    } catch (const error& e) {
      return e;
    }
    ADD_FAILURE() << "no error";
    return {errc::none, ""};
  }

  journal_options options;
  raw_connection db;

private:
  std::shared_ptr<store> store_;
  std::unique_ptr<store_session> session_;
};

} // namespace

// -- guards -------------------------------------------------------------------

TEST_F(postgres_store, refuses_to_change_events) {
  append("a");
  EXPECT_EQ(db.try_exec("update " + table() + " set version = 2"), "EV005");
  EXPECT_EQ(db.try_exec("delete from " + table()), "EV005");
  EXPECT_EQ(db.try_exec("delete from " + table() + " where false"), "EV005");
  EXPECT_EQ(db.try_exec("truncate " + table()), "EV005");
  EXPECT_EQ(db.exec("select count(*) from " + table()), "1");
}

TEST_F(postgres_store, lets_an_operator_change_events_for_one_session) {
  append("a");
  db.exec("set evented.allow_change = 'on'");
  EXPECT_EQ(db.try_exec("delete from " + table()), "00000");
  append("b");
  raw_connection other;
  EXPECT_EQ(other.try_exec("delete from " + table()), "EV005");
}

TEST_F(postgres_store, refuses_foreign_sequence_numbers) {
  append("a");
  EXPECT_EQ(db.try_exec("insert into " + table()
                        + " (seq_no, type_name, entity_id, version, slice, "
                          "event_name, schema_version, append_id, event) "
                          "values (1, 't', 'x', 1, 0, 'e', 1, "
                          "gen_random_uuid(), '{}')"),
            "428C9");
}

// -- the frontier -------------------------------------------------------------

TEST_F(postgres_store, frontier_stays_below_an_append_that_is_under_way) {
  append("a");
  auto before = session().frontier();
  db.exec("begin");
  auto held = std::stoull(db.exec(raw_append("late")));
  auto later = append("b");
  ASSERT_GT(later, held);
  EXPECT_EQ(session().frontier(), before);
  EXPECT_EQ(session()
              .read({.types = {"thing"}}, 0, session().frontier(), 100)
              .entries.size(),
            1u);
  db.exec("commit");
  EXPECT_EQ(session().frontier(), later);
  auto all = session().read({.types = {"thing"}}, 0, later, 100).entries;
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].event.seq_no, held);
  EXPECT_EQ(to_string(all[1].id), "late");
}

TEST_F(postgres_store, frontier_passes_what_was_rolled_back) {
  append("a");
  db.exec("begin");
  auto held = std::stoull(db.exec(raw_append("late")));
  auto later = append("b");
  EXPECT_LT(session().frontier(), held);
  db.exec("rollback");
  EXPECT_EQ(session().frontier(), later);
  EXPECT_EQ(session().read({.types = {"thing"}}, 0, later, 100).entries.size(),
            2u);
}

TEST_F(postgres_store, frontier_passes_an_append_whose_connection_is_gone) {
  append("a");
  {
    raw_connection crashing;
    crashing.exec("begin");
    crashing.exec(raw_append("late"));
  }
  auto later = append("b");
  EXPECT_TRUE(wait_until([&] { return session().frontier() == later; }));
}

TEST_F(postgres_store, frontier_is_held_by_the_oldest_of_several_appends) {
  append("a");
  auto before = session().frontier();
  raw_connection second;
  db.exec("begin");
  auto first_held = std::stoull(db.exec(raw_append("one")));
  append("b");
  second.exec("begin");
  auto second_held = std::stoull(second.exec(raw_append("two")));
  auto last = append("c");
  EXPECT_EQ(session().frontier(), before);
  db.exec("commit");
  EXPECT_GE(session().frontier(), first_held);
  EXPECT_LT(session().frontier(), second_held);
  second.exec("commit");
  EXPECT_EQ(session().frontier(), last);
}

TEST_F(postgres_store, frontier_stays_held_when_a_savepoint_is_rolled_back) {
  append("a");
  auto before = session().frontier();
  db.exec("begin");
  db.exec("select " + options.schema + ".hold_frontier()");
  db.exec("savepoint s");
  db.exec(raw_append("one"));
  db.exec("rollback to savepoint s");
  auto held = std::stoull(db.exec(raw_append("two")));
  append("b");
  EXPECT_EQ(session().frontier(), before);
  db.exec("commit");
  EXPECT_GT(session().frontier(), held);
}

TEST_F(postgres_store, frontier_of_one_journal_is_not_held_by_another) {
  append("a");
  auto other = test::fresh_journal();
  other.ids = id_kind::text;
  open_store(other);
  std::swap(other, options);
  auto sql = raw_append("late");
  std::swap(other, options);
  db.exec("begin");
  db.exec(sql);
  auto last = append("b");
  EXPECT_EQ(session().frontier(), last);
}

TEST_F(postgres_store, frontier_works_where_numbers_exceed_31_bits) {
  session();
  for (auto start : {2147483646ULL, 4294967294ULL, 4611686018427387900ULL}) {
    db.exec("select setval('" + options.schema + ".event_seq_no_seq', "
            + std::to_string(start) + ")");
    auto id = std::to_string(start);
    db.exec("begin");
    auto held = std::stoull(db.exec(raw_append(id + "late")));
    EXPECT_EQ(held, start + 1);
    auto last = append(id, 0, 5);
    EXPECT_EQ(session().frontier(), start);
    db.exec("commit");
    EXPECT_EQ(session().frontier(), last);
  }
}

TEST_F(postgres_store, an_append_waits_for_one_that_may_win) {
  session();
  db.exec("begin");
  db.exec(raw_append("a"));
  auto x = make_request("a", 0);
  std::thread writer{[&] { append_all(session(), {&x}); }};
  // Once the writer waits for the other transaction, let that win.
  raw_connection watcher;
  EXPECT_TRUE(wait_until([&] {
    return watcher.exec("select count(*) from pg_stat_activity where "
                        "wait_event_type = 'Lock'")
           != "0";
  }));
  db.exec("commit");
  writer.join();
  EXPECT_EQ(x.steps[0].status, append_status::conflict);
}

TEST_F(postgres_store, an_append_that_waited_for_an_archive_finds_it_done) {
  // Plans are made anew for the first calls and kept later; both must look at
  // the table once they have its lock.
  for (auto calls : {1, 10}) {
    auto id = "a" + std::to_string(calls);
    for (auto version = 0; version < calls; ++version)
      append(id, static_cast<std::uint64_t>(version));
    auto version = std::to_string(calls);
    db.exec("begin");
    db.exec("select " + options.schema + ".archive_entity('thing', '" + id
            + "', " + version + ")");
    auto x = make_request(id, static_cast<std::uint64_t>(calls));
    std::thread writer{[&] { append_all(session(), {&x}); }};
    raw_connection watcher;
    EXPECT_TRUE(wait_until([&] {
      return watcher.exec("select count(*) from pg_stat_activity where "
                          "wait_event_type = 'Lock'")
             != "0";
    }));
    db.exec("commit");
    writer.join();
    EXPECT_EQ(x.steps[0].status, append_status::conflict) << calls;
  }
}

TEST_F(postgres_store, says_what_is_in_the_way_of_an_append) {
  options.lock_timeout = 100ms;
  session();
  db.exec("begin");
  db.exec(raw_append("a"));
  auto x = make_request("a", 0);
  append_request* batch[] = {&x};
  EXPECT_FALSE(session().append(batch));
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_NE(x.steps[0].message, "");
  db.exec("rollback");
  append_all(session(), {&x});
  EXPECT_EQ(x.steps[0].status, append_status::stored);
  EXPECT_EQ(x.steps[0].message, "");
}

// -- listeners ----------------------------------------------------------------

TEST_F(postgres_store, a_listener_takes_part_in_the_transaction) {
  session();
  auto view = options.schema + ".view";
  db.exec("create table " + view + " (id text, seq_no bigint)");
  auto insert = [&](const uncommitted_event& x, transaction& tx) -> std::any {
    auto done = tx.exec("insert into " + view + " values ($1, $2)",
                        to_string(x.id), x.seq_no);
    EXPECT_EQ(done.affected(), 1u);
    if (to_string(x.id) == "vetoed")
      return 1;
    if (to_string(x.id) == "thrown")
      throw std::runtime_error("no");
    return {};
  };
  using enum append_status;
  EXPECT_EQ(append_with("good", insert).status, stored);
  EXPECT_EQ(append_with("vetoed", insert).status, vetoed);
  EXPECT_EQ(append_with("thrown", insert).status, failed);
  EXPECT_EQ(db.exec("select string_agg(id, ',') from " + view), "good");
}

TEST_F(postgres_store, a_listener_reads_what_it_has_written) {
  auto step = append_with(
    "a", [&](const uncommitted_event& x, transaction& tx) -> std::any {
      auto found = tx.exec("select version, metadata from " + table()
                             + " where entity_id = $1",
                           to_string(x.id));
      EXPECT_EQ(found.size(), 1u);
      EXPECT_EQ(found[0][0], "1");
      EXPECT_EQ(found[0][1], std::nullopt);
      return {};
    });
  EXPECT_EQ(step.status, append_status::stored);
}

TEST_F(postgres_store, a_listener_cannot_end_the_transaction) {
  int n = 0;
  for (auto* sql :
       {"commit", "ROLLBACK", " /* x */ Commit", "begin", "savepoint s", "end",
        "abort", "select 1; commit", "prepare transaction 'x'"}) {
    auto id = "a" + std::to_string(++n);
    auto step = append_with(
      id, [sql](const uncommitted_event&, transaction& tx) -> std::any {
        try {
          tx.exec(sql);
          ADD_FAILURE() << "no error: " << sql;
        } catch (const sql_error&) {
          // Swallowed, in vain.
        }
        return {};
      });
    EXPECT_EQ(step.status, append_status::failed) << sql;
    EXPECT_EQ(step.failure, errc::listener_failed) << sql;
  }
  EXPECT_EQ(db.exec("select count(*) from " + table()), "0");
}

TEST_F(postgres_store, a_listener_that_takes_too_long_fails_its_command) {
  options.listener_timeout = 200ms;
  auto step = append_with(
    "a", [](const uncommitted_event&, transaction& tx) -> std::any {
      tx.exec("select pg_sleep(0.3)");
      return {};
    });
  EXPECT_EQ(step.status, append_status::failed);
  EXPECT_EQ(step.failure, errc::listener_failed);
  EXPECT_EQ(db.exec("select count(*) from " + table()), "0");
}

TEST_F(postgres_store, a_deferred_constraint_fails_the_command_that_hurt_it) {
  session();
  auto view = options.schema + ".view";
  db.exec("create table " + view
          + " (n int unique deferrable initially deferred)");
  db.exec("insert into " + view + " values (1)");
  auto insert = [&](int n) {
    return [&view, n](const uncommitted_event&, transaction& tx) -> std::any {
      tx.exec("insert into " + view + " values ($1)", n);
      return {};
    };
  };
  auto a = make_request("a", 0);
  auto b = make_request("b", 0);
  auto c = make_request("c", 0);
  a.listener = std::make_shared<function_listener>(insert(2));
  b.listener = std::make_shared<function_listener>(insert(1));
  c.listener = std::make_shared<function_listener>(insert(3));
  append_all(session(), {&a, &b, &c});
  EXPECT_EQ(a.steps[0].status, append_status::stored) << a.steps[0].message;
  EXPECT_EQ(b.steps[0].status, append_status::failed);
  EXPECT_EQ(b.steps[0].failure, errc::listener_failed);
  EXPECT_EQ(c.steps[0].status, append_status::stored) << c.steps[0].message;
  EXPECT_EQ(db.exec("select count(*) from " + table()), "2");
}

// -- opening ------------------------------------------------------------------

TEST_F(postgres_store, is_opened_by_several_at_once) {
  constexpr int count = 6;
  std::latch start{count};
  std::atomic<int> opened = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&] {
      start.arrive_and_wait();
      try {
        open_store(options);
        ++opened;
      } catch (const std::exception& e) {
        ADD_FAILURE() << e.what();
      }
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(opened, count);
  append("a");
}

TEST_F(postgres_store, is_opened_again_with_what_it_holds) {
  append("a");
  auto again = open_store(options)->connect();
  EXPECT_EQ(
    again->read({.types = {"thing"}}, 0, again->frontier(), 10).entries.size(),
    1u);
}

TEST_F(postgres_store, is_not_opened_with_another_kind_of_ids) {
  session();
  options.ids = id_kind::uuid;
  auto e = opening_fails();
  EXPECT_EQ(e.code(), errc::incompatible);
  for (auto* part : {"ids", "text", "uuid"})
    EXPECT_NE(std::string{e.what()}.find(part), std::string::npos) << e.what();
  EXPECT_NE(std::string{e.what()}.find(options.schema), std::string::npos);
}

TEST_F(postgres_store, is_not_opened_with_another_codec) {
  session();
  options.payloads = codec::binary;
  auto e = opening_fails();
  EXPECT_EQ(e.code(), errc::incompatible);
  for (auto* part : {"payloads", "json", "binary"})
    EXPECT_NE(std::string{e.what()}.find(part), std::string::npos) << e.what();
}

TEST_F(postgres_store, is_not_opened_where_its_schema_is_newer) {
  session();
  db.exec("update " + options.schema
          + ".meta set value = '999' where key = 'schema_version'");
  auto e = opening_fails();
  EXPECT_EQ(e.code(), errc::incompatible);
  EXPECT_NE(std::string{e.what()}.find("999"), std::string::npos) << e.what();
}

TEST_F(postgres_store, is_not_opened_where_the_sequence_could_lose_events) {
  session();
  auto sequence = options.schema + ".event_seq_no_seq";
  db.exec("alter sequence " + sequence + " cache 10");
  EXPECT_EQ(opening_fails().code(), errc::incompatible);
  db.exec("alter sequence " + sequence + " cache 1 cycle");
  EXPECT_EQ(opening_fails().code(), errc::incompatible);
  db.exec("alter sequence " + sequence + " no cycle");
  EXPECT_NO_THROW(open_store(options));
}

TEST_F(postgres_store, repairs_a_sequence_that_is_behind_its_events) {
  auto last = append("a", 0, 10);
  db.exec("select setval('" + options.schema + ".event_seq_no_seq', 3)");
  auto session = open_store(options)->connect();
  EXPECT_GE(session->frontier(), last);
  EXPECT_GT(append("b"), last);
}

TEST_F(postgres_store, is_not_opened_with_options_that_make_no_sense) {
  auto refuses = [&](auto&& change) {
    auto good = options;
    change();
    EXPECT_EQ(opening_fails().code(), errc::invalid_options);
    options = good;
  };
  for (auto* name : {"", "Upper", "1st", "a-b", "a\"b", "a b"})
    refuses([&] { options.schema = name; });
  refuses([&] { options.schema = std::string(64, 'x'); });
  refuses([&] { options.writers = 0; });
  refuses([&] { options.max_batch_commands = 0; });
  refuses([&] { options.statement_timeout = 0ms; });
}

TEST_F(postgres_store, keeps_the_longest_schema_name) {
  options.schema = std::string(63, 'x');
  append("a");
  EXPECT_EQ(session().frontier(), 1u);
}

// -- a server that is not there -----------------------------------------------

TEST_F(postgres_store, says_that_a_server_is_out_of_reach_without_secrets) {
  options.password = "hunter2";
  for (auto* url : {"host=/nonexistent", "host=127.0.0.1 port=1",
                    "postgresql://ada:hunter2@127.0.0.1:1/x"}) {
    options.url = url;
    auto e = opening_fails();
    EXPECT_EQ(e.code(), errc::unavailable);
    EXPECT_EQ(std::string{e.what()}.find("hunter2"), std::string::npos)
      << e.what();
  }
  EXPECT_THROW(open_store(options), connection_lost);
}

TEST_F(postgres_store, says_that_a_password_is_wrong_without_secrets) {
  db.exec("create role locked login password 'right'");
  auto file = test::server().data_directory() / "pg_hba.conf";
  std::stringstream rules;
  rules << std::ifstream{file}.rdbuf();
  std::ofstream{file} << "local all locked scram-sha-256\n" << rules.str();
  db.exec("select pg_reload_conf()");
  options.user = "locked";
  options.password = "hunter2";
  std::string what;
  EXPECT_TRUE(wait_until([&] {
    try {
      open_store(options);
    } catch (const connection_lost& e) {
      what = e.what();
      EXPECT_FALSE(e.sent());
    } catch (const sql_error&) {
      // The server has not read its rules yet and lets everybody in.
    }
    return !what.empty();
  }));
  EXPECT_NE(what.find("locked"), std::string::npos) << what;
  EXPECT_EQ(what.find("hunter2"), std::string::npos) << what;
}

TEST_F(postgres_store, needs_no_more_than_the_schema_where_that_is_there) {
  db.exec("create role tenant login");
  db.exec("create schema " + options.schema + " authorization tenant");
  options.user = "tenant";
  append("a");
  EXPECT_EQ(session().frontier(), 1u);
}

TEST_F(postgres_store,
       never_calls_refused_what_an_earlier_attempt_may_have_stored) {
  auto x = make_request("a", 0);
  append_request* batch[] = {&x};
  // The reply of an earlier attempt was lost, and now the database refuses for
  // a reason that did not hold then.
  x.steps[0].maybe_sent = true;
  session();
  for (auto name : {"append"s, "append_event"s})
    db.exec("alter function " + options.schema + "." + name + " rename to no_"
            + name);
  EXPECT_FALSE(session().append(batch));
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_FALSE(x.steps[0].message.empty());
  // One that was never sent is refused for certain.
  auto y = make_request("b", 0);
  batch[0] = &y;
  EXPECT_TRUE(session().append(batch));
  EXPECT_EQ(y.steps[0].status, append_status::failed);
  EXPECT_EQ(y.steps[0].failure, errc::refused);
  for (auto name : {"append"s, "append_event"s})
    db.exec("alter function " + options.schema + ".no_" + name + " rename to "
            + name);
  batch[0] = &x;
  EXPECT_TRUE(session().append(batch));
  EXPECT_EQ(x.steps[0].status, append_status::stored);
}

TEST_F(postgres_store, notices_that_its_connection_was_closed_while_idle) {
  append("a");
  db.exec("select pg_terminate_backend(pid) from pg_stat_activity "
          "where application_name = 'evented'");
  // The server's goodbye may take a moment to arrive.
  ASSERT_TRUE(wait_until([&] {
    return db.exec("select count(*) from pg_stat_activity "
                   "where application_name = 'evented'")
           == "0";
  }));
  auto x = make_request("b", 0);
  append_request* batch[] = {&x};
  try {
    session().append(batch);
    FAIL() << "no error";
  } catch (const connection_lost& e) {
    EXPECT_FALSE(e.sent()) << e.what();
  }
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_FALSE(x.steps[0].maybe_sent);
}
