// Proves against a real server that each fault of the proxy means what it says:
// what later tests conclude from a lost reply rests on this.

#include "support/proxy.hpp"
#include "support/wait.hpp"

#include <evented/dev/postgres.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <future>
#include <libpq-fe.h>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

namespace match = evented::test::match;

using namespace std::literals;

using evented::test::client_message;
using evented::test::direction;
using evented::test::wait_until;

using steady_clock = std::chrono::steady_clock;

/// One connection of libpq.
class session {
public:
  explicit session(const std::string& url)
    : conn_(PQconnectdb(url.c_str()), PQfinish) {
    PQsetNoticeProcessor(
      conn_.get(), [](void*, const char*) {}, nullptr);
  }

  PGconn* get() const { return conn_.get(); }

  bool alive() const { return PQstatus(get()) == CONNECTION_OK; }

  bool exec(const std::string& sql) { return good(PQexec(get(), sql.c_str())); }

  bool exec_params(const std::string& sql) {
    return good(PQexecParams(get(), sql.c_str(), 0, nullptr, nullptr, nullptr,
                             nullptr, 0));
  }

  bool prepare(const char* name, const char* sql) {
    return good(PQprepare(get(), name, sql, 0, nullptr));
  }

  bool exec_prepared(const char* name) {
    return good(PQexecPrepared(get(), name, 0, nullptr, nullptr, nullptr, 0));
  }

  /// Returns the first field of the answer.
  std::string value(const std::string& sql) {
    const auto result = owned(PQexec(get(), sql.c_str()));
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0)
                                       : PQerrorMessage(get());
  }

  void close() { conn_.reset(); }

private:
  using result_ptr = std::unique_ptr<PGresult, void (*)(PGresult*)>;

  static result_ptr owned(PGresult* result) { return {result, PQclear}; }

  static bool good(PGresult* result) {
    const auto status = PQresultStatus(owned(result).get());
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  }

  std::unique_ptr<PGconn, void (*)(PGconn*)> conn_;
};

/// Stops a process until told to go on.
class stopped {
public:
  explicit stopped(pid_t pid) : pid_(pid) { ::kill(pid_, SIGSTOP); }

  ~stopped() { go_on(); }

  void go_on() {
    if (pid_ != 0)
      ::kill(std::exchange(pid_, 0), SIGCONT);
  }

private:
  pid_t pid_;
};

