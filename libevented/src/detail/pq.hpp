#pragma once

// The one place that knows libpqxx. Serves 6.4.5 (Debian 12) and 7.10
// (Debian 13); all that differs between them is in pq.cpp and in this header.

#include "detail/watchdog.hpp"

#include <evented/error.hpp>
#include <evented/sql_error.hpp>
#include <evented/transaction.hpp>

#include <pqxx/pqxx>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#if PQXX_VERSION_MAJOR >= 7
#include <cstddef>
#endif

namespace evented::detail::pq {

#if PQXX_VERSION_MAJOR >= 7
#define EVENTED_PQXX7 1
#else
#define EVENTED_PQXX7 0
#endif

/// Walks along the fields of a row. `row[i]` does the same, but counts one more
/// reference to the whole result for every field.
class cells {
public:
  explicit cells(const pqxx::row& row, int from = 0) : next_(row.begin()) {
    next_ += from;
  }

  /// Returns the next field, which is there until the call after.
  const pqxx::field& next() {
    if (started_)
      ++next_;
    started_ = true;
    return *next_.operator->();
  }

private:
  pqxx::row::const_iterator next_;
  bool started_ = false;
};

/// A parameter that travels in PostgreSQL's binary form.
struct binary {
  std::string bytes;
};

/// Settings of a connection that do not change while it lives.
struct settings {
  std::string conninfo;
  std::chrono::milliseconds statement_timeout;
  std::chrono::milliseconds lock_timeout;
  /// Whether a pooler may hand every transaction to another server connection:
  /// then no named statements and no session settings.
  bool pooled = false;
};

/// One connection. Used by one thread at a time. A call that takes half a
/// second longer than the statement timeout ends with `connection_lost`. After
/// `connection_lost`, the object is of no more use.
class connection {
public:
  /// @throws connection_lost, without any secret in its text
  connection(const settings& how, watchdog& dog);
  ~connection();

  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Names a statement for `call`, the first of which prepares it.
  void prepare(const char* name, const std::string& sql);

  /// Throws `connection_lost` with `sent() == false` where the server has
  /// closed an idle connection, so that what comes next was surely not sent.
  void check_alive();

  /// Runs one statement without parameters.
  pqxx::result exec(const std::string& sql);

  /// Runs a prepared statement.
  template <class... Ts>
  pqxx::result call(const char* name, const Ts&... xs);

  /// Runs one statement with text parameters.
  pqxx::result exec_params(const std::string& sql,
                           const std::vector<parameter>& params);

  /// The same for a statement that is run often: from the second time on, the
  /// server need not parse it anew.
  pqxx::result exec_cached(const std::string& sql,
                           const std::vector<parameter>& params);

  /// Returns a text that runs `sql` with these parameters, so that many such
  /// statements can be sent as one. Empty where that cannot be done.
  std::string execute_text(const std::string& sql,
                           const std::vector<parameter>& params);

  /// Begins to hear what is announced on `channel`, a plain identifier.
  void listen(const std::string& channel);

  /// Waits until another connection announces something on a channel of
  /// `listen`, `wake_fd` becomes readable, or `limit` has passed. Returns
  /// whether something was announced.
  bool wait(int wake_fd, std::chrono::milliseconds limit);

private:
#if !EVENTED_PQXX7
  class receiver;
#endif

  /// Forgets what was announced so far, and returns whether anything was.
  bool heard_something();

  template <class F>
  pqxx::result guarded(F&& f);

  [[noreturn]] void rethrow();

  settings how_;
  std::unique_ptr<pqxx::connection> connection_;
  watchdog::leash leash_;
  std::unique_ptr<pqxx::nontransaction> tx_;
  /// The names of what `exec_cached` was given, empty after the first time.
  std::unordered_map<std::string, std::string> cache_;
  std::uint64_t next_name_ = 0;
  /// What `prepare` was told and the server does not know.
  std::vector<std::pair<std::string, std::string>> statements_;
  bool heard_ = false;
#if !EVENTED_PQXX7
  std::unique_ptr<receiver> receiver_;
#endif
};

/// Returns the text of a field.
inline std::string_view text(const pqxx::field& x) {
  return {x.c_str(), static_cast<std::size_t>(x.size())};
}

/// Copies a result.
rows to_rows(const pqxx::result& from);

/// Returns the number in a field.
std::uint64_t number(const pqxx::field& x);

// -- implementation details ---------------------------------------------------

#if EVENTED_PQXX7
inline std::basic_string_view<std::byte> param(const binary& x) {
  return {reinterpret_cast<const std::byte*>(x.bytes.data()), x.bytes.size()};
}
inline std::string_view param(std::string_view x) {
  return x;
}
#else
inline pqxx::binarystring param(const binary& x) {
  return pqxx::binarystring{x.bytes};
}
inline std::string param(std::string_view x) {
  return std::string{x};
}
#endif
inline std::string param(std::uint64_t x) {
  return std::to_string(x);
}

template <class F>
pqxx::result connection::guarded(F&& f) {
  // No statement may run longer than its timeout; the rest is for the way.
  leash_.arm(how_.statement_timeout + std::chrono::milliseconds{500});
  try {
    auto result = f();
    leash_.disarm();
    return result;
  } catch (...) {
    leash_.disarm();
    rethrow();
  }
}

template <class... Ts>
pqxx::result connection::call(const char* name, const Ts&... xs) {
  return guarded([&] {
#if EVENTED_PQXX7
    for (auto i = statements_.begin(); i != statements_.end(); ++i) {
      if (i->first != name)
        continue;
      if (how_.pooled)
        return tx_->exec(i->second, pqxx::params{param(xs)...});
      // As libpqxx 6 does it: what the server refuses fails this call.
      connection_->prepare(name, i->second);
      statements_.erase(i);
      break;
    }
    return tx_->exec(pqxx::prepped{name}, pqxx::params{param(xs)...});
#else
    if (how_.pooled) {
      for (auto& [key, sql] : statements_)
        if (key == name)
          return tx_->exec_params(sql, param(xs)...);
    }
    return tx_->exec_prepared(name, param(xs)...);
#endif
  });
}

} // namespace evented::detail::pq
