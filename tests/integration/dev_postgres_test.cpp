#include "support/wait.hpp"

#include <evented/dev/postgres.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <libpq-fe.h>
#include <memory>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace evented;
using namespace std::chrono_literals;

namespace fs = std::filesystem;

using test::wait_until;

namespace {

/// Runs one statement over a connection of its own. Returns the first field of
/// the first row, or the error.
std::string query(const std::string& url, const std::string& sql) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> conn{
    PQconnectdb(url.c_str()), &PQfinish};
  if (PQstatus(conn.get()) != CONNECTION_OK)
    return PQerrorMessage(conn.get());
  const std::unique_ptr<PGresult, decltype(&PQclear)> result{
    PQexec(conn.get(), sql.c_str()), &PQclear};
  switch (PQresultStatus(result.get())) {
  case PGRES_TUPLES_OK:
    return PQgetvalue(result.get(), 0, 0);
  case PGRES_COMMAND_OK:
    return "";
  default:
    return PQerrorMessage(conn.get());
  }
}

/// Checks whether a process exists and is more than a zombie.
bool alive(pid_t pid) {
  std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
  std::string number, name, state;
  stat >> number >> name >> state;
  return !state.empty() && state != "Z" && state != "X";
}

/// Returns the message of what `f` throws.
std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

/// A process of its own that owns a server, until it is killed.
class owner {
public:
  struct report {
    pid_t server = 0;
    fs::path data;
  };

  explicit owner(const dev::postgres_options& opts) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
      throw std::runtime_error("no pipe");
    pid_ = fork();
    if (pid_ == 0)
      be_owner(opts, fds[1]);
    close(fds[1]);
    std::string text;
    char buffer[512];
    for (ssize_t n; (n = read(fds[0], buffer, sizeof(buffer))) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    close(fds[0]);
    std::istringstream{text} >> report_.server >> report_.data;
  }

  ~owner() { kill(); }

  const report& server() const { return report_; }

  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      waitpid(std::exchange(pid_, 0), nullptr, 0);
    }
  }

private:
  [[noreturn]] static void be_owner(const dev::postgres_options& opts, int fd) {
    try {
      const dev::postgres server{opts};
      std::ostringstream out;
      out << server.pid() << ' ' << server.data_directory();
      const auto text = out.str();
      if (write(fd, text.data(), text.size()) > 0)
        close(fd);
      for (;;)
        pause();
    } catch (const std::runtime_error&) {
      _exit(1);
    }
  }

  pid_t pid_ = 0;
  report report_;
};

class dev_postgres : public testing::Test {
protected:
  dev_postgres() {
    auto path = (fs::temp_directory_path() / "dev-postgres-XXXXXX").string();
    if (!mkdtemp(path.data()))
      throw std::runtime_error("no directory");
    // The server's user passes through here to its own directories.
    fs::permissions(path, fs::perms{0711});
    scratch = path;
  }

  ~dev_postgres() override {
    std::error_code ignored;
    fs::remove_all(scratch, ignored);
  }

  static dev::postgres_options temporary() { return {.fsync = false}; }

  dev::postgres_options kept(const std::string& name = "kept") const {
    return {.directory = scratch / name, .fsync = false};
  }

  fs::path scratch;
};

TEST_F(dev_postgres, answers_over_the_unix_socket) {
  dev::postgres server{temporary()};
  EXPECT_EQ(query(server.url(), "select 40 + 2"), "42");
  EXPECT_EQ(query(server.url(), "select current_user"), "evented");
  EXPECT_EQ(query(server.url("template1"), "select current_database()"),
            "template1");
}

TEST_F(dev_postgres, listens_nowhere_else) {
  dev::postgres server{temporary()};
  EXPECT_EQ(query(server.url(), "show listen_addresses"), "");
  // PostgreSQL notes down where it listens, line by line: its socket's
  // directory is the fifth line, its first TCP address the sixth.
  std::ifstream file{server.data_directory() / "postmaster.pid"};
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  ASSERT_GE(lines.size(), 6u);
  EXPECT_EQ(fs::path{lines[4]}, server.socket_directory());
  EXPECT_EQ(lines[5], "");
}