/// A client that decides which bytes it sends when.
class raw_client {
public:
  explicit raw_client(const std::filesystem::path& directory)
    : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto file = (directory / ".s.PGSQL.5432").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, file.data(), file.size());
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address))
        != 0)
      throw std::runtime_error{"cannot connect"};
  }

  ~raw_client() { ::close(fd_); }

  void send(std::string_view bytes) {
    ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  /// Reads until the server's bytes end with `end`, or the connection does.
  std::string read_until(std::string_view end) {
    std::string result;
    for (char c = 0; !std::string_view{result}.ends_with(end);)
      if (pollfd fd{fd_, POLLIN, 0};
          ::poll(&fd, 1, 20'000) == 1 && ::recv(fd_, &c, 1, 0) == 1)
        result += c;
      else
        break;
    return result;
  }

  static std::string startup(std::uint32_t code, std::string_view params = {}) {
    return be32(static_cast<std::uint32_t>(8 + params.size())) + be32(code)
           + std::string{params};
  }

  static std::string query(std::string_view sql) {
    return "Q" + be32(static_cast<std::uint32_t>(5 + sql.size()))
           + std::string{sql} + '\0';
  }

private:
  static std::string be32(std::uint32_t n) {
    std::string result;
    for (auto shift : {24, 16, 8, 0})
      result += static_cast<char>(n >> shift);
    return result;
  }

  int fd_;
};

constexpr auto ready = "Z\0\0\0\5I"sv;

class proxy : public testing::Test {
protected:
  static void SetUpTestSuite() {
    evented::dev::postgres_options opts;
    opts.fsync = false;
    server = std::make_unique<evented::dev::postgres>(opts);
  }

  static void TearDownTestSuite() { server.reset(); }

  static std::filesystem::path server_socket() {
    return server->socket_directory() / ".s.PGSQL.5432";
  }

  void SetUp() override {
    ASSERT_TRUE(direct.exec("drop table if exists t;"
                            "create table t(id int primary key)"));
  }

  std::string url() const { return link.url(server->user()); }

  /// Renders the IDs in the table.
  std::string rows() {
    return direct.value("select coalesce(string_agg(id::text, ' ' order by id),"
                        " '') from t");
  }

  /// Waits until no backend but that of `direct` is left, so that nothing can
  /// happen any more.
  bool all_backends_gone() {
    return wait_until([this] {
      return direct.value("select count(*) from pg_stat_activity where pid <>"
                          " pg_backend_pid() and backend_type ="
                          " 'client backend'")
             == "0";
    });
  }

  /// Returns when the proxy has dealt with all that had been sent to it: each
  /// question takes it once round its sockets.
  void settle() {
    for (auto i = 0; i < 4; ++i)
      link.open_connections();
  }

  static inline std::unique_ptr<evented::dev::postgres> server;

  session direct{server->url()};
  evented::test::proxy link{server_socket()};
};

// -- without faults -----------------------------------------------------------

TEST_F(proxy, forwards_everything_without_a_fault) {
  session client{url()};
  ASSERT_TRUE(client.alive());
  EXPECT_TRUE(client.exec("insert into t values (1)"));
  EXPECT_TRUE(client.prepare("two", "insert into t values (2)"));
  EXPECT_TRUE(client.exec_prepared("two"));
  EXPECT_EQ(client.value("select length(repeat('x', 5000000))"), "5000000");
  EXPECT_EQ(client.value("select repeat('x', 5000000)").size(), 5'000'000u);
  EXPECT_EQ(
    client.value("select length('" + std::string(5'000'000, 'y') + "')"),
    "5000000");
  EXPECT_EQ(rows(), "1 2");
  EXPECT_GT(link.bytes(direction::to_server), 5'000'000u);
  EXPECT_GT(link.bytes(direction::to_client), 5'000'000u);
}

TEST_F(proxy, knows_its_connections_and_their_backends) {
  session first{url()};
  session second{url()};
  EXPECT_EQ(link.backend_pids(), (std::vector{PQbackendPID(first.get()),
                                              PQbackendPID(second.get())}));
  EXPECT_EQ(link.open_connections(), 2u);
  first.close();
  EXPECT_TRUE(wait_until([&] { return link.open_connections() == 1; }));
  EXPECT_EQ(link.backend_pids(), std::vector{PQbackendPID(second.get())});
  EXPECT_EQ(link.connections(), 2u);
}

TEST_F(proxy, keeps_to_a_directory_of_its_own) {
  const auto directory = link.directory();
  EXPECT_EQ(std::filesystem::status(directory).permissions(),
            std::filesystem::perms::owner_all);
  const auto url = link.url("a b/c", "x&y");
  EXPECT_TRUE(url.starts_with("postgresql:///x%26y?host=%2F")) << url;
  EXPECT_TRUE(url.ends_with("&user=a%20b%2Fc")) << url;
}

TEST_F(proxy, sees_whole_messages_however_the_bytes_arrive) {
  std::string seen;
  link.hold([&seen](const client_message& msg) {
    seen += msg.type == '\0' ? "startup" : std::string{' ', msg.type};
    return false;
  });
  raw_client client{link.directory()};
  const auto startup = raw_client::startup(
    3 << 16, "user\0"s + server->user() + "\0database\0postgres\0\0"s);
  for (auto byte : startup) {
    client.send({&byte, 1});
    settle();
  }
  EXPECT_TRUE(client.read_until(ready).ends_with(ready));
  for (auto byte : raw_client::query("insert into t values (1)")) {
    client.send({&byte, 1});
    settle();
  }
  EXPECT_TRUE(client.read_until(ready).ends_with(ready));
  client.send(raw_client::query("insert into t values (2)")
              + raw_client::query("insert into t values (3)"));
  client.read_until(ready);
  client.read_until(ready);
  link.disarm();
  EXPECT_EQ(seen, "startup Q Q Q");
  EXPECT_EQ(rows(), "1 2 3");
}

TEST_F(proxy, passes_requests_for_encryption_on) {
  raw_client client{link.directory()};
  client.send(raw_client::startup(1234 << 16 | 5680));
  EXPECT_EQ(client.read_until("N"), "N");
  client.send(raw_client::startup(1234 << 16 | 5679));
  EXPECT_EQ(client.read_until("N"), "N");
  client.send(raw_client::startup(3 << 16, "user\0"s + server->user()
                                             + "\0database\0postgres\0\0"s));
  EXPECT_TRUE(client.read_until(ready).ends_with(ready));
}

TEST_F(proxy, passes_requests_to_cancel_on) {
  session client{url()};
  auto done = std::async(std::launch::async,
                         [&] { return client.value("select pg_sleep(60)"); });
  ASSERT_TRUE(wait_until([this] {
    return direct.value("select count(*) from pg_stat_activity where"
                        " wait_event = 'PgSleep'")
           == "1";
  }));
  auto cancel = PQgetCancel(client.get());
  char error[256];
  EXPECT_EQ(PQcancel(cancel, error, sizeof(error)), 1);
  PQfreeCancel(cancel);
  EXPECT_NE(done.get().find("canceling statement"), std::string::npos);
}

TEST_F(proxy, passes_on_what_a_dying_server_says) {
  session client{url()};
  direct.value("select pg_terminate_backend("
               + std::to_string(PQbackendPID(client.get())) + ")");
  EXPECT_NE(client.value("select 1").find("administrator"), std::string::npos);
  EXPECT_FALSE(client.alive());
}

TEST_F(proxy, closes_connections_while_the_server_is_down) {
  evented::test::proxy nowhere{link.directory() / "nobody"};
  session client{nowhere.url(server->user())};
  EXPECT_FALSE(client.alive());
  EXPECT_EQ(nowhere.connections(), 1u);
}

TEST_F(proxy, leaves_no_thread_descriptor_or_directory_behind) {
  const auto count = [](const char* directory) {
    return std::distance(std::filesystem::directory_iterator{directory}, {});
  };
  const auto threads = count("/proc/self/task");
  const auto descriptors = count("/proc/self/fd");
  std::filesystem::path directory;
  {
    evented::test::proxy other{server_socket()};
    directory = other.directory();
    session first{other.url(server->user())};
    session second{other.url(server->user())};
    other.hold(match::any());
    PQsendQuery(first.get(), "select 1");
    ASSERT_TRUE(other.wait_until_fired());
    other.cut_after_commit(match::sql("pg_sleep"));
    PQsendQuery(second.get(), "select pg_sleep(60)");
  }
  // A joined thread may stay in the listing for a moment.
  EXPECT_TRUE(wait_until([&] { return count("/proc/self/task") == threads; }));
  EXPECT_EQ(count("/proc/self/fd"), descriptors);
  EXPECT_FALSE(std::filesystem::exists(directory));
  // Nobody waits for the minute. The backend may not have begun its query yet,
  // and would sleep through the tests that come next.
  EXPECT_TRUE(wait_until([this] {
    direct.exec("select pg_terminate_backend(pid) from pg_stat_activity where"
                " backend_type = 'client backend' and pid <> pg_backend_pid()");
    return direct.value("select count(*) from pg_stat_activity where"
                        " backend_type = 'client backend'")
           == "1";
  }));
}

// -- cut_before ---------------------------------------------------------------

TEST_F(proxy, cuts_before_the_server_sees_the_statement) {
  session client{url()};
  link.cut_before(match::contains("values (1)"));
  EXPECT_FALSE(client.exec("insert into t values (1)"));
  EXPECT_FALSE(client.alive());
  EXPECT_TRUE(link.wait_until_fired());
  EXPECT_FALSE(link.armed());
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "");
}

TEST_F(proxy, cuts_before_a_commit_and_rolls_back) {
  session client{url()};
  link.cut_before(match::sql("COMMIT"));
  EXPECT_TRUE(client.exec("begin"));
  EXPECT_TRUE(client.exec("insert into t values (1)"));
  EXPECT_FALSE(client.exec("commit"));
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "");
}

