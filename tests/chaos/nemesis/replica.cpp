#include "chaos/nemesis/replica.hpp"

#include "chaos/observer.hpp"
#include "dev/directory.hpp"
#include "support/wait.hpp"

#include <chrono>
#include <signal.h>
#include <stdexcept>

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

dev::postgres_options options_at(const std::filesystem::path& directory) {
  dev::postgres_options result;
  result.directory = directory;
  result.fsync = false;
  result.settings = {{"max_connections", "40"}, {"shared_buffers", "16MB"}};
  return result;
}

} // namespace

replicated_server::replicated_server()
  : directory_(dev::detail::make_temporary(dev::detail::server_account())) {
  primary_.emplace(options_at(directory_ / "primary"));
  copy_primary();
  standby_.emplace(options_at(directory_ / "standby"));
  observer db{primary_->url()};
  if (!wait_until(
        [&] {
          return db.value("select count(*) from pg_stat_replication where "
                          "state = 'streaming'")
                 == "1";
        },
        60s))
    throw std::runtime_error("the standby does not stream");
  address_.point_to(*primary_);
}

replicated_server::~replicated_server() {
  // One that waits for a standby does not shut down in good order.
  if (primary_)
    primary_->stop(dev::shutdown::immediate);
  standby_->stop(dev::shutdown::immediate);
  primary_.reset();
  standby_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void replicated_server::copy_primary() {
  auto who = dev::detail::server_account();
  auto to = dev::detail::make_kept(directory_ / "standby", who);
  // Marks the directory as one that a server may be started in.
  (void)dev::detail::open_lock(to / "owners", who);
  auto log = directory_ / "copy.log";
  auto status = dev::detail::run(
    {dev::find_program("pg_basebackup"), "--pgdata", to / "data",
     "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--host",
     primary_->socket_directory(), "--username", primary_->user()},
    who, log);
  if (status != 0)
    throw std::runtime_error("pg_basebackup failed: "
                             + dev::detail::read_file(log));
}

void replicated_server::make_synchronous() {
  observer db{primary_->url()};
  db.query("alter system set synchronous_standby_names = '*'");
  db.query("select pg_reload_conf()");
  if (!wait_until(
        [&] {
          return db.value("select coalesce(min(sync_state), 'none') from "
                          "pg_stat_replication")
                 == "sync";
        },
        60s))
    throw std::runtime_error("the standby does not become synchronous");
}

void replicated_server::stop_replication() {
  receiver_ = std::stoi(
    observer{standby_->url()}.value("select pid from pg_stat_wal_receiver"));
  ::kill(receiver_, SIGSTOP);
}

void replicated_server::fail_over() {
  primary_->kill();
  if (receiver_ != 0) {
    // It ends before it reads what has reached its socket meanwhile.
    ::kill(receiver_, SIGTERM);
    ::kill(receiver_, SIGCONT);
  }
  observer db{standby_->url()};
  if (db.value("select pg_promote(true, 60)") != "t")
    throw std::runtime_error("the standby is not promoted");
  address_.point_to(*standby_);
  primary_.reset();
}

} // namespace evented::test::nemesis
