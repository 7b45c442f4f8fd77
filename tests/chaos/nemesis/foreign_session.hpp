#pragma once

#include "support/wait.hpp"

#include <chrono>
#include <libpq-fe.h>
#include <memory>
#include <stdexcept>
#include <string>

namespace evented::test::nemesis {

/// Somebody else's connection to the database, who does not wait for the end of
/// what he has begun. Rolls back and goes away with the object.
class foreign_session {
public:
  /// @throws std::runtime_error where there is no connection
  explicit foreign_session(const std::string& url)
    : db_(PQconnectdb(url.c_str()), PQfinish) {
    if (PQstatus(db_.get()) != CONNECTION_OK)
      throw std::runtime_error(PQerrorMessage(db_.get()));
  }

  foreign_session(foreign_session&&) = default;
  foreign_session& operator=(foreign_session&&) = default;

  ~foreign_session() {
    if (db_ == nullptr || PQtransactionStatus(db_.get()) != PQTRANS_ACTIVE)
      return;
    // The server would finish what it is at.
    std::unique_ptr<PGcancel, void (*)(PGcancel*)> order{PQgetCancel(db_.get()),
                                                         PQfreeCancel};
    char ignored[256];
    if (order != nullptr)
      PQcancel(order.get(), ignored, sizeof ignored);
  }

  /// Sends statements and returns at once.
  void send(const std::string& sql) { PQsendQuery(db_.get(), sql.c_str()); }

  /// Waits for the end of what was sent. Returns whether it came in time.
  bool finish(std::chrono::milliseconds deadline) {
    return wait_until(
      [this] {
        if (PQconsumeInput(db_.get()) == 0)
          return true;
        while (PQisBusy(db_.get()) == 0) {
          auto* result = PQgetResult(db_.get());
          if (result == nullptr)
            return true;
          PQclear(result);
        }
        return false;
      },
      deadline);
  }

private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> db_;
};

} // namespace evented::test::nemesis