TEST_F(proxy, forwards_nothing_after_the_message_it_cut_before) {
  session client{url()};
  link.cut_before(match::sql("values (2)"));
  ASSERT_EQ(PQenterPipelineMode(client.get()), 1);
  for (auto sql : {"insert into t values (1)", "insert into t values (2)",
                   "insert into t values (3)"}) {
    PQsendQueryParams(client.get(), sql, 0, nullptr, nullptr, nullptr, nullptr,
                      0);
    PQpipelineSync(client.get());
  }
  PQflush(client.get());
  ASSERT_TRUE(link.wait_until_fired());
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "1");
}

TEST_F(proxy, can_cut_at_the_start_up) {
  link.cut_before(match::startup());
  session client{url()};
  EXPECT_FALSE(client.alive());
  EXPECT_FALSE(link.armed());
  EXPECT_EQ(link.bytes(direction::to_server), 0u);
}

// -- cut_after_commit ---------------------------------------------------------

TEST_F(proxy, cuts_after_an_autocommitted_statement) {
  session client{url()};
  link.cut_after_commit(match::sql("insert"));
  const auto replies = link.bytes(direction::to_client);
  EXPECT_FALSE(client.exec("insert into t values (1)"));
  EXPECT_FALSE(client.alive());
  EXPECT_EQ(rows(), "1");
  EXPECT_EQ(link.bytes(direction::to_client), replies);
  EXPECT_FALSE(link.armed());
}

