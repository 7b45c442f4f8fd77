// A process touches far more entities than it keeps awake, while connections
// break now and then. It must take no more of anything in the end than soon after
// the beginning. With EVENTED_SOAK_ENTITIES=1000000 of a million entities.

#include "chaos/application.hpp"
#include "chaos/observer.hpp"
#include "chaos/soak.hpp"
#include "chaos/vital_signs.hpp"
#include "chaos/worker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented::test;

namespace {

constexpr std::uint64_t parts = 10;

/// How many of them it takes until every pool, cache and queue has been in use.
constexpr std::uint64_t warm_up = 3;

std::uint64_t entities() {
  auto* text = std::getenv("EVENTED_SOAK_ENTITIES");
  return text == nullptr ? 40'000 : std::stoull(text);
}

/// How the process stands when it has nothing to do.
struct figures {
  vital_signs kernel;
  std::uint64_t heap = 0;
  std::uint64_t awake = 0;
  std::uint64_t connections = 0;
};

class soak : public testing::Test {
protected:
  soak() {
    db_.query("create schema " + schema_ + "; create table " + schema_
              + ".total (id bigint primary key, amount bigint)");
    app_.emplace(std::vector<std::string>{"soak", server_.url(), schema_,
                                          std::to_string(limit_)},
                 std::vector{exact_heap});
  }

  std::uint64_t connections() {
    return db_.number("select count(*) from pg_stat_activity where "
                      "application_name = 'evented'");
  }

  /// Kills some of the process's connections, from one of them to all.
  void cut_some() {
    auto found = connections();
    if (found > 0)
      db_.query("select pg_terminate_backend(pid) from (select pid from "
                "pg_stat_activity where application_name = 'evented' order by "
                "pid limit "
                + std::to_string(cuts_++ % found + 1) + ") as x");
  }

  /// Lets the process send these commands, and cuts connections meanwhile.
  void send(std::uint64_t from, std::uint64_t to) {
    app_->tell("send " + std::to_string(from) + ' ' + std::to_string(to));
    std::optional<std::string> line;
    auto end = std::chrono::steady_clock::now() + 1h;
    while (!line && std::chrono::steady_clock::now() < end) {
      cut_some();
      line = app_->hear(2s);
      if (!line) {
        ASSERT_EQ(app_->wait(0ms), "still running");
      }
    }
    ASSERT_TRUE(line);
    std::istringstream words{*line};
    std::string word, why;
    std::uint64_t accepted = 0, refused = 0;
    words >> word >> accepted >> refused;
    std::getline(words, why);
    EXPECT_EQ(refused, 0u) << why;
    sent_ += accepted;
  }

  /// Waits until nothing is left to be done, and looks.
  figures settle() {
    auto done = [&](const std::string& sql) {
      return wait_until([&] { return db_.value(sql) == "t"; }, 10min);
    };
    EXPECT_TRUE(done("select not exists (select from " + schema_ + ".outbox)"));
    EXPECT_TRUE(done("select min(seq_no) >= (select max(seq_no) from " + schema_
                     + ".event) from " + schema_ + ".projection_range"));
    auto events = db_.number("select count(*) from " + schema_
                             + ".event where type_name = 'wallet'");
    figures result;
    std::uint64_t falling_asleep = 0, loading = 0, seen = 0;
    EXPECT_TRUE(wait_until(
      [&] {
        app_->tell("look");
        std::istringstream line{app_->hear().value_or("")};
        line >> result.heap >> result.awake >> falling_asleep >> loading
          >> seen;
        return falling_asleep == 0 && loading == 0 && seen == events;
      },
      1min))
      << falling_asleep << " fall asleep, " << loading << " load, " << seen
      << " of " << events << " events were seen";
    result.kernel = vital_signs_of(app_->pid());
    result.connections = connections();
    return result;
  }

  /// Returns what the journal and the view have that they should not, or do not
  /// have that they should.
  std::string compare(std::uint64_t commands) {
    auto stored = "select entity_id, (event->>'amount')::bigint from " + schema_
                  + ".event where type_name = 'wallet'";
    auto expected = soak_command::all_of(commands);
    auto folded = "select id, sum(amount)::bigint from (" + expected
                  + ") as x group by id";
    auto view = "select id, amount from " + schema_ + ".total";
    auto count = [&](const std::string& a, const std::string& b) {
      return db_.value("select count(*) from ((" + a + ") except all (" + b
                       + ")) as x");
    };
    return "missing " + count(expected, stored) + ", too many "
           + count(stored, expected) + ", missing in the view "
           + count(folded, view) + ", too many " + count(view, folded);
  }

