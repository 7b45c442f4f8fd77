#include "detail/listener_transaction.hpp"

#include <algorithm>
#include <cctype>

namespace evented::detail {

namespace {

/// Returns what is left of `sql` after leading white space and comments; block
/// comments nest (PostgreSQL's documentation, 4.1.5).
std::string_view skip_blank(std::string_view sql) {
  while (!sql.empty()) {
    if (std::isspace(static_cast<unsigned char>(sql.front())) != 0
        || sql.front() == ';') {
      sql.remove_prefix(1);
    } else if (sql.starts_with("--")) {
      sql.remove_prefix(std::min(sql.find('\n'), sql.size()));
    } else if (sql.starts_with("/*")) {
      auto depth = 0;
      do {
        if (sql.starts_with("/*")) {
          ++depth;
          sql.remove_prefix(2);
        } else if (sql.starts_with("*/")) {
          --depth;
          sql.remove_prefix(2);
        } else if (!sql.empty()) {
          sql.remove_prefix(1);
        }
      } while (depth > 0 && !sql.empty());
    } else {
      break;
    }
  }
  return sql;
}

} // namespace

bool controls_transaction(std::string_view sql) {
  sql = skip_blank(sql);
  std::string word;
  for (auto c : sql) {
    if (std::isalpha(static_cast<unsigned char>(c)) == 0)
      break;
    word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  constexpr std::string_view refused[]
    = {"abort",   "begin",    "commit",    "discard", "end",
       "prepare", "rollback", "savepoint", "start",   "release"};
  return std::find(std::begin(refused), std::end(refused), word)
         != std::end(refused);
}

listener_transaction::listener_transaction(pq::connection& db,
                                           std::chrono::milliseconds limit,
                                           bool together)
  : db_(db),
    together_(together),
    deadline_(std::chrono::steady_clock::now() + limit) {
  // nop
}

void listener_transaction::check() const {
  if (lost_)
    throw *lost_;
  if (transient_)
    throw *transient_;
}

bool listener_transaction::overdue() const noexcept {
  return std::chrono::steady_clock::now() > deadline_;
}

void listener_transaction::refuse(std::string_view sql) const {
  if (controls_transaction(sql))
    throw sql_error("2D000", "a listener must not begin, end or nest "
                             "transactions");
  if (!failure_.empty())
    throw sql_error("25P02", "an earlier statement of this transaction failed: "
                               + failure_);
}

template <class F>
auto listener_transaction::remembering(F&& f) {
  try {
    return f();
  } catch (const connection_lost& e) {
    lost_ = e;
    throw;
  } catch (const sql_error& e) {
    if (failure_.empty())
      failure_ = e.what();
    auto& state = e.sqlstate();
    if (state.starts_with("40") || state == "55P03")
      transient_ = e;
    throw;
  }
}

rows listener_transaction::run(std::string_view sql,
                               const std::vector<parameter>& params) {
  flush();
  return remembering([&] {
    refuse(sql);
    return pq::to_rows(db_.exec_cached(std::string{sql}, params));
  });
}

void listener_transaction::post(std::string_view sql,
                                const std::vector<parameter>& params) {
  // So much at a time: the server holds it all, and the client waits for it as
  // for one statement.
  constexpr std::size_t most = 16 * 1024;
  auto text = remembering([&] {
    refuse(sql);
    return together_ ? db_.execute_text(std::string{sql}, params)
                     : std::string{};
  });
  if (text.empty()) {
    run(sql, params);
    return;
  }
  waiting_ += text + ';';
  if (waiting_.size() >= most)
    flush();
}

void listener_transaction::flush() {
  if (waiting_.empty())
    return;
  auto text = std::move(waiting_);
  waiting_.clear();
  remembering([&] { return db_.exec(text); });
}

} // namespace evented::detail
