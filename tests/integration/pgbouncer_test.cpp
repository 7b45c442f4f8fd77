// Everything through PgBouncer in transaction mode, with one server connection
// for all: whatever a session leaves behind on it, such as a named statement or
// a setting, the next one finds.

#include "dev/directory.hpp"
#include "support/projections.hpp"

#include <fstream>
#include <libpq-fe.h>
#include <mutex>
#include <set>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace fs = std::filesystem;

namespace {

constexpr auto program = "/usr/sbin/pgbouncer";

/// Runs PgBouncer in front of the tests' server.
class bouncer {
public:
  bouncer() {
    auto who = dev::detail::server_account();
    directory_ = dev::detail::make_temporary(who);
    auto config = directory_ / "pgbouncer.ini";
    {
      std::ofstream out{config};
      out << "[databases]\n"
          << "* = host=" << server().socket_directory().native()
          << " port=5432 user=" << server().user() << "\n"
          << "[pgbouncer]\n"
          << "unix_socket_dir = " << directory_.native() << "\n"
          << "listen_port = 6432\n"
          << "auth_type = any\n"
          << "pool_mode = transaction\n"
          << "default_pool_size = 1\n"
          << "ignore_startup_parameters = extra_float_digits\n";
    }
    dev::detail::arguments args{program, config};
    // It refuses to run as root.
    if (who.foreign())
      args.insert(args.begin(),
                  {"setpriv", "--reuid", std::to_string(who.uid), "--regid",
                   std::to_string(who.gid), "--clear-groups"});
    auto log = directory_ / "log";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    auto argv = dev::detail::to_argv(args);
    auto code
      = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
      dev::detail::throw_errno("cannot run pgbouncer", code);
    // Its socket has a name before it listens there.
    if (!wait_until([&] { return PQping(url().c_str()) == PQPING_OK; }))
      throw std::runtime_error("pgbouncer does not listen: "
                               + dev::detail::read_file(log));
  }

  ~bouncer() {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      waitpid(pid_, nullptr, 0);
    }
    fs::remove_all(directory_);
  }

  [[nodiscard]] std::string url() const {
    return "postgresql://" + server().user()
           + "@/postgres?port=6432&host=" + directory_.native();
  }

private:
  fs::path directory_;
  pid_t pid_ = 0;
};

/// A process that does everything that a journal can do.
class process {
public:
  process(const std::string& url, codec payloads) {
    options_ = fresh_journal();
    options_.url = url;
    options_.ids = id_kind::text;
    options_.payloads = payloads;
    options_.pooler = pooler::transaction;
    // Where many wait for one connection.
    options_.statement_timeout = 20s;
    options_.take_over = 60s;
    store_ = open_store(options_);
    session_ = store_->connect();
    runner_.session = store_->connect_projections();
    // The same statement of the application's has another shape here and there.
    view_ = options_.schema + ".view";
    session_->query("create table " + view_
                      + (payloads == codec::json ? " (seq_no bigint)"
                                                 : " (n text, seq_no bigint)"),
                    {});
    runner_->declare("p", 1, 1, from_beginning{});
    session_->query("select " + options_.schema
                      + ".heartbeat(array[$1::uuid], "
                        "array['host'], '1 hour')",
                    {runner_.id});
    lease_ = *runner_->acquire({"p", 1, 0}, 1, runner_.id);
  }

  /// Appends two events, loads and reads them, and runs the projection.
  void round() {
    auto id = "e" + std::to_string(events_ % 6);
    auto& version = versions_[id];
    auto payload
      = encode(options_.payloads, happened{static_cast<std::int64_t>(events_)});
    append_step step;
    step.append_id = uuid::v4();
    step.after = version;
    step.events = {{"happened", 1, payload, "", {"even", id}},
                   {"happened", 1, payload, R"({"by":"me"})"}};
    append_request request{"thing", id, {step}, {}};
    append_all(*session_, {&request});
    ASSERT_EQ(request.steps[0].status, append_status::stored);
    version += 2;
    events_ += 2;
    EXPECT_EQ(request.steps[0].seq_no, events_);

    std::vector<load_request> load{{"thing", id, version - 2}};
    auto loaded = session_->load(load, 10);
    ASSERT_EQ(loaded.at(0).events.size(), 2u);
    EXPECT_EQ(loaded[0].events[1].version, version);
    EXPECT_EQ(
      decode<happened>(options_.payloads, loaded[0].events[1].payload).n,
      static_cast<std::int64_t>(events_) - 2);

    EXPECT_EQ(session_->frontier(), events_);
    event_filter all{.types = {"thing"}};
    EXPECT_EQ(session_->read(all, 0, events_, 1000).entries.size(), events_);
    event_filter tagged{.types = {"thing"}, .tags = {id}};
    EXPECT_EQ(runner_->read(tagged, 0, events_, 1000).entries.size(),
              version / 2);

    EXPECT_EQ(runner_->lag(all, lease_.seq_no).events, 2u);
    range_batch batch;
    batch.lease = lease_;
    batch.entries = runner_->read(all, lease_.seq_no, events_, 100).entries;
    batch.up_to = events_;
    event_function handler{[&](const journal_entry& x, transaction& tx, auto&) {
      tx.exec("insert into " + view_ + " (seq_no) values ($1)", x.event.seq_no);
      EXPECT_EQ(decode<happened>(options_.payloads, x.event.payload).n,
                static_cast<std::int64_t>(events_) - 2);
    }};
    std::atomic<bool> never{false};
    handle_batch(*runner_, handler, batch, false, never);
    ASSERT_EQ(batch.outcome, batch_outcome::committed) << batch.error;
    lease_ = batch.lease;
    EXPECT_EQ(runner_->status("p").ranges.at(0).seq_no, events_);

    auto found = session_->query(
      "select count(*), count(distinct seq_no), pg_backend_pid(), "
      "current_setting('enable_sort'), current_setting('statement_timeout') "
      "from "
        + view_,
      {});
    EXPECT_EQ(found[0][0], std::to_string(events_));
    EXPECT_EQ(found[0][1], found[0][0]);
    backends.insert(*found[0][2]);
    // No session has left its settings behind.
    EXPECT_EQ(found[0][3], "on");
    EXPECT_EQ(found[0][4], "0");
  }

