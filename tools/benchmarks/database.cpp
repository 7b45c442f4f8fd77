#include "database.hpp"

#include <chrono>
#include <libpq-fe.h>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

namespace bench {

namespace {

std::runtime_error failure(PGconn* x, const std::string& what) {
  return std::runtime_error(what + ": " + PQerrorMessage(x));
}

} // namespace

// -- connection ---------------------------------------------------------------

connection::connection(const std::string& url)
  : handle_(PQconnectdb(url.c_str())) {
  if (PQstatus(handle_.get()) != CONNECTION_OK)
    throw failure(handle_.get(), "cannot connect");
  PQsetNoticeProcessor(
    handle_.get(), [](void*, const char*) {}, nullptr);
}

connection::~connection() = default;

void connection::closer::operator()(PGconn* x) const noexcept {
  PQfinish(x);
}

std::string connection::run(const std::string& sql) {
  std::unique_ptr<PGresult, decltype(&PQclear)> result{
    PQexec(handle_.get(), sql.c_str()), &PQclear};
  auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw failure(handle_.get(), sql);
  if (PQntuples(result.get()) == 0 || PQnfields(result.get()) == 0)
    return {};
  return PQgetvalue(result.get(), 0, 0);
}

std::int64_t connection::number(const std::string& sql) {
  return std::stoll(run(sql));
}

void checkpoint(const std::string& url) {
  connection to{url};
  try {
    to.run("checkpoint");
  } catch (const std::runtime_error&) {
    // Not a superuser: the server decides when.
  }
}

// -- commit_counter -----------------------------------------------------------

// One transaction all the time: the statistics are read anew within it, and its
// own commit comes after the last look.
commit_counter::commit_counter(const std::string& url) : connection_(url) {
  connection_.run("begin");
  first_ = read_when_idle();
}

std::int64_t commit_counter::settled() {
  return read_when_idle() - first_;
}

std::int64_t commit_counter::read_when_idle() {
  auto give_up = std::chrono::steady_clock::now() + 30s;
  std::int64_t last = -1;
  auto unchanged = 0;
  while (unchanged < 5) {
    if (std::chrono::steady_clock::now() > give_up)
      throw std::runtime_error("others use this database: the commits cannot "
                               "be told apart");
    connection_.run("select pg_stat_clear_snapshot()");
    auto others = connection_.number(
      "select count(*) from pg_stat_activity where datname "
      "= current_database() and backend_type = 'client "
      "backend' and pid <> pg_backend_pid()");
    auto commits
      = connection_.number("select xact_commit from pg_stat_database where "
                           "datname = current_database()");
    unchanged = others == 0 && commits == last ? unchanged + 1 : 0;
    last = commits;
    std::this_thread::sleep_for(200ms);
  }
  return last;
}

} // namespace bench
