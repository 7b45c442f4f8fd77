// How a process learns that there is something new in the journal, from
// whichever process, and how the database learns that a runner is alive.

#include "support/forwarding_store.hpp"
#include "support/journals.hpp"
#include "support/wait.hpp"

#include <evented/error.hpp>
#include <evented/frontier_watch.hpp>
#include <evented/projection_store.hpp>
#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <libpq-fe.h>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;
using evented::test::raw_connection;
using evented::test::wait_until;

namespace {

// -- what a watch does --------------------------------------------------------

/// Counts what a watch asks of its store, and can stand in its way.
struct probe {
  std::atomic<int> looks{0};
  std::atomic<int> announcements{0};
  /// Called before these happen; set before the watch begins.
  std::function<void()> before_announcement = [] {};
};

class probed_session : public watch_session {
public:
  probed_session(std::unique_ptr<watch_session> inner,
                 std::shared_ptr<probe> seen)
    : inner_(std::move(inner)), seen_(std::move(seen)) {
    // nop
  }

  bool listens() const override { return inner_->listens(); }

  look_result look() override {
    auto result = inner_->look();
    ++seen_->looks;
    return result;
  }

  void announce() override {
    seen_->before_announcement();
    inner_->announce();
    ++seen_->announcements;
  }

  void heartbeat(const std::vector<uuid>& runners) override {
    inner_->heartbeat(runners);
  }

  bool wait(int wake_fd, std::chrono::milliseconds limit) override {
    return inner_->wait(wake_fd, limit);
  }

private:
  std::unique_ptr<watch_session> inner_;
  std::shared_ptr<probe> seen_;
};

class probed_store : public test::forwarding_store {
public:
  probed_store(std::shared_ptr<store> inner, std::shared_ptr<probe> seen)
    : forwarding_store(std::move(inner)), seen_(std::move(seen)) {
    // nop
  }

  std::unique_ptr<watch_session> connect_watch() override {
    return std::make_unique<probed_session>(inner_->connect_watch(), seen_);
  }

private:
  std::shared_ptr<probe> seen_;
};

// -- actors in these plays ----------------------------------------------------

/// Remembers what a subscriber was told. Thread-safe.
class record {
public:
  frontier_watch::callback callback() {
    return [this](std::uint64_t frontier) {
      std::lock_guard guard{mutex_};
      all_.push_back(frontier);
    };
  }

  std::vector<std::uint64_t> all() const {
    std::lock_guard guard{mutex_};
    return all_;
  }

  std::size_t size() const { return all().size(); }

  /// Waits until the last one is `frontier`.
  testing::AssertionResult reaches(std::uint64_t frontier) const {
    auto there = wait_until([&] {
      auto xs = all();
      return !xs.empty() && xs.back() == frontier;
    });
    auto result
      = there ? testing::AssertionSuccess() : testing::AssertionFailure();
    result << "told";
    for (auto x : all())
      result << ' ' << x;
    return result << ", expected " << frontier;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::uint64_t> all_;
};

/// What a process has that writes and watches a journal.
struct process {
  explicit process(std::shared_ptr<store> journal)
    : where(std::make_shared<probed_store>(std::move(journal), seen)),
      session(where->connect()),
      watch(std::make_unique<frontier_watch>(where)) {
    // nop
  }

  explicit process(const journal_options& options)
    : process(open_store(options)) {
    // nop
  }

  /// Stores an event and returns its number.
  std::uint64_t append() {
    append_step step;
    step.append_id = uuid::v4();
    step.events = {new_event{"happened", 1, "{\"n\":1}", ""}};
    append_request x{"thing", to_string(uuid::v4()), {step}, {}};
    append_all(*session, {&x});
    EXPECT_EQ(x.steps[0].status, append_status::stored) << x.steps[0].message;
    return x.steps[0].seq_no;
  }

  /// The same, as an appender does it.
  std::uint64_t commit() {
    auto result = append();
    watch->committed();
    return result;
  }