TEST_F(dev_postgres, keeps_other_users_out) {
  dev::postgres server{temporary()};
  struct stat info {};
  ASSERT_EQ(stat(server.socket_directory().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(dev_postgres, does_not_run_as_root) {
  dev::postgres server{temporary()};
  struct stat info {};
  ASSERT_EQ(stat(("/proc/" + std::to_string(server.pid())).c_str(), &info), 0);
  EXPECT_NE(info.st_uid, 0u);
}

TEST_F(dev_postgres, passes_settings_on) {
  auto opts = temporary();
  opts.settings = {{"max_prepared_transactions", "7"},
                   {"cluster_name", "it's \"quoted\" $HOME"}};
  dev::postgres server{opts};
  EXPECT_EQ(query(server.url(), "show max_prepared_transactions"), "7");
  EXPECT_EQ(query(server.url(), "show cluster_name"), "it's \"quoted\" $HOME");
  EXPECT_EQ(query(server.url(), "show fsync"), "off");
}

TEST_F(dev_postgres, leaves_nothing_of_a_temporary_server) {
  fs::path data;
  pid_t pid = 0;
  {
    dev::postgres server{temporary()};
    data = server.data_directory();
    pid = server.pid();
    EXPECT_TRUE(alive(pid));
  }
  EXPECT_FALSE(alive(pid));
  EXPECT_FALSE(fs::exists(data.parent_path()));
}

TEST_F(dev_postgres, stops_when_its_owner_is_killed) {
  owner victim{temporary()};
  const auto server = victim.server();
  ASSERT_TRUE(alive(server.server));
  victim.kill();
  EXPECT_TRUE(wait_until([&] { return !alive(server.server); }, 30s));
  EXPECT_TRUE(
    wait_until([&] { return !fs::exists(server.data.parent_path()); }, 30s));
}

TEST_F(dev_postgres, keeps_the_data_of_a_kept_directory) {
  {
    dev::postgres server{kept()};
    query(server.url(), "create table t as select 'still here' as text");
  }
  dev::postgres server{kept()};
  EXPECT_EQ(query(server.url(), "select text from t"), "still here");
}

TEST_F(dev_postgres, keeps_the_data_when_the_owner_is_killed) {
  owner victim{kept()};
  victim.kill();
  // Comes while the keeper is at work, or even before that.
  dev::postgres server{kept()};
  EXPECT_EQ(query(server.url(), "select 42"), "42");
  EXPECT_TRUE(alive(server.pid()));
}

TEST_F(dev_postgres, is_shared_by_owners_of_the_same_directory) {
  auto first = std::make_unique<dev::postgres>(kept());
  owner second{kept()};
  dev::postgres third{kept()};
  EXPECT_EQ(second.server().server, first->pid());
  EXPECT_EQ(third.url(), first->url());
  first.reset();
  second.kill();
  EXPECT_EQ(query(third.url(), "select 42"), "42");
}

TEST_F(dev_postgres, stops_with_the_last_of_several_owners) {
  owner first{kept()};
  owner second{kept()};
  const auto pid = first.server().server;
  ASSERT_EQ(second.server().server, pid);
  first.kill();
  EXPECT_FALSE(wait_until([&] { return !alive(pid); }, 500ms));
  second.kill();
  EXPECT_TRUE(wait_until([&] { return !alive(pid); }, 30s));
}

TEST_F(dev_postgres, restarts) {
  dev::postgres server{temporary()};
  query(server.url(), "create table t as select 42 as number");
  const auto before = server.pid();
  server.restart();
  EXPECT_NE(server.pid(), before);
  EXPECT_EQ(query(server.url(), "select number from t"), "42");
  server.stop(dev::shutdown::immediate);
  EXPECT_EQ(server.pid(), 0);
  server.start();
  EXPECT_EQ(query(server.url(), "select number from t"), "42");
}

TEST_F(dev_postgres, starts_again_after_it_was_killed) {
  dev::postgres server{temporary()};
  query(server.url(), "create table t as select 42 as number");
  const auto before = server.pid();
  server.kill();
  EXPECT_FALSE(alive(before));
  EXPECT_EQ(server.pid(), 0);
  server.start();
  EXPECT_EQ(query(server.url(), "select number from t"), "42");
}

TEST_F(dev_postgres, starts_where_the_number_of_a_dead_one_is_taken) {
  dev::postgres server{kept()};
  server.kill();
  const auto file = server.data_directory() / "postmaster.pid";
  std::ofstream{file} << getpid() << '\n';
  server.start();
  EXPECT_EQ(query(server.url(), "select 42"), "42");
}

TEST_F(dev_postgres, lives_in_a_directory_with_a_long_path) {
  const auto opts = kept("in a/" + std::string(150, 'x'));
  fs::path socket;
  std::string socket_of_victim;
  {
    dev::postgres server{opts};
    EXPECT_EQ(query(server.url(), "select 42"), "42");
    socket = server.socket_directory();
    EXPECT_LT(socket.native().size(), 80u);
  }
  EXPECT_FALSE(fs::exists(socket));
  owner victim{opts};
  std::ifstream pid_file{victim.server().data / "postmaster.pid"};
  for (auto i = 0; i < 5; ++i)
    std::getline(pid_file, socket_of_victim);
  EXPECT_TRUE(fs::exists(socket_of_victim));
  victim.kill();
  EXPECT_TRUE(wait_until([&] { return !fs::exists(socket_of_victim); }, 30s));
}

TEST_F(dev_postgres, can_be_moved) {
  dev::postgres first{temporary()};
  dev::postgres second{std::move(first)};
  EXPECT_EQ(query(second.url(), "select 42"), "42");
}

TEST_F(dev_postgres, survives_a_forked_child) {
  dev::postgres server{temporary()};
  const auto child = fork();
  if (child == 0) {
    { const auto copy = std::move(server); }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(query(server.url(), "select 42"), "42");
}

TEST_F(dev_postgres, says_what_is_wrong_with_a_setting) {
  auto opts = temporary();
  opts.settings = {{"max_connections", "many"}};
  const auto error = error_of([&] { dev::postgres{opts}; });
  EXPECT_NE(error.find("did not start"), std::string::npos) << error;
  EXPECT_NE(error.find("invalid value for parameter \"max_connections\""),
            std::string::npos)
    << error;
}

TEST_F(dev_postgres, refuses_a_directory_that_it_did_not_make) {
  std::ofstream{scratch / "precious"} << "data";
  const auto error
    = error_of([&] { dev::postgres{{.directory = scratch, .fsync = false}}; });
  EXPECT_NE(error.find("did not make it"), std::string::npos) << error;
  EXPECT_TRUE(fs::exists(scratch / "precious"));
}

TEST_F(dev_postgres, refuses_the_data_of_another_version) {
  { dev::postgres{kept()}; }
  std::ofstream{scratch / "kept/data/PG_VERSION"} << "9\n";
  const auto error = error_of([&] { dev::postgres{kept()}; });
  EXPECT_NE(error.find("install postgresql-9, or remove the directory"),
            std::string::npos)
    << error;
}

TEST_F(dev_postgres, finds_the_programs_of_postgresql) {
  EXPECT_EQ(dev::find_program("initdb").filename(), "initdb");
  EXPECT_EQ(dev::find_program("pgbench").filename(), "pgbench");
  const auto error = error_of([] { dev::find_program("pg_nonsense"); });
  EXPECT_NE(error.find("pg_nonsense is neither in PATH nor"), std::string::npos)
    << error;
}

TEST_F(dev_postgres, keeps_nothing_under_a_name_that_leads_elsewhere) {
  for (const auto* name : {"", ".", "..", "../other", "a/b"})
    EXPECT_THROW(dev::default_directory(name), std::runtime_error) << name;
}

TEST_F(dev_postgres, is_not_started_where_the_environment_names_a_database) {
  const auto* before = std::getenv(dev::database_url_variable);
  const std::string saved = before ? before : "";
  setenv(dev::database_url_variable, "postgresql://elsewhere/db", 1);
  dev::database other{temporary()};
  EXPECT_EQ(other.url(), "postgresql://elsewhere/db");
  EXPECT_EQ(other.server(), nullptr);
  setenv(dev::database_url_variable, "", 1);
  dev::database own{temporary()};
  ASSERT_NE(own.server(), nullptr);
  EXPECT_EQ(own.url(), own.server()->url());
  if (before)
    setenv(dev::database_url_variable, saved.c_str(), 1);
  else
    unsetenv(dev::database_url_variable);
}

} // namespace