TEST_F(proxy, cuts_after_a_commit) {
  session client{url()};
  link.cut_after_commit(match::sql("commit"));
  EXPECT_TRUE(client.exec("begin"));
  EXPECT_TRUE(client.exec("insert into t values (1)"));
  EXPECT_FALSE(client.exec("commit"));
  EXPECT_FALSE(client.alive());
  EXPECT_EQ(rows(), "1");
}

TEST_F(proxy, cuts_after_a_prepared_statement) {
  session client{url()};
  EXPECT_TRUE(client.prepare("append", "insert into t values (1)"));
  EXPECT_TRUE(client.prepare("append_more", "insert into t values (2)"));
  link.cut_after_commit(match::bind("append"));
  EXPECT_TRUE(client.exec_prepared("append_more"));
  EXPECT_FALSE(client.exec_prepared("append"));
  EXPECT_FALSE(client.alive());
  EXPECT_EQ(rows(), "1 2");
}

TEST_F(proxy, waits_for_the_answer_however_long_it_takes) {
  ASSERT_TRUE(direct.exec("begin; lock t"));
  session client{url()};
  link.cut_after_commit(match::sql("insert"));
  auto done = std::async(std::launch::async, [&] {
    return client.exec("insert into t values (1)");
  });
  ASSERT_TRUE(wait_until([this] {
    return direct.value("select count(*) from pg_locks where not granted")
           == "1";
  }));
  EXPECT_TRUE(link.armed());
  EXPECT_FALSE(link.wait_until_fired(0ms));
  EXPECT_TRUE(direct.exec("commit"));
  EXPECT_TRUE(link.wait_until_fired());
  EXPECT_FALSE(done.get());
  EXPECT_EQ(rows(), "1");
}

TEST_F(proxy, waits_for_the_answer_even_if_the_client_gives_up) {
  ASSERT_TRUE(direct.exec("begin; lock t"));
  session client{url()};
  link.cut_after_commit(match::sql("insert"));
  PQsendQuery(client.get(), "insert into t values (1)");
  settle();
  client.close();
  EXPECT_TRUE(direct.exec("commit"));
  EXPECT_TRUE(link.wait_until_fired());
  EXPECT_EQ(rows(), "1");
}

TEST_F(proxy, loses_only_the_answer_to_the_request_it_cuts_after) {
  session client{url()};
  link.cut_after_commit(match::sql("values (2)"));
  ASSERT_EQ(PQenterPipelineMode(client.get()), 1);
  for (auto sql : {"insert into t values (1)", "insert into t values (2)",
                   "insert into t values (3)"}) {
    PQsendQueryParams(client.get(), sql, 0, nullptr, nullptr, nullptr, nullptr,
                      0);
    PQpipelineSync(client.get());
  }
  PQflush(client.get());
  std::vector<ExecStatusType> answers;
  while (client.alive())
    if (auto result = PQgetResult(client.get())) {
      answers.push_back(PQresultStatus(result));
      PQclear(result);
    }
  ASSERT_GE(answers.size(), 2u);
  EXPECT_EQ(answers[0], PGRES_COMMAND_OK);
  EXPECT_EQ(answers[1], PGRES_PIPELINE_SYNC);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), PGRES_COMMAND_OK), 1);
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "1 2");
}

