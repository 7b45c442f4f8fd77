// Processes that deliver what waits in the outbox are killed in the middle of it:
// what they owe is delivered by whoever comes next, and takes effect once.

#include "chaos/application.hpp"
#include "chaos/worker.hpp"

#include <evented/entity_id.hpp>

#include <gtest/gtest.h>

#include <array>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented::test;

namespace {

using rows_of_text = std::vector<std::vector<std::string>>;

constexpr auto payments = 400;

/// Two processes that deliver, and that are killed now and then.
class killed_couriers : public testing::Test {
protected:
  killed_couriers() {
    // Makes the schema, and keeps what the timers are to be judged by.
    evented::journal_options where;
    where.url = common_server().url();
    where.schema = schema_;
    where.ids = evented::id_kind::bigint;
    evented::open_store(where);
    sql("create table SCHEMA.noted (id bigint, due_at timestamptz)");
    sql("create function SCHEMA.note() returns trigger language plpgsql as "
        "'begin insert into SCHEMA.noted values (new.id, new.due_at); "
        "return null; end'");
    sql("create trigger note after insert on SCHEMA.outbox for each row "
        "when (new.target = '') execute function SCHEMA.note()");
  }

  /// Runs a statement in which SCHEMA stands for the journal's schema.
  rows_of_text sql(std::string text) {
    for (auto at = text.find("SCHEMA"); at != std::string::npos;
         at = text.find("SCHEMA"))
      text.replace(at, 6, schema_);
    return query(common_server().url(), text);
  }

  std::string one(const std::string& text) { return sql(text).at(0).at(0); }

  /// Returns how many payments and alarms have arrived.
  int taken() {
    return std::stoi(one("select count(*) from SCHEMA.event where type_name = "
                         "'wallet' or event_name = 'rung'"));
  }

  /// A process, and how far it has come.
  struct courier {
    std::unique_ptr<worker> process = {};
    int next = 0;
    bool ended = false;
  };

  /// Starts one of the processes, unless it runs.
  void start(std::size_t which) {
    auto& x = couriers_[which];
    if (x.process != nullptr)
      return;
    x.process = std::make_unique<worker>(std::vector<std::string>{
      task_, common_server().url(), schema_, std::to_string(which + 1),
      std::to_string(count_)});
    ASSERT_EQ(x.process->hear().value_or("nothing"), "ready");
    // Begins with the one before, whose answer may have been lost.
    x.process->tell(std::to_string(std::max(0, x.next - 1)));
  }

  /// Lets a process work until it has told so many numbers.
  void hear(std::size_t which, int count) {
    auto& x = couriers_[which];
    while (count-- > 0 && !x.ended) {
      auto line = x.process->hear();
      ASSERT_TRUE(line);
      x.ended = *line == "end";
      if (!x.ended)
        x.next = std::stoi(*line) + 1;
    }
  }

  void kill(std::size_t which) {
    EXPECT_EQ(couriers_[which].process->kill(), "signal 9");
    couriers_[which].process = nullptr;
    couriers_[which].ended = false;
  }

  /// Starts those that do not run, and lets both work to the end.
  void finish() {
    for (std::size_t which : {0, 1}) {
      start(which);
      while (!couriers_[which].ended && !HasFatalFailure())
        hear(which, 1);
    }
  }

  std::string schema_ = unique_schema();
  /// What the processes do, and how much of it.
  std::string task_ = "courier";
  int count_ = payments;
  std::array<courier, 2> couriers_;
};

TEST_F(killed_couriers, owe_nothing_in_the_end) {
  constexpr auto rounds = 12;
  for (auto round = 0; round < rounds; ++round) {
    for (std::size_t which : {0, 1}) {
      start(which);
      hear(which, 5 + 7 * (round % 5));
    }
    // Not always before the claims of those who died before them have run out.
    if (round % 2 == 1) {
      auto before = taken();
      ASSERT_TRUE(wait_until(
        [&] {
          return taken() > before + round
                 || one("select count(*) from SCHEMA.outbox") == "0";
        },
        60s));
    }
    // One of them, or both at once.
    if (round % 3 != 1)
      kill(0);
    if (round % 3 != 0)
      kill(1);
  }
  std::cout << one("select count(*) from SCHEMA.outbox")
            << " messages wait after the last kill\n";
  finish();
  ASSERT_TRUE(wait_until(
    [&] { return one("select count(*) from SCHEMA.outbox") == "0"; }, 60s));
  // Each payment once, and those of a parcel in their order.
  std::map<int, std::vector<int>> found;
  std::map<int, std::vector<int>> expected;
  for (auto& row : sql("select event->>'amount' from SCHEMA.event where "
                       "type_name = 'wallet' order by seq_no"))
    found[std::stoi(row[0]) / 1000].push_back(std::stoi(row[0]) % 1000);
  for (auto parcel : {1, 2})
    for (auto n = 0; n < payments; ++n)
      expected[parcel].push_back(n);
  EXPECT_EQ(found, expected);
  // Each timer once, and not before its time.
  EXPECT_EQ(one("select count(*) from SCHEMA.noted"),
            std::to_string(2 * payments / 10));
  EXPECT_EQ(one("select count(*) from SCHEMA.event where event_name = 'rung'"),
            std::to_string(2 * payments / 10));
  EXPECT_EQ(one("select count(*) from SCHEMA.noted as n join SCHEMA.command as "
                "c on c.command_id like 'outbox-%-' || n.id "
                "where c.created_at >= n.due_at"),
            std::to_string(2 * payments / 10));
}

TEST_F(killed_couriers, ring_no_timer_that_was_moved_or_called_off) {
  task_ = "ringer";
  count_ = 160;
  constexpr auto rounds = 6;
  for (auto round = 0; round < rounds; ++round) {
    for (std::size_t which : {0, 1}) {
      start(which);
      hear(which, 12 + 5 * (round % 3));
    }
    // While the other one goes on.
    kill(round % 2);
  }
  finish();
  // The others are due in an hour.
  ASSERT_TRUE(wait_until(
    [&] {
      return one("select count(*) from SCHEMA.outbox where due_at < now() + "
                 "interval '1 minute'")
             == "0";
    },
    60s));
  std::map<std::string, std::string> waiting;
  std::map<std::string, int> rung;
  for (auto& row :
       sql("select entity_id, event_name, event->>'text', event->>'number' "
           "from SCHEMA.event where type_name = 'parcel' order by seq_no")) {
    auto& timer = waiting[row[0]];
    if (row[1] == "rung") {
      EXPECT_EQ(++rung[row[3]], 1) << row[3];
      EXPECT_EQ(std::stoi(row[3]) % 2, 1) << row[3];
      if (timer == row[3])
        timer.clear();
    } else {
      timer = row[2].starts_with("set ") ? row[2].substr(4) : "";
    }
  }
  EXPECT_EQ(waiting.size(), 3u);
  std::cout << rung.size() << " of "
            << one("select count(*) from SCHEMA.event where event->>'text' "
                   "like 'set %'")
            << " timers have gone off\n";
  EXPECT_GT(rung.size(), 0u);
  // Of what was set last, all has gone off or waits for its hour.
  for (auto& [parcel, timer] : waiting) {
    EXPECT_EQ(one("select count(*) from SCHEMA.outbox where timer = 't' and "
                  "entity_id = "
                  + parcel),
              timer.empty() ? "0" : "1")
      << parcel << ": " << timer;
    EXPECT_TRUE(timer.empty() || std::stoi(timer) % 2 == 0)
      << parcel << ": " << timer;
  }
}

} // namespace