  evented::dev::postgres server_{fast_server()};
  observer db_{server_.url()};
  std::string schema_ = unique_schema();
  std::uint64_t limit_ = std::max<std::uint64_t>(entities() / 100, 500);
  std::optional<worker> app_;
  std::uint64_t sent_ = 0;
  std::uint64_t cuts_ = 0;
};

/// Returns the greatest figure of the parts in [from, to).
template <class F>
std::uint64_t most(const std::vector<figures>& all, std::size_t from,
                   std::size_t to, F&& f) {
  std::uint64_t result = 0;
  for (auto i = from; i < to; ++i)
    result = std::max<std::uint64_t>(result, f(all[i]));
  return result;
}

} // namespace

TEST_F(soak, takes_no_more_of_anything_in_the_end) {
  ASSERT_EQ(app_->hear().value_or("nothing"), "ready");
  auto commands = entities() * 4 / soak_command::fresh_of_four;
  std::vector<figures> all;
  auto begin = std::chrono::steady_clock::now();
  std::cout << "  entities  commands  awake  resident KiB  heap KiB  threads  "
               "files  connections  seconds\n";
  for (std::uint64_t i = 0; i < parts; ++i) {
    auto to = commands * (i + 1) / parts;
    send(commands * i / parts, to);
    ASSERT_FALSE(HasFailure());
    auto& x = all.emplace_back(settle());
    ASSERT_LE(x.awake, limit_ + limit_ / 10);
    ASSERT_FALSE(HasFailure());
    std::cout << std::setw(10) << to * soak_command::fresh_of_four / 4
              << std::setw(10) << sent_ << std::setw(7) << x.awake
              << std::setw(14) << x.kernel.resident << std::setw(10)
              << x.heap / 1024 << std::setw(9) << x.kernel.threads
              << std::setw(7) << x.kernel.files << std::setw(13)
              << x.connections << std::setw(9)
              << std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::steady_clock::now() - begin)
                   .count()
              << std::endl;
  }
  std::cout << cuts_ << " times connections were cut\n";
  EXPECT_GE(cuts_, parts);
  constexpr auto half = parts / 2;
  // The first half after the warm-up against the second.
  auto growth = [&](auto f) {
    return static_cast<std::int64_t>(most(all, half, parts, f))
           - static_cast<std::int64_t>(most(all, warm_up, half, f));
  };
  EXPECT_LE(growth([](auto& x) { return x.kernel.threads; }), 0);
  EXPECT_LE(growth([](auto& x) { return x.kernel.files; }), 0);
  EXPECT_LE(growth([](auto& x) { return x.connections; }), 0);
  if (memory_is_telling) {
    // What timers hold for a second, and what the kernel is not given back, is
    // noise of about these sizes. What grows with the entities would be more than
    // eight bytes each: a place in a table takes a hundred.
    auto touched = static_cast<std::int64_t>(entities() / 2);
    EXPECT_LE(growth([](auto& x) { return x.heap; }), 256 * 1024 + touched * 8);
    EXPECT_LE(growth([](auto& x) { return x.kernel.resident * 1024; }),
              4 * 1024 * 1024 + touched * 8);
  }
  EXPECT_EQ(sent_, db_.number("select count(*) from " + schema_
                              + ".event where type_name = 'parcel' or "
                                "(event->>'amount')::bigint <= 1000000000"));
  EXPECT_EQ(compare(commands), "missing 0, too many 0, missing in the view 0, "
                               "too many 0");
  // What wakes up is what has fallen asleep.
  for (std::uint64_t id = 0; id < entities(); id += entities() / 50) {
    app_->tell("total " + std::to_string(id));
    EXPECT_EQ(app_->hear().value_or("nothing"),
              db_.value("select amount from " + schema_
                        + ".total where id = " + std::to_string(id)));
  }
  app_->tell("end");
  EXPECT_EQ(app_->wait(1min), "exit 0");
}
