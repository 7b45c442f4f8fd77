#pragma once

#include "detail/pq.hpp"

#include <evented/options.hpp>

#include <span>
#include <string>
#include <string_view>

namespace evented::detail {

/// Returns `sql` with the names in braces filled in for this journal.
std::string fill_in(std::string_view sql, const journal_options& options);

/// A step from one version of the schema to the next.
struct migration {
  std::string_view name;
  /// For `fill_in`.
  std::string_view sql;
};

/// Returns all migrations in order: the first makes version 1, the last one the
/// version that this library uses.
std::span<const migration> migrations() noexcept;

/// Checks the names and kinds in `options`.
/// @throws error(invalid_options)
void check(const journal_options& options);

/// Makes or migrates the schema of the journal, or checks that this library can
/// use it. Safe when several processes do it at the same time: one works, the
/// others wait for it.
/// @throws error(incompatible), connection_lost, sql_error
void open_schema(pq::connection& db, const journal_options& options);

} // namespace evented::detail
