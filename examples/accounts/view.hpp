#pragma once

// The view: all accounts and what has happened to them, in two tables that a
// projection keeps. Entities answer for themselves; lists are what views are for.

#include "account.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bank {

inline constexpr const char* view_name = "accounts";

/// Makes the tables where they are not there yet.
inline void make_view(const evented::journal& journal) {
  evented::sql(journal, R"(create table if not exists account_list (
                             id      uuid primary key,
                             owner   text not null,
                             balance bigint not null,
                             version bigint not null
                           ))");
  evented::sql(journal, R"(create table if not exists account_entry (
                             account uuid not null,
                             version bigint not null,
                             at      timestamptz not null,
                             what    text not null,
                             amount  bigint not null,
                             other   uuid,
                             primary key (account, version)
                           ))");
}

/// Writes one event into the view: called in the order of the events, in the
/// transaction that also stores how far the projection is.
class view_writer {
public:
  void operator()(const evented::recorded<account>& e,
                  evented::transaction& tx) const {
    std::visit([&](auto& x) { write(e, x, tx); }, e.event);
  }

private:
  using event = evented::recorded<account>;

  static void write(const event& e, const account_opened& x,
                    evented::transaction& tx) {
    tx.send("insert into account_list values ($1, $2, 0, $3)", e.id, x.owner,
            e.version);
    enter(e, "opened", 0, std::nullopt, tx);
  }

  static void write(const event& e, const deposited& x,
                    evented::transaction& tx) {
    enter(e, "deposited", x.amount, std::nullopt, tx);
  }

  static void write(const event& e, const withdrawn& x,
                    evented::transaction& tx) {
    enter(e, "withdrawn", -x.amount, std::nullopt, tx);
  }

  static void write(const event& e, const transfer_sent& x,
                    evented::transaction& tx) {
    enter(e, "sent", -x.amount, x.to, tx);
  }

  static void write(const event& e, const transfer_received& x,
                    evented::transaction& tx) {
    enter(e, "received", x.amount, x.from, tx);
  }

  static void enter(const event& e, const char* what, cents amount,
                    std::optional<evented::uuid> other,
                    evented::transaction& tx) {
    tx.send("update account_list set balance = balance + $2, version = $3 "
            "where id = $1",
            e.id, amount, e.version);
    tx.send("insert into account_entry values "
            "($1, $2, to_timestamp($3::float8 / 1e6), $4, $5, $6)",
            e.id, e.version, e.created_at.time_since_epoch().count(), what,
            amount, other);
  }
};

/// Reads the view over one connection, which it makes anew when it is lost.
/// Thread-safe.
class view_reader {
public:
  explicit view_reader(evented::journal journal)
    : journal_(std::move(journal)) {
    // nop
  }

  /// Returns at most `limit` accounts after `after` in the order of their IDs,
  /// as JSON.
  std::string accounts(const evented::uuid& after, unsigned limit) {
    return query("select coalesce(json_agg(x), '[]') from (select id, owner, "
                 "balance, version from account_list where id > $1 order by id "
                 "limit $2) x",
                 {after, limit});
  }

  /// Returns the latest entries of an account, newest first, as JSON.
  std::string history(const evented::uuid& id, unsigned limit) {
    return query("select coalesce(json_agg(x), '[]') from (select version, at, "
                 "what, amount, other from account_entry where account = $1 "
                 "order by version desc limit $2) x",
                 {id, limit});
  }

private:
  std::string query(const char* sql,
                    const std::vector<evented::parameter>& params) {
    std::lock_guard guard{mutex_};
    for (auto again = true;; again = false) {
      try {
        if (!session_)
          session_ = journal_.store()->connect();
        return session_->query(sql, params)[0][0].value();
      } catch (const evented::connection_lost&) {
        session_.reset();
        if (!again)
          throw;
      }
    }
  }

  evented::journal journal_;
  std::mutex mutex_;
  std::unique_ptr<evented::store_session> session_;
};

} // namespace bank