TEST_F(proxy, keeps_count_of_the_answers_across_a_copy) {
  session client{url()};
  const auto copy = [&](auto begin, const char* row) {
    PQclear(begin());
    PQputCopyData(client.get(), row, static_cast<int>(strlen(row)));
    PQputCopyEnd(client.get(), nullptr);
    while (auto result = PQgetResult(client.get()))
      PQclear(result);
  };
  copy([&] { return PQexec(client.get(), "copy t from stdin"); }, "1\n");
  // A COPY in the extended protocol has two Sync but one ReadyForQuery.
  copy(
    [&] {
      return PQexecParams(client.get(), "copy t from stdin", 0, nullptr,
                          nullptr, nullptr, nullptr, 0);
    },
    "2\n");
  EXPECT_EQ(rows(), "1 2");
  link.cut_after_commit(match::sql("values (3)"));
  EXPECT_TRUE(client.exec("insert into t values (4)"));
  EXPECT_FALSE(client.exec_params("insert into t values (3)"));
  EXPECT_FALSE(link.armed());
  EXPECT_EQ(rows(), "1 2 3 4");
}

// -- cut_in_flight ------------------------------------------------------------

TEST_F(proxy, cuts_in_flight_while_the_statement_is_still_to_be_executed) {
  session client{url()};
  ASSERT_EQ(link.backend_pids().size(), 1u);
  stopped backend{link.backend_pids().front()};
  link.cut_in_flight(match::sql("insert"));
  EXPECT_FALSE(client.exec("insert into t values (1)"));
  EXPECT_FALSE(client.alive());
  EXPECT_TRUE(link.wait_until_fired());
  EXPECT_EQ(rows(), "");
  backend.go_on();
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
}

TEST_F(proxy, cuts_a_prepared_statement_in_flight_with_its_sync) {
  session client{url()};
  EXPECT_TRUE(client.prepare("append", "insert into t values (1)"));
  stopped backend{link.backend_pids().front()};
  link.cut_in_flight(match::bind("append"));
  EXPECT_FALSE(client.exec_prepared("append"));
  EXPECT_EQ(rows(), "");
  backend.go_on();
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
}

TEST_F(proxy, delivers_a_request_in_flight_that_is_too_big_for_the_sockets) {
  session client{url()};
  stopped backend{link.backend_pids().front()};
  link.cut_in_flight(match::sql("insert"));
  EXPECT_FALSE(client.exec("insert into t select length('"
                           + std::string(5'000'000, 'x') + "')"));
  EXPECT_EQ(rows(), "");
  backend.go_on();
  EXPECT_TRUE(wait_until([this] { return rows() == "5000000"; }));
  EXPECT_TRUE(all_backends_gone());
}

// -- hold and cut_all ---------------------------------------------------------

TEST_F(proxy, holds_a_message_until_its_release) {
  session client{url()};
  session other{url()};
  link.hold(match::sql("values (1)"));
  auto done = std::async(std::launch::async, [&] {
    return client.exec("insert into t values (1)");
  });
  ASSERT_TRUE(link.wait_until_fired());
  EXPECT_TRUE(other.exec("insert into t values (2)"));
  EXPECT_EQ(rows(), "2");
  link.release();
  EXPECT_TRUE(done.get());
  EXPECT_TRUE(client.exec("insert into t values (3)"));
  EXPECT_EQ(rows(), "1 2 3");
}

TEST_F(proxy, delivers_a_held_message_after_its_client_gave_up) {
  session client{url()};
  link.hold(match::sql("insert"));
  PQsendQuery(client.get(), "insert into t values (1)");
  ASSERT_TRUE(link.wait_until_fired());
  client.close();
  settle();
  EXPECT_EQ(rows(), "");
  link.release();
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
}

TEST_F(proxy, never_delivers_a_held_message_of_a_cut_connection) {
  session client{url()};
  link.hold(match::sql("insert"));
  PQsendQuery(client.get(), "insert into t values (1)");
  ASSERT_TRUE(link.wait_until_fired());
  link.cut_all();
  EXPECT_EQ(link.open_connections(), 0u);
  link.release();
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "");
}

TEST_F(proxy, can_strike_what_follows_a_held_message) {
  session client{url()};
  link.hold(match::sql("values (1)"));
  PQsendQuery(client.get(), "insert into t values (1)");
  ASSERT_TRUE(link.wait_until_fired());
  link.cut_before(match::sql("values (1)"));
  link.cut_before(match::sql("values (2)"));
  link.release();
  PQclear(PQgetResult(client.get()));
  EXPECT_EQ(PQgetResult(client.get()), nullptr);
  EXPECT_FALSE(client.exec("insert into t values (2)"));
  EXPECT_TRUE(link.armed());
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "1");
}

