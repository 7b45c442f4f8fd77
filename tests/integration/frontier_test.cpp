// Tries to make a reader that follows the frontier miss an event, see one twice
// or out of order: with transactions that are forced into bad orders, with
// random ones, and with threads. Some tests have a reader that does it wrong,
// so that the checks themselves are checked.

#include "support/frontier_schedule.hpp"
#include "support/journal_reader.hpp"
#include "support/journals.hpp"
#include "support/raw_writer.hpp"

#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;
using evented::test::frontier_schedule;
using evented::test::journal_reader;
using evented::test::look_order;
using evented::test::raw_connection;
using evented::test::raw_event;
using evented::test::raw_writer;
using evented::test::wait_until;

namespace {

/// Returns the number in an environment variable.
std::optional<std::uint64_t> number_from(const char* variable) {
  auto* text = std::getenv(variable);
  if (text == nullptr)
    return std::nullopt;
  return std::stoull(text);
}

/// A journal with text IDs, in the database that `url` names.
struct journal_under_test {
  explicit journal_under_test(const std::string& url)
    : options(test::fresh_journal()) {
    options.url = url;
    options.ids = id_kind::text;
    store = open_store(options);
    session = store->connect();
  }

  raw_writer writer() const {
    return raw_writer{options.url.reveal(), options.schema};
  }

  journal_reader reader() const {
    return journal_reader{*session, {.types = {"thing"}}};
  }

  /// Stores an event of an entity of its own and returns its number.
  std::uint64_t append(const std::string& id) {
    append_step step;
    step.append_id = uuid::v4();
    step.events.push_back({"happened", 1, "{}", ""});
    append_request x{"thing", id, {step}, {}};
    append_all(*session, {&x});
    EXPECT_EQ(x.steps[0].status, append_status::stored) << x.steps[0].message;
    return x.steps[0].seq_no;
  }

  /// Makes the sequence believe that it has given out this number.
  void jump(std::uint64_t last) {
    raw_connection{options.url.reveal()}.exec("select setval('" + options.schema
                                              + ".event_seq_no_seq', "
                                              + std::to_string(last) + ")");
  }

  /// Returns what is wrong with what `reader` has seen.
  std::string verdict(const journal_reader& reader) const {
    raw_connection db{options.url.reveal()};
    return reader.compare(db, options.schema);
  }

  journal_options options;
  std::shared_ptr<evented::store> store;
  std::unique_ptr<store_session> session;
};

class frontier : public testing::Test {
protected:
  frontier() : journal(test::server().url()) {
    // nop
  }

  static raw_event thing(const std::string& id, std::uint64_t version = 1) {
    return {"thing", id, version};
  }

  /// Runs random schedules until one fails and returns what it did, or an empty
  /// text where none failed.
  static std::string run_schedules(journal_under_test& journal,
                                   look_order second, std::uint64_t first,
                                   std::uint64_t count) {
    frontier_schedule schedule{journal.options, *journal.session, second};
    for (auto seed = first; seed < first + count; ++seed)
      if (auto wrong = schedule.run(seed); !wrong.empty())
        return wrong + schedule.log();
    return {};
  }

  journal_under_test journal;
};

} // namespace

// -- bad orders ---------------------------------------------------------------

TEST_F(frontier, shows_an_append_that_was_held_open_while_others_committed) {
  auto reader = journal.reader();
  auto slow = journal.writer();
  slow.begin();
  slow.append({thing("slow"), thing("slow", 2)});
  for (int i = 0; i < 5; ++i) {
    journal.append("fast" + std::to_string(i));
    reader.catch_up(2);
  }
  EXPECT_EQ(reader.count(), 0u);
  slow.commit();
  reader.catch_up(2);
  EXPECT_EQ(reader.count(), 7u);
  EXPECT_EQ(journal.verdict(reader), "");
}

TEST_F(frontier, is_right_when_others_commit_between_the_look_and_the_read) {
  auto reader = journal.reader();
  auto slow = journal.writer();
  auto slower = journal.writer();
  slow.begin();
  slow.append({thing("slow")});
  journal.append("a");
  slower.begin();
  slower.append({thing("slower")});
  reader.look();
  slow.commit();
  journal.append("b");
  reader.read(100);
  reader.look();
  slower.commit();
  journal.append("c");
  while (reader.read(1)) {
    // nop
  }
  reader.catch_up();
  EXPECT_EQ(reader.count(), 5u);
  EXPECT_EQ(journal.verdict(reader), "");
}

