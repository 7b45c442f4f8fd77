#pragma once

#include <cstdint>
#include <libpq-fe.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evented::test {

/// A connection on plain libpq that is made anew where it broke.
class observer {
public:
  using table = std::vector<std::vector<std::string>>;

  explicit observer(std::string url) : url_(std::move(url)) {
    // nop
  }

  /// @throws std::runtime_error with the server's text
  table query(const std::string& sql) {
    // The second time on a fresh connection.
    for (auto last : {false, true}) {
      if (db_ == nullptr)
        db_.reset(PQconnectdb(url_.c_str()));
      std::unique_ptr<PGresult, void (*)(PGresult*)> found{
        PQexec(db_.get(), sql.c_str()), PQclear};
      auto status = PQresultStatus(found.get());
      if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return to_table(found.get());
      std::string why = PQerrorMessage(db_.get());
      // What the server itself says has a code.
      auto* code = PQresultErrorField(found.get(), PG_DIAG_SQLSTATE);
      auto lost = PQstatus(db_.get()) == CONNECTION_BAD || code == nullptr
                  || std::string_view{code}.starts_with("57P");
      if (lost)
        db_.reset();
      if (!lost || last)
        throw std::runtime_error(sql + ": " + why);
    }
    return {};
  }

  /// Returns the only value.
  std::string value(const std::string& sql) { return query(sql).at(0).at(0); }

  std::uint64_t number(const std::string& sql) {
    return std::stoull(value(sql));
  }

private:
  struct finish {
    void operator()(PGconn* x) const { PQfinish(x); }
  };

  static table to_table(PGresult* from) {
    table result;
    for (int i = 0; i < PQntuples(from); ++i) {
      auto& row = result.emplace_back();
      for (int j = 0; j < PQnfields(from); ++j)
        row.emplace_back(PQgetvalue(from, i, j));
    }
    return result;
  }

  std::string url_;
  std::unique_ptr<PGconn, finish> db_;
};

} // namespace evented::test