TEST_F(proxy, cuts_all_connections_at_once_and_accepts_new_ones) {
  session first{url()};
  session second{url()};
  link.cut_all();
  EXPECT_EQ(link.open_connections(), 0u);
  EXPECT_FALSE(first.exec("select 1"));
  EXPECT_FALSE(second.exec("select 1"));
  EXPECT_TRUE(session{url()}.alive());
}

// -- blackhole ----------------------------------------------------------------

TEST_F(proxy, forwards_nothing_into_a_black_hole_until_healed) {
  session client{url()};
  link.blackhole();
  const auto before = link.bytes(direction::to_server);
  PQsendQuery(client.get(), "insert into t values (1)");
  std::unique_ptr<PGconn, void (*)(PGconn*)> newcomer{
    PQconnectStart(url().c_str()), PQfinish};
  ASSERT_TRUE(wait_until([&] {
    PQconnectPoll(newcomer.get());
    return link.connections() == 2;
  }));
  settle();
  EXPECT_EQ(link.bytes(direction::to_server), before);
  EXPECT_EQ(link.open_connections(), 2u);
  EXPECT_EQ(rows(), "");
  link.heal();
  while (auto result = PQgetResult(client.get())) {
    EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
  }
  EXPECT_EQ(rows(), "1");
  EXPECT_TRUE(wait_until(
    [&] { return PQconnectPoll(newcomer.get()) == PGRES_POLLING_OK; }));
}

TEST_F(proxy, can_lose_replies_only) {
  session client{url()};
  link.blackhole(direction::to_client);
  const auto before = link.bytes(direction::to_client);
  PQsendQuery(client.get(), "insert into t values (1)");
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
  settle();
  EXPECT_EQ(link.bytes(direction::to_client), before);
  link.heal();
  auto result = PQgetResult(client.get());
  EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK);
  PQclear(result);
}

TEST_F(proxy, delivers_from_a_black_hole_what_a_client_sent_before_giving_up) {
  session client{url()};
  link.blackhole();
  PQsendQuery(client.get(), "insert into t values (1)");
  client.close();
  settle();
  EXPECT_EQ(rows(), "");
  link.heal();
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
}

// -- refuse -------------------------------------------------------------------

TEST_F(proxy, refuses_connections_until_healed) {
  session client{url()};
  link.refuse();
  EXPECT_FALSE(client.exec("select 1"));
  EXPECT_FALSE(session{url()}.alive());
  EXPECT_EQ(link.connections(), 2u);
  EXPECT_EQ(link.open_connections(), 0u);
  link.heal();
  EXPECT_TRUE(session{url()}.alive());
}

// -- truncate -----------------------------------------------------------------

TEST_F(proxy, truncates_the_way_to_the_client) {
  const auto unharmed = [this] {
    session client{url()};
    return link.bytes(direction::to_client);
  }();
  link.truncate(direction::to_client, unharmed + 3);
  session client{url()};
  ASSERT_TRUE(client.alive());
  EXPECT_FALSE(client.exec("insert into t values (1)"));
  EXPECT_TRUE(link.wait_until_fired());
  EXPECT_EQ(link.bytes(direction::to_client), 2 * unharmed + 3);
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "1");
  EXPECT_TRUE(session{url()}.alive());
}

TEST_F(proxy, truncates_the_way_to_the_server) {
  const auto unharmed = [this] {
    session client{url()};
    settle();
    return link.bytes(direction::to_server);
  }();
  link.truncate(direction::to_server, unharmed + 10);
  session client{url()};
  ASSERT_TRUE(client.alive());
  EXPECT_FALSE(client.exec("insert into t values (1)"));
  EXPECT_TRUE(link.wait_until_fired());
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "");
}

TEST_F(proxy, truncates_to_nothing) {
  link.truncate(direction::to_client, 0);
  EXPECT_FALSE(session{url()}.alive());
  EXPECT_FALSE(link.armed());
  EXPECT_TRUE(session{url()}.alive());
}

// -- delay --------------------------------------------------------------------

