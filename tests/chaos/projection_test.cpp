// Processes that run the same projection are killed, stopped and cut off, and
// so is the database.

#include "chaos/application.hpp"
#include "chaos/worker.hpp"
#include "support/proxy.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <signal.h>
#include <thread>

using namespace std::literals;

using namespace evented::test;

namespace {

using steady = std::chrono::steady_clock;

/// Looks at the checkpoints again and again, and complains where one moves back.
class checkpoint_guard {
public:
  checkpoint_guard(std::string url, std::string schema)
    : thread_([this, url = std::move(url), schema = std::move(schema)] {
        std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> seen;
        while (!stop_) {
          try {
            for (auto& x :
                 query(url, "select version || ':' || slice_from || '-' || "
                            "slice_to, seq_no, epoch from "
                              + schema + ".projection_range")) {
              auto& last = seen[x[0]];
              auto now = std::pair{std::stoull(x[1]), std::stoull(x[2])};
              if (now.first < last.first || now.second < last.second)
                complain("range " + x[0] + " went back from "
                         + std::to_string(last.first) + " to "
                         + std::to_string(now.first));
              last = now;
              ++looks_;
            }
          } catch (const std::exception&) {
            // The database is away.
          }
          std::this_thread::sleep_for(10ms);
        }
      }) {
    // nop
  }

  ~checkpoint_guard() { (void)finish(); }

  /// Returns everything that was wrong.
  std::string finish() {
    stop_ = true;
    if (thread_.joinable())
      thread_.join();
    std::lock_guard guard{mutex_};
    return looks_ > 0 ? complaints_ : "there was nothing to look at";
  }

private:
  void complain(const std::string& what) {
    std::lock_guard guard{mutex_};
    complaints_ += what + '\n';
  }

  std::mutex mutex_;
  std::string complaints_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> looks_{0};
  std::thread thread_;
};

/// Accounts under load, and processes that run a projection over them.
class projected {
public:
  explicit projected(evented::dev::postgres& server,
                     std::chrono::milliseconds take_over = 3s)
    : server_(server), take_over_(take_over) {
    where_.url = server.url();
    where_.schema = unique_schema();
    app_.emplace(where_);
    query(server.url(),
          "create table " + where_.schema
            + ".handled (seq_no bigint primary key, entity_id uuid, version "
              "bigint, at bigserial); create table "
            + where_.schema + ".sums (id uuid primary key, amount bigint)");
    for (int i = 0; i < 20; ++i)
      ids_.push_back(evented::uuid::v4());
  }

  /// Starts a process that runs the projection; waits until it has begun.
  std::unique_ptr<worker> start(const std::string& url = {},
                                int poll_ms = 500) {
    auto result = launch(url, poll_ms);
    EXPECT_EQ(result->hear(), "started");
    return result;
  }

  std::unique_ptr<worker> launch(const std::string& url = {},
                                 int poll_ms = 500) {
    return std::make_unique<worker>(std::vector<std::string>{
      "project", url.empty() ? server_.url() : url, where_.schema,
      std::to_string(take_over_.count()), std::to_string(poll_ms),
      std::to_string(ranges)});
  }

  void start_load() { load_.emplace(*app_, ids_, 1, "load", book); }

  [[nodiscard]] bool stop_load() { return load_->stop(); }

  /// Stores one event.
  void deposit_once() {
    auto x = app_->ask(ids_[0], deposit{"once." + std::to_string(++once_), 1});
    EXPECT_TRUE(x.ok) << to_string(x);
  }

  std::uint64_t number(const std::string& sql) {
    return std::stoull(query(server_.url(), sql)[0][0]);
  }

  std::uint64_t handled() {
    return number("select count(*) from " + where_.schema + ".handled");
  }

  std::uint64_t stored() {
    return number("select count(*) from " + where_.schema + ".event");
  }

  /// Waits until more is handled than now.
  [[nodiscard]] bool makes_progress(std::chrono::milliseconds deadline = 30s) {
    auto before = handled();
    return wait_until([&] { return handled() > before; }, deadline);
  }

  /// Waits until everything is handled, and returns what is wrong with it.
  std::string verdict() {
    if (!wait_until([&] { return handled() >= stored(); }, 60s))
      return "only " + std::to_string(handled()) + " of "
             + std::to_string(stored()) + " events are handled\n";
    std::string result;
    auto expect_none = [&](const std::string& what, std::string sql) {
      for (auto at = sql.find("SCHEMA"); at != std::string::npos;
           at = sql.find("SCHEMA"))
        sql.replace(at, 6, where_.schema);
      if (auto n = number(sql))
        result += std::to_string(n) + " " + what + '\n';
    };
    expect_none("events are not handled, or handled but not stored",
                "select count(*) from SCHEMA.event as e full join "
                "SCHEMA.handled as h using (seq_no) where e.seq_no is null or "
                "h.seq_no is null");
    expect_none("events of an entity are out of order",
                "select count(*) from (select version, coalesce(lag(version) "
                "over (partition by entity_id order by at), 0) as before from "
                "SCHEMA.handled) as x where version <> before + 1");
    expect_none(
      "accounts differ from the fold of the journal",
      "select count(*) from (select entity_id as id, sum(case event_name when "
      "'deposited' then 1 else -1 end * (event ->> 'amount')::bigint) as "
      "amount "
      "from SCHEMA.event group by 1) as x full join SCHEMA.sums as s using "
      "(id) "
      "where x.amount is distinct from s.amount");
    return result;
  }

  const std::string& schema() const { return where_.schema; }

