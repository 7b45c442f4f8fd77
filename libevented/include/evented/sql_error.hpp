#pragma once

#include <evented/error.hpp>
#include <evented/export.hpp>

#include <string>
#include <utility>

namespace evented {

/// Thrown when PostgreSQL refuses a statement.
class EVENTED_EXPORT sql_error : public error {
public:
  sql_error(std::string sqlstate, const std::string& what)
    : error(errc::refused, what), sqlstate_(std::move(sqlstate)) {
    // nop
  }

  /// Returns the five characters of SQLSTATE, for example 23505 for a unique
  /// violation (PostgreSQL's documentation, appendix A).
  [[nodiscard]] const std::string& sqlstate() const noexcept {
    return sqlstate_;
  }

private:
  std::string sqlstate_;
};

} // namespace evented
