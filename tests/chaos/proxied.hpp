#pragma once

#include "chaos/application.hpp"
#include "support/proxy.hpp"

#include <chrono>
#include <signal.h>
#include <string>
#include <vector>

namespace evented::test {

/// Where the application's connections to the common server go: through a
/// proxy, into a schema of their own, one to append and one to load.
class proxied {
public:
  explicit proxied(std::chrono::milliseconds command_timeout)
    : link_(common_server().socket_directory() / ".s.PGSQL.5432"),
      schema_(unique_schema()),
      command_timeout_(command_timeout) {
    // nop
  }

  proxy& link() { return link_; }

  /// Returns the URL that leads past the proxy.
  std::string direct() const { return common_server().url(); }

  const std::string& schema() const { return schema_; }

  journal_options where() const {
    journal_options result;
    result.url = link_.url(common_server().user());
    result.schema = schema_;
    result.writers = 1;
    result.readers = 1;
    return result;
  }

  entity_options<account> how() const {
    entity_options<account> result;
    result.command_timeout = command_timeout_;
    return result;
  }

  /// Makes the accounts note every token in the table `noted`, in the
  /// transaction of the event.
  entity_options<account> how_with_listener() const {
    query(direct(), "create schema if not exists " + schema_ + "; create table "
                      + schema_ + ".noted (token text)");
    auto result = how();
    result.listener([sql = "insert into " + schema_ + ".noted values ($1)"](
                      const committing<account>& x, transaction& tx) {
      auto* in = x.as<deposited>();
      tx.exec(sql, in != nullptr ? in->token : x.as<withdrawn>()->token);
    });
    return result;
  }

  journal_view journal() const { return {direct(), schema_}; }

  /// Returns how often the listener has noted this token for good.
  std::size_t noted(const std::string& token) const {
    return std::stoul(query(direct(), "select count(*) from " + schema_
                                        + ".noted where token = '" + token
                                        + "'")[0][0]);
  }

  /// Returns the backends behind the proxy that have appended last.
  std::vector<pid_t> appending_backends() const {
    std::string list = "0";
    for (auto pid : link_.backend_pids())
      list += ", " + std::to_string(pid);
    std::vector<pid_t> result;
    for (auto& row :
         query(direct(), "select pid from pg_stat_activity where "
                         "pid in ("
                           + list
                           + ") and (query ~ '[.]append(_event)?[(]' "
                             "or query = 'commit')"))
      result.push_back(std::stoi(row[0]));
    return result;
  }

private:
  proxy link_;
  std::string schema_;
  std::chrono::milliseconds command_timeout_;
};

/// A process that a test stops with SIGSTOP; goes on at the end of the scope.
class stoppable {
public:
  explicit stoppable(pid_t pid) : pid_(pid) {
    // nop
  }

  stoppable(const stoppable&) = delete;
  stoppable& operator=(const stoppable&) = delete;

  ~stoppable() { resume(); }

  pid_t pid() const { return pid_; }

  void stop() const { ::kill(pid_, SIGSTOP); }

  void resume() const { ::kill(pid_, SIGCONT); }

private:
  pid_t pid_;
};

/// Checks whether the server has no such backend any more.
inline bool is_gone(pid_t backend) {
  return query(common_server().url(),
               "select from pg_stat_activity where pid = "
                 + std::to_string(backend))
    .empty();
}

} // namespace evented::test