TEST_F(proxy, delays_messages_and_keeps_their_order) {
  session client{url()};
  link.delay(direction::to_client, 300ms);
  const auto begin = steady_clock::now();
  PQsendQuery(client.get(), "insert into t values (1)");
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
  settle();
  // The answer is on its way; the next one must not overtake it.
  link.delay(direction::to_client, 0ms);
  auto result = PQgetResult(client.get());
  EXPECT_STREQ(PQcmdStatus(result), "INSERT 0 1");
  EXPECT_GE(steady_clock::now() - begin, 300ms);
  PQclear(result);
  EXPECT_EQ(PQgetResult(client.get()), nullptr);
  EXPECT_EQ(client.value("select 5"), "5");
}

TEST_F(proxy, delivers_delayed_messages_at_once_when_healed) {
  session client{url()};
  link.delay(direction::to_server, 1h);
  const auto before = link.bytes(direction::to_server);
  PQsendQuery(client.get(), "insert into t values (1)");
  settle();
  EXPECT_EQ(link.bytes(direction::to_server), before);
  link.heal();
  EXPECT_TRUE(wait_until([this] { return rows() == "1"; }));
}

// -- arming -------------------------------------------------------------------

TEST_F(proxy, skips_as_many_matches_as_told) {
  session client{url()};
  link.cut_before(match::sql("insert"), 2);
  EXPECT_TRUE(client.exec("insert into t values (1)"));
  EXPECT_TRUE(client.exec("insert into t values (2)"));
  EXPECT_TRUE(link.armed());
  EXPECT_FALSE(client.exec("insert into t values (3)"));
  EXPECT_FALSE(link.armed());
  ASSERT_TRUE(all_backends_gone());
  EXPECT_EQ(rows(), "1 2");
}

TEST_F(proxy, strikes_once_per_fault_in_the_order_of_arming) {
  link.cut_before(match::sql("insert"));
  link.cut_after_commit(match::sql("insert"));
  EXPECT_FALSE(session{url()}.exec("insert into t values (1)"));
  EXPECT_TRUE(link.armed());
  EXPECT_FALSE(session{url()}.exec("insert into t values (2)"));
  EXPECT_FALSE(link.armed());
  EXPECT_TRUE(session{url()}.exec("insert into t values (3)"));
  EXPECT_EQ(rows(), "2 3");
}

TEST_F(proxy, drops_faults_that_are_disarmed) {
  session client{url()};
  link.cut_before(match::any());
  link.truncate(direction::to_client, 0);
  link.disarm();
  EXPECT_FALSE(link.armed());
  EXPECT_TRUE(client.exec("insert into t values (1)"));
  EXPECT_TRUE(session{url()}.alive());
}

TEST_F(proxy, keeps_a_fault_armed_whose_connection_ends_too_early) {
  ASSERT_TRUE(direct.exec("begin; lock t"));
  session client{url()};
  link.cut_after_commit(match::sql("insert"));
  PQsendQuery(client.get(), "insert into t values (1)");
  settle();
  direct.value("select pg_terminate_backend("
               + std::to_string(PQbackendPID(client.get())) + ")");
  ASSERT_TRUE(wait_until([this] { return link.open_connections() == 0; }));
  EXPECT_TRUE(link.armed());
  EXPECT_TRUE(direct.exec("commit"));
  EXPECT_FALSE(session{url()}.exec("insert into t values (2)"));
  EXPECT_FALSE(link.armed());
  EXPECT_EQ(rows(), "2");
}

TEST_F(proxy, serves_many_threads) {
  std::atomic<int> next{0};
  std::atomic<int> answered{0};
  const auto work = [&] {
    while (true) {
      session client{url()};
      while (client.alive()) {
        const auto id = ++next;
        if (id > 400)
          return;
        if (client.exec_params("insert into t values (" + std::to_string(id)
                               + ")"))
          ++answered;
      }
    }
  };
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back(work);
  for (auto i = 0; i < 10; ++i) {
    link.cut_before(match::sql("insert"), 3);
    link.cut_after_commit(match::sql("insert"), 5);
    static_cast<void>(link.wait_until_fired(100ms));
  }
  for (auto& thread : threads)
    thread.join();
  link.disarm();
  ASSERT_TRUE(all_backends_gone());
  const auto stored = std::stoi(direct.value("select count(*) from t"));
  EXPECT_GE(stored, answered);
  EXPECT_LE(stored, 400);
}

} // namespace