  std::shared_ptr<probe> seen = std::make_shared<probe>();
  std::shared_ptr<store> where;
  std::unique_ptr<store_session> session;
  std::unique_ptr<frontier_watch> watch;
};

/// Hears what is announced.
class listener {
public:
  explicit listener(const std::vector<std::string>& channels)
    : connection_(PQconnectdb(test::server().url().c_str()), &PQfinish) {
    for (auto& x : channels)
      exec("listen " + x);
    exec("listen fence");
  }

  /// Returns the channels of all that was announced so far, in order.
  std::vector<std::string> heard() {
    // Announcements arrive in the order of the commits.
    exec("notify fence");
    std::vector<std::string> result;
    EXPECT_TRUE(wait_until([&] {
      PQconsumeInput(connection_.get());
      while (auto* x = PQnotifies(connection_.get())) {
        result.emplace_back(x->relname);
        PQfreemem(x);
      }
      return !result.empty() && result.back() == "fence";
    }));
    std::erase(result, "fence");
    return result;
  }

private:
  void exec(const std::string& sql) {
    auto* result = PQexec(connection_.get(), sql.c_str());
    EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK)
      << PQresultErrorMessage(result);
    PQclear(result);
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

class frontier_watching : public testing::Test {
protected:
  frontier_watching() : options(test::fresh_journal()) {
    options.ids = id_kind::text;
    // Whoever is told within the test was woken up.
    options.poll_interval = 1h;
  }

  /// Appends without any announcement, in whatever transaction `by` is.
  std::uint64_t raw_append(raw_connection& by) const {
    return std::stoull(
      by.exec(test::raw_append(options.schema, to_string(uuid::v4()))));
  }

  std::string channel() const { return "evented_" + options.schema; }