  ledger book;
  int ranges = 1;

private:
  evented::dev::postgres& server_;
  std::chrono::milliseconds take_over_;
  evented::journal_options where_;
  std::optional<application> app_;
  std::vector<evented::uuid> ids_;
  std::optional<load> load_;
  int once_ = 0;
};

double seconds_since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

/// Well beyond the bound of 3 s, for machines that are slow.
constexpr auto slack = 20s;

} // namespace

TEST(projections, handle_each_event_once_while_everything_is_killed) {
  evented::dev::postgres server{fast_server()};
  projected view{server};
  view.ranges = 2;
  std::unique_ptr<worker> runners[] = {view.start(), view.start()};
  checkpoint_guard guard{server.url(), view.schema()};
  view.start_load();
  auto begin = steady::now();
  auto duration = load_time(8s);
  // Every 2 s for a minute; faster where there is less time.
  auto pause = std::min<std::chrono::milliseconds>(2s, duration / 8);
  auto kills = 0;
  auto restarts = 0;
  using evented::dev::shutdown;
  while (steady::now() < begin + duration) {
    pass_time(pause);
    runners[kills % 2] = view.launch();
    ++kills;
    if (restarts == 0 && steady::now() > begin + duration / 3) {
      server.restart(shutdown::fast);
      ++restarts;
    }
    if (restarts == 1 && steady::now() > begin + duration * 2 / 3) {
      server.restart(shutdown::immediate);
      ++restarts;
    }
  }
  EXPECT_EQ(restarts, 2);
  EXPECT_TRUE(view.stop_load());
  EXPECT_EQ(view.verdict(), "");
  EXPECT_EQ(guard.finish(), "");
  std::cout << kills << " runners killed, " << view.handled()
            << " events handled\n";
  EXPECT_GT(view.handled(), 100u);
}

TEST(projections, are_taken_over_from_an_owner_that_is_killed) {
  projected view{common_server()};
  auto first = view.start();
  view.start_load();
  ASSERT_TRUE(view.makes_progress());
  auto second = view.start();
  auto begin = steady::now();
  first.reset();
  EXPECT_TRUE(view.makes_progress(slack));
  std::cout << "taken over after " << seconds_since(begin) << " s\n";
  EXPECT_TRUE(view.stop_load());
  EXPECT_EQ(view.verdict(), "");
}

TEST(projections, are_taken_over_from_an_owner_that_is_stopped) {
  projected view{common_server()};
  auto first = view.start();
  view.start_load();
  ASSERT_TRUE(view.makes_progress());
  auto second = view.start();
  for (int round = 0; round < 2; ++round) {
    auto begin = steady::now();
    first->signal(SIGSTOP);
    EXPECT_TRUE(view.makes_progress(slack));
    std::cout << "taken over after " << seconds_since(begin) << " s\n";
    first->signal(SIGCONT);
    EXPECT_TRUE(view.makes_progress());
    std::swap(first, second);
  }
  EXPECT_TRUE(view.stop_load());
  EXPECT_EQ(view.verdict(), "");
}

TEST(projections, refuse_what_an_owner_had_written_before_it_was_stopped) {
  projected view{common_server()};
  auto first = view.start();
  view.deposit_once();
  ASSERT_TRUE(wait_until([&] { return view.handled() == 1; }));
  auto second = view.start();
  first->tell("close");
  ASSERT_EQ(first->hear(), "done");
  view.deposit_once();
  // It has written the view, and not yet committed.
  ASSERT_EQ(first->hear(), "holding");
  auto begin = steady::now();
  first->signal(SIGSTOP);
  EXPECT_TRUE(wait_until([&] { return view.handled() == 2; }, slack));
  std::cout << "taken over after " << seconds_since(begin) << " s\n";
  first->signal(SIGCONT);
  first->tell("open");
  EXPECT_EQ(first->hear(), "done");
  view.deposit_once();
  EXPECT_EQ(view.verdict(), "");
  // It is none the worse for it.
  second.reset();
  view.deposit_once();
  EXPECT_TRUE(wait_until([&] { return view.handled() == 4; }, slack));
  EXPECT_EQ(view.verdict(), "");
}

TEST(projections, are_taken_over_from_an_owner_that_is_cut_off) {
  proxy link{common_server().socket_directory() / ".s.PGSQL.5432"};
  projected view{common_server()};
  auto first = view.start(link.url(common_server().user()));
  view.start_load();
  ASSERT_TRUE(view.makes_progress());
  auto second = view.start();
  auto begin = steady::now();
  link.blackhole();
  EXPECT_TRUE(view.makes_progress(slack));
  std::cout << "taken over after " << seconds_since(begin) << " s\n";
  link.heal();
  EXPECT_TRUE(view.makes_progress());
  second.reset();
  EXPECT_TRUE(view.makes_progress(slack));
  EXPECT_TRUE(view.stop_load());
  EXPECT_EQ(view.verdict(), "");
}

TEST(projections, hear_of_events_again_after_the_database_was_away) {
  evented::dev::postgres server{fast_server()};
  projected view{server};
  // Polling comes too late for this test.
  auto runner = view.start({}, 3'600'000);
  view.deposit_once();
  ASSERT_TRUE(wait_until([&] { return view.handled() == 1; }, 30s));
  server.restart(evented::dev::shutdown::immediate);
  view.deposit_once();
  EXPECT_TRUE(wait_until([&] { return view.handled() == 2; }, 30s));
  view.deposit_once();
  EXPECT_EQ(view.verdict(), "");
}