  /// Takes the projection away from itself, and its own letters back.
  void change() {
    append_step step;
    step.append_id = uuid::v4();
    step.after = versions_["e0"];
    step.events = {{"happened", 1, encode(options_.payloads, happened{1}), ""}};
    append_request request{"thing", "e0"s, {step}, {}};
    append_all(*session_, {&request});
    ASSERT_EQ(request.steps[0].status, append_status::stored);
    ++versions_["e0"];
    ++events_;
    range_batch batch;
    batch.lease = lease_;
    batch.entries
      = runner_->read({.types = {"thing"}}, lease_.seq_no, events_, 9).entries;
    batch.up_to = events_;
    put_away(*runner_, batch, letter_kind::parked, "no");
    ASSERT_EQ(batch.outcome, batch_outcome::committed) << batch.error;
    EXPECT_EQ(runner_->behind(batch.lease, batch.entries),
              std::vector<bool>{true});
    EXPECT_EQ(runner_->replay(
                "p", "thing", "e0"s,
                [&](const journal_entry& x, transaction& tx) {
                  EXPECT_EQ(
                    decode<happened>(options_.payloads, x.event.payload).n, 1);
                  tx.exec("insert into " + view_ + " (seq_no) values ($1)",
                          x.event.seq_no);
                }),
              1u);
    EXPECT_THROW(
      {
        projection_step late;
        late.up_to = events_;
        runner_->commit(batch.lease, late);
      },
      fenced);
    lease_ = *runner_->acquire({"p", 1, 0}, 1, runner_.id);
    EXPECT_EQ(lease_.seq_no, events_);
    EXPECT_FALSE(lease_.parked);
  }

  /// The server connections that were met.
  std::set<std::string> backends;

private:
  journal_options options_;
  std::shared_ptr<store> store_;
  std::unique_ptr<store_session> session_;
  runner runner_;
  range_lease lease_;
  std::string view_;
  std::uint64_t events_ = 0;
  std::map<std::string, std::uint64_t> versions_;
};

class behind_pgbouncer : public testing::Test {
protected:
  void SetUp() override {
    // tools/packages names it: a machine that tests has it.
    ASSERT_TRUE(fs::exists(program)) << program << " is not installed";
    between = std::make_unique<bouncer>();
    first = std::make_unique<process>(between->url(), codec::json);
    second = std::make_unique<process>(between->url(), codec::binary);
  }

  /// Checks that both processes had the same server connection all the time.
  void expect_one_connection() const {
    auto all = first->backends;
    all.insert(second->backends.begin(), second->backends.end());
    EXPECT_EQ(all.size(), 1u);
    raw_connection db;
    EXPECT_TRUE(wait_until([&] {
      return db.exec("select string_agg(pid::text, ' ') from pg_stat_activity "
                     "where backend_type = 'client backend' and pid <> "
                     "pg_backend_pid()")
             == *all.begin();
    }));
  }

  std::unique_ptr<bouncer> between;
  std::unique_ptr<process> first;
  std::unique_ptr<process> second;
};

} // namespace

TEST_F(behind_pgbouncer, two_processes_take_turns_on_one_connection) {
  for (auto i = 0; i < 50 && !HasFatalFailure(); ++i) {
    first->round();
    second->round();
  }
  first->change();
  second->change();
  first->round();
  second->round();
  expect_one_connection();
}

TEST_F(behind_pgbouncer, two_processes_use_one_connection_at_the_same_time) {
  std::thread other{[&] {
    for (auto i = 0; i < 50 && !HasFatalFailure(); ++i)
      second->round();
  }};
  for (auto i = 0; i < 50 && !HasFatalFailure(); ++i)
    first->round();
  other.join();
  expect_one_connection();
}
