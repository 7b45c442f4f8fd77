#pragma once

#include "support/server.hpp"
#include "support/wait.hpp"

#include <evented/store.hpp>

#include <chrono>
#include <libpq-fe.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace evented::test {

/// A connection without the library in between.
class raw_connection {
public:
  explicit raw_connection(const std::string& url)
    : connection_(PQconnectdb(url.c_str()), &PQfinish) {
    if (PQstatus(connection_.get()) != CONNECTION_OK)
      throw std::runtime_error(PQerrorMessage(connection_.get()));
  }

  raw_connection() : raw_connection(server().url()) {
    // nop
  }

  /// Runs `sql` and returns its SQLSTATE, `00000` where it succeeded.
  std::string try_exec(const std::string& sql) {
    result_.reset(PQexec(connection_.get(), sql.c_str()));
    auto* state = PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
    return state == nullptr ? "00000" : state;
  }

  /// Runs `sql` and returns the first field of the first row, empty where there
  /// is none.
  std::string exec(const std::string& sql) {
    if (try_exec(sql) != "00000")
      throw std::runtime_error(PQresultErrorMessage(result_.get()));
    return PQntuples(result_.get()) == 0 ? "" : PQgetvalue(result_.get(), 0, 0);
  }

private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
  std::unique_ptr<PGresult, decltype(&PQclear)> result_{nullptr, &PQclear};
};

/// The last arguments of the append function for those that have no command IDs,
/// no messages and no checks.
inline std::string no_more_arguments() {
  std::string result;
  for (auto i = 0; i < 17; ++i)
    result += i == 0 ? "'{}'" : ", '{}'";
  return result;
}

/// Returns what appends one event to the new entity `id`, a "thing" in a journal
/// with text IDs, and returns its number: for a transaction of the test's own.
inline std::string raw_append(const std::string& schema,
                              const std::string& id) {
  return "select seq_nos[1] from " + schema + ".append(array['thing'], array['"
         + id + "'], array[1::bigint], array[" + std::to_string(slice_of(id))
         + "::smallint], array['happened'], array[1], "
           "array[gen_random_uuid()], array['{\"n\":1}'], array[null::text], "
           "'{}', array[true], array[1], array[1], "
         + no_more_arguments() + ")";
}

/// Appends until no step is pending. Gives up after a minute.
inline void append_all(store_session& session,
                       const std::vector<append_request*>& batch) {
  if (!wait_until([&] { return session.append(batch); },
                  std::chrono::minutes{1}))
    throw std::runtime_error("steps stay pending");
}

} // namespace evented::test
