#pragma once

#include <evented/error.hpp>
#include <evented/export.hpp>

#include <string>
#include <utility>

namespace evented {

/// Thrown when PostgreSQL refuses a statement. `what` says which rule was broken
/// and quotes no values, so that it may go into logs.
class EVENTED_EXPORT sql_error : public error {
public:
  /// @param detail all that PostgreSQL has said, see `detail`
  sql_error(std::string sqlstate, const std::string& what,
            std::string detail = {})
    : error(errc::refused, what),
      sqlstate_(std::move(sqlstate)),
      detail_(std::move(detail)) {
    // nop
  }

  /// Returns the five characters of SQLSTATE, for example 23505 for a unique
  /// violation (PostgreSQL's documentation, appendix A).
  [[nodiscard]] const std::string& sqlstate() const noexcept {
    return sqlstate_;
  }

  /// Returns all that PostgreSQL has said, with the keys, rows and statements
  /// that it quotes: not for logs.
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }

private:
  std::string sqlstate_;
  std::string detail_;
};

} // namespace evented