TEST_F(frontier, may_fall_back_where_a_writer_takes_its_lock_late) {
  auto reader = journal.reader();
  auto late = journal.writer();
  late.begin();
  auto before = late.last_value();
  auto last = journal.append("a");
  reader.catch_up();
  EXPECT_EQ(reader.checkpoint(), last);
  late.lock(before);
  EXPECT_EQ(journal.session->frontier(), before);
  reader.catch_up();
  EXPECT_EQ(reader.checkpoint(), last);
  late.insert({thing("late")});
  journal.append("b");
  reader.catch_up();
  EXPECT_EQ(reader.count(), 1u);
  late.commit();
  reader.catch_up();
  EXPECT_EQ(reader.count(), 3u);
  EXPECT_EQ(journal.verdict(reader), "");
}

TEST_F(frontier, is_right_when_a_writer_locks_between_the_two_looks) {
  // What the function does, step by step: S, then a writer that locks, draws
  // and lets others overtake it, then the locks.
  auto reader = journal.reader();
  auto late = journal.writer();
  journal.append("a");
  auto sequence = late.last_value();
  late.begin();
  late.append({thing("late")});
  journal.append("b");
  reader.look(sequence);
  reader.read(100);
  EXPECT_EQ(reader.count(), 1u);
  late.commit();
  reader.catch_up();
  EXPECT_EQ(journal.verdict(reader), "");
}

TEST_F(frontier, is_right_when_a_writer_locks_while_the_function_looks) {
  // The function itself, held up before or behind its look at the sequence, for
  // as long as this takes. A lock with one key is none of those it looks at.
  journal.options.statement_timeout = 1min;
  journal.options.lock_timeout = 1min;
  journal.store = open_store(journal.options);
  journal.session = journal.store->connect();
  auto reader = journal.reader();
  auto late = journal.writer();
  auto fast = journal.writer();
  raw_connection gate;
  auto& schema = journal.options.schema;
  auto wait_where = [](const char* place) {
    return "if current_setting('test.place', true) = '"s + place
           + "' then perform pg_advisory_xact_lock_shared(7); end if; ";
  };
  gate.exec("create or replace function " + schema
            + ".last_number() returns bigint language plpgsql volatile as $$"
              "declare v bigint; begin "
            + wait_where("before") + "v := coalesce(pg_sequence_last_value('"
            + schema + ".event_seq_no_seq'), 0); " + wait_where("behind")
            + "return v; end$$");
  journal.append("a");
  reader.catch_up();
  for (auto* place : {"before", "behind"}) {
    auto set = "select set_config('test.place', $1, false)"s;
    journal.session->query(set, {parameter{std::string{place}}});
    gate.exec("select pg_advisory_lock(7)");
    std::thread looking{[&] { reader.look(); }};
    EXPECT_TRUE(wait_until([&] {
      return gate.exec("select count(*) from pg_locks where locktype = "
                       "'advisory' and objid = 7 and objsubid = 1 and not "
                       "granted")
             == "1";
    }))
      << place;
    auto before = reader.count();
    late.begin();
    late.append({thing("late"s + place)});
    fast.append({thing("fast"s + place)});
    gate.exec("select pg_advisory_unlock(7)");
    looking.join();
    journal.session->query(set, {parameter{""s}});
    reader.read(100);
    EXPECT_EQ(reader.count(), before) << place;
    late.commit();
    reader.catch_up();
    EXPECT_EQ(journal.verdict(reader), "") << place;
  }
  EXPECT_EQ(reader.count(), 5u);
}

TEST_F(frontier, is_held_through_rollbacks_to_savepoints) {
  auto reader = journal.reader();
  auto outside = journal.writer();
  auto inside = journal.writer();
  // The lock is older than the savepoint: it stays.
  outside.begin();
  outside.hold_frontier();
  outside.db().exec("savepoint s");
  outside.append({thing("gone")});
  outside.db().exec("rollback to s");
  journal.append("a");
  outside.insert({thing("outside")});
  journal.append("b");
  reader.catch_up();
  EXPECT_EQ(reader.count(), 0u);
  // The lock goes with the savepoint, and so does what was appended under it.
  inside.begin();
  inside.db().exec("savepoint s");
  inside.append({thing("inside")});
  inside.db().exec("rollback to s");
  outside.commit();
  auto last = journal.append("c");
  reader.catch_up();
  EXPECT_EQ(reader.checkpoint(), last);
  inside.append({thing("inside")});
  journal.append("d");
  reader.catch_up();
  inside.commit();
  reader.catch_up();
  EXPECT_EQ(reader.count(), 6u);
  EXPECT_EQ(journal.verdict(reader), "");
}

