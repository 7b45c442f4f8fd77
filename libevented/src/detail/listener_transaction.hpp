#pragma once

#include "detail/pq.hpp"

#include <evented/transaction.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace evented::detail {

/// What a listener gets: statements run on the connection of the append.
/// Remembers failures, so that a listener cannot swallow them.
class listener_transaction : public transaction {
public:
  /// @param together whether statements that are only sent may wait for others:
  ///        then `flush` has to be called at the end
  listener_transaction(pq::connection& db, std::chrono::milliseconds limit,
                       bool together = false);

  /// Runs what was sent and still waits.
  void flush();

  /// Throws what the listener must not decide about: a lost connection, a
  /// deadlock or a lock that was not to be had.
  void check() const;

  /// Returns the text of the first failed statement, empty where there is none.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  /// Returns whether the listener has used up its time.
  [[nodiscard]] bool overdue() const noexcept;

protected:
  rows run(std::string_view sql, const std::vector<parameter>& params) override;

  void post(std::string_view sql,
            const std::vector<parameter>& params) override;

private:
  /// Throws where `sql` must not be run.
  void refuse(std::string_view sql) const;

  /// Runs `f` and remembers its failure.
  template <class F>
  auto remembering(F&& f);

  pq::connection& db_;
  bool together_;
  /// Statements that wait, each with a semicolon.
  std::string waiting_;
  std::chrono::steady_clock::time_point deadline_;
  std::string failure_;
  std::optional<connection_lost> lost_;
  std::optional<sql_error> transient_;
};

/// Checks whether `sql` begins with a word that begins, ends or nests a
/// transaction, after white space and comments.
bool controls_transaction(std::string_view sql);

} // namespace evented::detail