  journal_options options;
  raw_connection db;
  record told;
};

/// Waits until the watch has looked because of a subscriber that came after
/// everything else.
void finish_round(process& x) {
  record last;
  auto end = x.watch->subscribe(last.callback());
  ASSERT_TRUE(wait_until([&] { return last.size() == 1; }));
}

bool connected(const process& x) {
  return x.watch->state().connected;
}

} // namespace

// -- subscribers --------------------------------------------------------------

TEST_F(frontier_watching, does_nothing_until_it_is_needed) {
  process one{options};
  EXPECT_FALSE(one.watch->state().connected);
  EXPECT_EQ(one.watch->state().frontier, 0u);
  EXPECT_EQ(one.watch->state().error, "");
}

TEST_F(frontier_watching, tells_a_new_subscriber_where_the_frontier_is) {
  process one{options};
  auto first = one.watch->subscribe(told.callback());
  EXPECT_TRUE(told.reaches(0));
  auto last = one.append();
  record second;
  auto end = one.watch->subscribe(second.callback());
  EXPECT_TRUE(second.reaches(last));
  EXPECT_TRUE(told.reaches(last));
  EXPECT_EQ(second.size(), 1u);
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(frontier_watching, wakes_up_on_a_commit_of_this_process) {
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  for (auto i = 0; i < 20; ++i) {
    auto last = one.commit();
    ASSERT_TRUE(told.reaches(last));
  }
  EXPECT_TRUE(one.watch->state().connected);
  EXPECT_TRUE(one.watch->state().listening);
  EXPECT_EQ(one.watch->state().reconnects, 0u);
}

TEST_F(frontier_watching, wakes_up_on_a_commit_of_another_process) {
  process one{options};
  process other{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  for (auto i = 0; i < 20; ++i) {
    auto last = other.commit();
    ASSERT_TRUE(told.reaches(last));
  }
}

TEST_F(frontier_watching, polls_where_nobody_announces) {
  options.poll_interval = 20ms;
  options.wake_up = wake_up::poll;
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_FALSE(one.watch->state().listening);
  EXPECT_TRUE(told.reaches(raw_append(db)));
}

TEST_F(frontier_watching, polls_also_where_it_listens) {
  options.poll_interval = 20ms;
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_TRUE(told.reaches(raw_append(db)));
}

TEST_F(frontier_watching, wakes_up_its_own_process_where_nothing_is_announced) {
  options.wake_up = wake_up::poll;
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_TRUE(told.reaches(one.commit()));
}

TEST_F(frontier_watching, survives_a_callback_that_throws) {
  process one{options};
  auto bad = one.watch->subscribe(
    [](std::uint64_t) { throw std::runtime_error("a bad callback"); });
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_TRUE(told.reaches(one.commit()));
}

TEST_F(frontier_watching, keeps_the_highest_frontier) {
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  for (auto i = 0; i < 5; ++i)
    one.append();
  auto high = one.commit();
  ASSERT_TRUE(told.reaches(high));
  // A writer that has looked at the sequence long ago and takes its lock now.
  db.exec("begin");
  db.exec("select pg_advisory_xact_lock_shared(" + options.schema
          + ".frontier_class(), 2)");
  ASSERT_EQ(one.session->frontier(), 2u);
  auto last = one.commit();
  EXPECT_TRUE(wait_until([&] { return one.watch->state().held > 0ms; }));
  finish_round(one);
  EXPECT_EQ(told.all().back(), high);
  EXPECT_EQ(one.watch->state().frontier, high);
  db.exec("rollback");
  EXPECT_TRUE(told.reaches(last));
  auto all = told.all();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
}

TEST_F(frontier_watching, sees_a_frontier_that_was_held_by_a_rollback) {
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  db.exec("begin");
  raw_append(db);
  auto last = one.commit();
  ASSERT_TRUE(wait_until([&] { return one.watch->state().held >= 20ms; }));
  EXPECT_EQ(told.all().back(), 0u);
  db.exec("rollback");
  EXPECT_TRUE(told.reaches(last));
  EXPECT_EQ(one.watch->state().held, 0ms);
}

// -- announcements ------------------------------------------------------------

TEST_F(frontier_watching, a_process_that_only_writes_does_not_look) {
  process one{options};
  listener raw{{channel()}};
  for (auto i = 1; i <= 20; ++i) {
    one.commit();
    ASSERT_TRUE(wait_until([&] { return one.seen->announcements == i; }));
  }
  one.watch.reset();
  EXPECT_EQ(one.seen->announcements, 20);
  EXPECT_EQ(one.seen->looks, 0);
  EXPECT_EQ(raw.heard(), std::vector<std::string>(20, channel()));
}

TEST_F(frontier_watching, announces_many_commits_together) {
  process one{options};
  std::latch announcing{1};
  std::latch go_on{1};
  std::atomic<bool> first{true};
  one.seen->before_announcement = [&] {
    if (first.exchange(false)) {
      announcing.count_down();
      go_on.wait();
    }
  };
  one.commit();
  announcing.wait();
  std::vector<std::thread> writers;
  for (auto i = 0; i < 4; ++i)
    writers.emplace_back([&] {
      for (auto j = 0; j < 1000; ++j)
        one.watch->committed();
    });
  for (auto& x : writers)
    x.join();
  go_on.count_down();
  EXPECT_TRUE(wait_until([&] { return one.seen->announcements == 2; }));
  finish_round(one);
  EXPECT_EQ(one.seen->announcements, 2);
}

TEST_F(frontier_watching, keeps_a_pace_beside_a_busy_writer) {
  using clock = std::chrono::steady_clock;
  process one{make_memory_store(options)};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  auto began = clock::now();
  auto looks = one.seen->looks.load();
  while (one.seen->looks < looks + 20)
    one.watch->committed();
  EXPECT_GE(clock::now() - began, 19ms);
  began = clock::now();
  auto announcements = one.seen->announcements.load();
  while (one.seen->announcements < announcements + 6)
    one.watch->committed();
  EXPECT_GE(clock::now() - began, 20ms);
}

TEST_F(frontier_watching, does_not_wake_itself_up) {
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  for (auto i = 0; i < 20; ++i)
    ASSERT_TRUE(told.reaches(one.commit()));
  finish_round(one);
  // At the beginning, for each commit, and at the end.
  EXPECT_EQ(one.seen->looks, 22);
  db.exec("notify " + channel());
  EXPECT_TRUE(wait_until([&] { return one.seen->looks == 23; }));
}

TEST_F(frontier_watching, with_wake_up_poll_nothing_is_announced) {
  options.wake_up = wake_up::poll;
  process one{options};
  listener raw{{channel()}};
  one.commit();
  EXPECT_FALSE(one.watch->state().connected);
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(1));
  ASSERT_TRUE(told.reaches(one.commit()));
  one.watch.reset();
  EXPECT_EQ(one.seen->announcements, 0);
  EXPECT_EQ(raw.heard(), std::vector<std::string>{});
}

TEST_F(frontier_watching, announces_on_a_channel_per_journal) {
  process one{options};
  auto here = channel();
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  auto elsewhere = test::fresh_journal();
  elsewhere.ids = id_kind::text;
  auto there = "evented_" + elsewhere.schema;
  process other{elsewhere};
  listener raw{{here, there}};
  other.commit();
  EXPECT_TRUE(wait_until([&] { return other.seen->announcements == 1; }));
  EXPECT_EQ(raw.heard(), std::vector{there});
  EXPECT_EQ(one.seen->looks, 1);
  one.commit();
  EXPECT_TRUE(wait_until([&] { return one.seen->announcements == 1; }));
  EXPECT_EQ(raw.heard(), std::vector{here});
}

TEST_F(frontier_watching, takes_the_longest_schema_name) {
  options.schema.resize(63, 'x');
  process one{options};
  process other{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_TRUE(told.reaches(other.commit()));
}

TEST_F(frontier_watching, announces_the_last_commit_before_it_goes) {
  listener raw{{channel()}};
  for (auto i = 0; i < 5; ++i) {
    process one{options};
    one.commit();
    one.watch.reset();
    EXPECT_EQ(one.seen->announcements, 1);
    EXPECT_EQ(raw.heard(), std::vector{channel()});
  }
}

TEST_F(frontier_watching, looks_also_where_it_cannot_announce) {
  process one{options};
  std::atomic<bool> refusing{true};
  one.seen->before_announcement = [&] {
    if (refusing)
      throw sql_error("54000", "too many notifications in the NOTIFY queue");
  };
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  ASSERT_TRUE(told.reaches(one.commit()));
  EXPECT_TRUE(one.watch->state().connected);
  EXPECT_NE(one.watch->state().error.find("NOTIFY queue"), std::string::npos);
  refusing = false;
  ASSERT_TRUE(told.reaches(one.commit()));
  EXPECT_TRUE(wait_until([&] { return one.watch->state().error.empty(); }));
}

// -- broken connections -------------------------------------------------------

TEST_F(frontier_watching, heals_when_its_connection_is_terminated) {
  process other{options};
  auto name = "watch_of_" + options.schema;
  options.url = options.url.reveal() + "&application_name=" + name;
  process one{options};
  // Its other connection would do no harm, but so there is no doubt.
  one.session.reset();
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  for (auto i = 1u; i <= 5; ++i) {
    ASSERT_TRUE(wait_until([&] {
      return db.exec("select count(*) from pg_stat_activity where "
                     "application_name = '"
                     + name + "'")
             == "1";
    }));
    db.exec("select pg_terminate_backend(pid) from pg_stat_activity where "
            "application_name = '"
            + name + "'");
    ASSERT_TRUE(wait_until(
      [&] { return one.watch->state().reconnects == i && connected(one); }));
    ASSERT_TRUE(told.reaches(other.commit()));
    EXPECT_EQ(one.watch->state().error, "");
    EXPECT_TRUE(one.watch->state().listening);
  }
}

TEST_F(frontier_watching,
       sees_at_once_what_was_committed_while_it_was_cut_off) {
  dev::postgres server{{.directory = {}, .fsync = false, .settings = {}}};
  options.url = server.url();
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  auto last = one.append();
  server.stop();
  ASSERT_TRUE(wait_until([&] { return !connected(one); }));
  auto state = one.watch->state();
  EXPECT_FALSE(state.listening);
  EXPECT_NE(state.error, "");
  // What cannot be announced now is announced later.
  one.watch->committed();
  EXPECT_EQ(one.seen->announcements, 0);
  server.start();
  EXPECT_TRUE(told.reaches(last));
  ASSERT_TRUE(wait_until([&] { return connected(one); }));
  EXPECT_GE(one.watch->state().reconnects, 1u);
  EXPECT_EQ(one.seen->announcements, 1);
  process other{options};
  EXPECT_TRUE(told.reaches(other.commit()));
  // And whoever asks while the server is gone is told so.
  server.stop();
  ASSERT_TRUE(wait_until([&] { return !connected(one); }));
  EXPECT_THROW(static_cast<void>(one.watch->keep_alive(uuid::v4())),
               connection_lost);
}

// -- behind a pooler ----------------------------------------------------------

TEST_F(frontier_watching, works_without_session_state) {
  options.pooler = pooler::transaction;
  options.poll_interval = 20ms;
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_FALSE(one.watch->state().listening);
  auto alive = one.watch->keep_alive(uuid::v4());
  listener raw{{channel()}};
  EXPECT_TRUE(told.reaches(one.commit()));
  EXPECT_TRUE(wait_until([&] { return one.seen->announcements == 1; }));
  EXPECT_EQ(raw.heard(), std::vector{channel()});
  EXPECT_TRUE(told.reaches(raw_append(db)));
}

TEST_F(frontier_watching, listens_past_a_pooler_where_it_is_told_how) {
  options.pooler = pooler::transaction;
  options.listen_url = options.url;
  process one{options};
  process other{options};
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(0));
  EXPECT_TRUE(one.watch->state().listening);
  EXPECT_TRUE(told.reaches(other.commit()));
}

// -- signs of life ------------------------------------------------------------

TEST_F(frontier_watching, keep_alive_renews_until_it_is_dropped) {
  options.take_over = 1s;
  process one{options};
  auto id = uuid::v4();
  auto of_runner = [&](const std::string& what) {
    return db.exec("select " + what + " from " + options.schema
                   + ".runner where id = '" + to_string(id) + "'");
  };
  auto alive_until
    = [&] { return std::stod(of_runner("extract(epoch from alive_until)")); };
  {
    auto alive = one.watch->keep_alive(id);
    auto first = alive_until();
    EXPECT_EQ(of_runner("host ~ ':[0-9]+$'"), "t");
    EXPECT_TRUE(wait_until([&] { return alive_until() >= first + 0.5; }));
    // Nobody looks who has no subscriber.
    EXPECT_EQ(one.seen->looks, 0);
  }
  EXPECT_TRUE(wait_until([&] {
    return of_runner("alive_until < clock_timestamp() - interval '0.2 s'")
           == "t";
  }));
}

TEST_F(frontier_watching, keeps_several_runners_alive) {
  process one{options};
  auto id = uuid::v4();
  auto same = one.watch->keep_alive(id);
  auto again = one.watch->keep_alive(id);
  auto other = one.watch->keep_alive(uuid::v4());
  EXPECT_EQ(db.exec("select count(*) from " + options.schema + ".runner"), "2");
}

TEST_F(frontier_watching, keep_alive_says_what_is_wrong) {
  process one{options};
  db.exec("alter table " + options.schema + ".runner rename to gone");
  EXPECT_THROW(static_cast<void>(one.watch->keep_alive(uuid::v4())), sql_error);
  db.exec("alter table " + options.schema + ".gone rename to runner");
  auto alive = one.watch->keep_alive(uuid::v4());
  EXPECT_EQ(db.exec("select count(*) from " + options.schema + ".runner"), "1");
}

// -- lifetimes ----------------------------------------------------------------

TEST_F(frontier_watching, may_be_destroyed_inside_of_a_callback) {
  process one{options};
  std::latch subscribed{1};
  std::latch destroyed{1};
  {
    auto end = one.watch->subscribe([&](std::uint64_t) {
      subscribed.wait();
      one.watch.reset();
      destroyed.count_down();
    });
    auto never = one.watch->subscribe(told.callback());
    subscribed.count_down();
    destroyed.wait();
  }
  EXPECT_EQ(told.size(), 0u);
  // The thread ends, and leaves nothing behind.
  EXPECT_TRUE(wait_until([&] { return one.where.use_count() == 1; }));
}

TEST_F(frontier_watching, a_registration_may_outlive_the_watch) {
  process one{options};
  auto end = one.watch->subscribe(told.callback());
  auto alive = one.watch->keep_alive(uuid::v4());
  one.watch.reset();
  auto size = told.size();
  one.append();
  EXPECT_EQ(told.size(), size);
}

TEST_F(frontier_watching, a_registration_may_end_inside_of_its_callback) {
  process one{options};
  std::latch subscribed{1};
  frontier_watch::registration end;
  std::atomic<int> calls{0};
  auto held = std::make_shared<int>();
  end = one.watch->subscribe([&, held](std::uint64_t) {
    subscribed.wait();
    end = {};
    ++calls;
  });
  subscribed.count_down();
  ASSERT_TRUE(wait_until([&] { return calls == 1; }));
  one.commit();
  finish_round(one);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(wait_until([&] { return held.use_count() == 1; }));
}

TEST_F(frontier_watching, a_callback_may_use_the_watch) {
  process one{options};
  std::mutex mutex;
  std::vector<frontier_watch::registration> more;
  auto end = one.watch->subscribe([&](std::uint64_t) {
    auto other = one.watch->subscribe(told.callback());
    auto alive = one.watch->keep_alive(uuid::v4());
    std::lock_guard guard{mutex};
    more.push_back(std::move(other));
    more.push_back(std::move(alive));
  });
  EXPECT_TRUE(told.reaches(0));
  EXPECT_EQ(db.exec("select count(*) from " + options.schema + ".runner"), "1");
  end = {};
}

namespace {

/// Subscribes and unsubscribes from several threads while events are stored.
/// Returns how often a callback ran that must not any more.
int count_late_callbacks(process& one, int rounds) {
  std::atomic<bool> stop{false};
  std::atomic<int> late{0};
  std::atomic<int> calls{0};
  std::thread writer{[&] {
    while (!stop)
      one.commit();
  }};
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (auto j = 0; j < rounds; ++j) {
        // Not atomic, so that ThreadSanitizer sees what comes too late.
        auto active = std::make_shared<bool>(true);
        std::atomic<int> mine{0};
        auto end = one.watch->subscribe([&, active](std::uint64_t) {
          ++mine;
          ++calls;
          std::this_thread::yield();
          if (!*active)
            ++late;
        });
        if (j % 2 == 0 && !wait_until([&] { return mine > 0; }))
          ADD_FAILURE() << "never called";
        end = {};
        *active = false;
      }
    });
  for (auto& x : threads)
    x.join();
  stop = true;
  writer.join();
  EXPECT_GE(calls, 2 * rounds);
  return late;
}

} // namespace

TEST_F(frontier_watching, no_callback_after_the_registration_is_gone) {
  process one{options};
  EXPECT_EQ(count_late_callbacks(one, 100), 0);
}

// -- in memory ----------------------------------------------------------------

TEST_F(frontier_watching, works_on_a_journal_in_memory) {
  process one{make_memory_store(options)};
  one.append();
  auto end = one.watch->subscribe(told.callback());
  ASSERT_TRUE(told.reaches(1));
  EXPECT_TRUE(told.reaches(one.commit()));
  auto alive = one.watch->keep_alive(uuid::v4());
  EXPECT_TRUE(one.watch->state().connected);
  EXPECT_TRUE(one.watch->state().listening);
}

TEST_F(frontier_watching, in_memory_no_callback_after_its_registration) {
  process one{make_memory_store(options)};
  EXPECT_EQ(count_late_callbacks(one, 500), 0);
}