TEST_F(frontier, is_right_where_numbers_wrap_around_in_the_locks) {
  auto reader = journal.reader();
  auto one = journal.writer();
  auto two = journal.writer();
  auto n = 0;
  auto id = [&](const char* what) { return what + std::to_string(n); };
  for (auto start :
       {(1ULL << 30) - 3, (1ULL << 31) - 3, (1ULL << 31) + (1ULL << 30) - 3,
        (1ULL << 32) - 3, 1ULL << 62}) {
    ++n;
    journal.jump(start);
    one.begin();
    one.append({thing(id("one"))});
    two.begin();
    two.append({thing(id("two")), thing(id("two"), 2)});
    for (auto* x : {"a", "b", "c", "d"})
      journal.append(id(x));
    EXPECT_EQ(journal.session->frontier(), start);
    reader.catch_up(1);
    one.commit();
    EXPECT_EQ(journal.session->frontier(), start + 1);
    reader.catch_up(1);
    one.begin();
    one.append({thing(id("late"))});
    two.commit();
    EXPECT_EQ(journal.session->frontier(), start + 7);
    reader.catch_up(1);
    journal.append(id("e"));
    one.commit();
    reader.catch_up(1);
    EXPECT_EQ(journal.verdict(reader), "") << start;
  }
  EXPECT_EQ(reader.count(), 5 * 9u);
}

TEST_F(frontier, is_right_where_the_sequence_was_told_its_next_number) {
  // ALTER .. RESTART and setval(.., false) leave a sequence that has given out
  // nothing.
  for (auto next : {1'000'000'000ULL, 2'000'000'000ULL, 6'000'000'000ULL}) {
    journal_under_test fresh{test::server().url()};
    auto slow = fresh.writer();
    slow.db().exec("alter table " + fresh.options.schema
                   + ".event alter column seq_no restart with "
                   + std::to_string(next));
    auto reader = fresh.reader();
    slow.begin();
    slow.append({thing("slow")});
    fresh.append("fast");
    reader.catch_up();
    slow.commit();
    reader.catch_up();
    EXPECT_EQ(fresh.verdict(reader), "") << next;
  }
}

// -- other locks --------------------------------------------------------------

TEST_F(frontier, is_held_per_journal) {
  journal_under_test second{test::server().url()};
  journal_under_test third{test::server().url()};
  std::vector<journal_under_test*> journals{&journal, &second, &third};
  std::vector<journal_reader> readers;
  for (auto* x : journals)
    readers.push_back(x->reader());
  auto slow = second.writer();
  second.append("a");
  slow.begin();
  slow.append({thing("slow")});
  for (std::size_t i = 0; i < journals.size(); ++i) {
    auto last = journals[i]->append("b");
    readers[i].catch_up();
    if (i == 1)
      EXPECT_LT(readers[i].checkpoint(), last);
    else
      EXPECT_EQ(readers[i].checkpoint(), last);
  }
  slow.commit();
  for (std::size_t i = 0; i < journals.size(); ++i) {
    readers[i].catch_up();
    EXPECT_EQ(journals[i]->verdict(readers[i]), "");
  }
}

TEST_F(frontier, is_not_held_by_a_lock_in_another_database) {
  raw_connection db;
  db.exec("create database elsewhere_" + journal.options.schema);
  raw_connection elsewhere{
    test::server().url("elsewhere_" + journal.options.schema)};
  auto last = journal.append("a");
  auto table
    = db.exec("select ('" + journal.options.schema + ".event'::regclass)::oid");
  elsewhere.exec("begin");
  elsewhere.exec("select pg_advisory_xact_lock_shared(" + table + ", 0)");
  EXPECT_EQ(journal.session->frontier(), last);
  // The same lock in this database does hold.
  raw_connection here;
  here.exec("begin");
  here.exec("select pg_advisory_xact_lock_shared(" + table + ", 0)");
  EXPECT_EQ(journal.session->frontier(), 0u);
}

TEST_F(frontier, is_not_held_by_locks_with_one_key) {
  auto last = journal.append("a");
  raw_connection db;
  auto table
    = db.exec("select ('" + journal.options.schema + ".event'::regclass)::oid");
  // As 64 bits, this one has the very same two halves.
  db.exec("begin");
  db.exec("select pg_advisory_xact_lock_shared((" + table + "::bigint << 32))");
  EXPECT_EQ(journal.session->frontier(), last);
}

// -- the database's defaults --------------------------------------------------

TEST_F(frontier, is_right_whatever_isolation_the_database_prefers) {
  raw_connection db;
  for (auto* level : {"repeatable read", "serializable"}) {
    auto name = "strict_" + journal.options.schema + "_" + level[0];
    db.exec("create database " + name);
    db.exec("alter database " + name + " set default_transaction_isolation = '"
            + level + "'");
    journal_under_test strict{test::server().url(name)};
    EXPECT_EQ(*strict.session->query("show transaction_isolation", {})[0][0],
              "read committed");
    EXPECT_EQ(strict.writer().db().exec("show transaction_isolation"), level);
    EXPECT_EQ(run_schedules(strict, look_order::sequence_first, 1, 30), "");
    // The library's own writers do not stand in each other's way.
    constexpr int count = 50;
    std::vector<std::thread> threads;
    for (int w = 0; w < 3; ++w)
      threads.emplace_back([&, w] {
        auto own = strict.store->connect();
        for (int i = 0; i < count; ++i) {
          append_step step;
          step.append_id = uuid::v4();
          step.after = static_cast<std::uint64_t>(i);
          step.events.push_back({"happened", 1, "{}", ""});
          append_request x{"thing", std::to_string(w), {step}, {}};
          append_request* batch[] = {&x};
          // A busy machine may make a statement late, which cuts the
          // connection; asking the same again finds out.
          EXPECT_TRUE(wait_until(
            [&] {
              try {
                return own->append(batch);
              } catch (const connection_lost&) {
                own = strict.store->connect();
                return false;
              }
            },
            1min))
            << x.steps[0].message;
          EXPECT_EQ(x.steps[0].status, append_status::stored);
        }
      });
    auto reader = strict.reader();
    EXPECT_TRUE(wait_until(
      [&] {
        reader.catch_up();
        return reader.count() >= 3 * count;
      },
      1min));
    for (auto& thread : threads)
      thread.join();
    EXPECT_EQ(strict.verdict(reader), "");
  }
}

// -- prepared transactions and standbys ---------------------------------------

TEST_F(frontier, is_held_by_a_prepared_transaction_until_that_ends) {
  dev::postgres server{{.directory = {},
                        .fsync = false,
                        .settings = {{"max_prepared_transactions", "4"}}}};
  journal_under_test prepared{server.url()};
  auto count = std::size_t{0};
  for (auto* outcome : {"commit", "rollback"}) {
    auto reader = prepared.reader();
    reader.catch_up();
    reader.start_over();
    count = reader.count();
    {
      auto slow = prepared.writer();
      slow.begin();
      slow.append({thing("slow"s + outcome)});
      slow.db().exec("prepare transaction 'slow'");
    }
    prepared.append("fast"s + outcome);
    reader.catch_up();
    EXPECT_EQ(reader.count(), count);
    // It outlives its connection, and a crash of the server.
    server.kill();
    server.start();
    prepared.session = prepared.store->connect();
    auto later = prepared.reader();
    later.look(reader.checkpoint());
    later.read(100);
    later.start_over();
    count = later.count();
    prepared.append("again"s + outcome);
    later.catch_up();
    EXPECT_EQ(later.count(), count);
    raw_connection{server.url()}.exec(outcome + " prepared 'slow'"s);
    later.catch_up();
    EXPECT_EQ(later.count(), count + (outcome == "commit"s ? 3u : 2u));
    EXPECT_EQ(prepared.verdict(later), "");
  }
}

TEST_F(frontier, is_refused_on_a_standby) {
  dev::postgres server{{.directory = {}, .fsync = false, .settings = {}}};
  journal_under_test standby{server.url()};
  standby.append("a");
  standby.session.reset();
  server.stop();
  std::ofstream{server.data_directory() / "standby.signal"};
  server.start();
  auto code_of = [](auto&& f) {
    try {
      f();
    } catch (const error& e) {
      return e.code();
    }
    return errc::none;
  };
  EXPECT_EQ(code_of([&] { open_store(standby.options); }), errc::incompatible);
  // A store that was opened before the fail-over.
  standby.session = standby.store->connect();
  EXPECT_EQ(code_of([&] { standby.session->frontier(); }), errc::incompatible);
  // The session has not suffered, and reading needs no frontier of this server.
  EXPECT_EQ(
    standby.session->read({.types = {"thing"}}, 0, 1, 10).entries.size(), 1u);
}

// -- random orders ------------------------------------------------------------

// EVENTED_SEED=<n> repeats one schedule, EVENTED_SCHEDULES=<n> runs more.
TEST_F(frontier, is_right_in_random_schedules) {
  auto seed = number_from("EVENTED_SEED");
  auto first = seed.value_or(std::random_device{}());
  auto count = seed ? 1 : number_from("EVENTED_SCHEDULES").value_or(1000);
  EXPECT_EQ(run_schedules(journal, look_order::sequence_first, first, count),
            "")
    << "first seed " << first;
}

TEST_F(frontier, is_right_in_random_schedules_around_the_wrap) {
  auto first = number_from("EVENTED_SEED").value_or(std::random_device{}());
  frontier_schedule schedule{journal.options, *journal.session,
                             look_order::sequence_first};
  for (auto base : {1ULL << 31, 1ULL << 62})
    for (std::uint64_t i = 0; i < 10; ++i) {
      journal.jump(base + i * (1ULL << 30) - 10);
      auto wrong = schedule.run(first + base / (1ULL << 31) + i);
      ASSERT_EQ(wrong, "") << schedule.log();
    }
}

TEST_F(frontier, is_right_while_threads_write_and_read) {
  constexpr int writers = 8;
  std::atomic<bool> stop = false;
  std::atomic<std::size_t> committed = 0;
  auto write = [&](int w) {
    std::mt19937_64 random{static_cast<std::uint64_t>(w)};
    auto raw = journal.writer();
    std::uint64_t version = 0;
    auto id = std::to_string(w);
    auto more = [&](std::uint64_t count) {
      std::vector<raw_event> events;
      for (std::uint64_t i = 1; i <= count; ++i)
        events.push_back(thing(id, version + i));
      return events;
    };
    auto stored = [&](std::uint64_t count) {
      version += count;
      committed += count;
    };
    while (!stop) {
      auto count = 1 + random() % 3;
      switch (random() % 4) {
      case 0: {
        // Held open until others have overtaken it, or are waiting as well.
        raw.begin();
        raw.append(more(count));
        auto drawn = raw.last_value();
        for (int i = 0; i < 50 && raw.last_value() < drawn + 20; ++i)
          std::this_thread::yield();
        raw.commit();
        stored(count);
        break;
      }
      case 1:
        raw.begin();
        raw.append(more(count));
        raw.rollback();
        break;
      default:
        raw.append(more(count));
        stored(count);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      try {
        write(w);
      } catch (const std::exception& e) {
        ADD_FAILURE() << e.what();
      }
    });
  auto reader = journal.reader();
  const auto end = std::chrono::steady_clock::now() + 2s;
  while (std::chrono::steady_clock::now() < end) {
    // Always at the edge: what a frontier is too high by is lost at once.
    reader.catch_up(1000);
  }
  stop = true;
  for (auto& thread : threads)
    thread.join();
  reader.catch_up(1000);
  EXPECT_EQ(reader.count(), committed);
  EXPECT_EQ(journal.verdict(reader), "");
}

// -- the checks themselves ----------------------------------------------------

TEST_F(frontier, checks_find_what_a_reader_of_the_last_number_loses) {
  auto reader = journal.reader();
  auto slow = journal.writer();
  slow.db().exec("create or replace function " + journal.options.schema
                 + ".frontier() returns bigint language sql volatile as "
                   "$$select coalesce(pg_sequence_last_value('"
                 + journal.options.schema + ".event_seq_no_seq'), 0)$$");
  slow.begin();
  slow.append({thing("slow")});
  journal.append("fast");
  reader.catch_up();
  slow.commit();
  reader.catch_up();
  EXPECT_EQ(journal.verdict(reader), "lost: 1 thing/slow@1\n");
  auto wrong = run_schedules(journal, look_order::sequence_first, 1, 50);
  EXPECT_NE(wrong.find("reader 0:\nlost: "), std::string::npos) << wrong;
}

TEST_F(frontier, checks_find_what_a_reader_of_the_locks_first_loses) {
  auto wrong = run_schedules(journal, look_order::locks_first, 1, 100);
  EXPECT_NE(wrong.find("reader 1:\nlost: "), std::string::npos) << wrong;
  EXPECT_EQ(wrong.find("reader 0:\n"), std::string::npos) << wrong;
}
