#include "database.hpp"

#include "detail/conninfo.hpp"
#include "failure.hpp"

#include <charconv>
#include <exception>

namespace evented::cli {

// -- result -------------------------------------------------------------------

namespace {

std::int64_t to_number(std::string_view text) noexcept {
  std::int64_t found = 0;
  std::from_chars(text.data(), text.data() + text.size(), found);
  return found;
}

} // namespace

std::int64_t result::number(int row, int column) const noexcept {
  return to_number(bytes(row, column));
}

std::uint64_t result::affected() const noexcept {
  return static_cast<std::uint64_t>(to_number(PQcmdTuples(raw_.get())));
}

// -- database -----------------------------------------------------------------

database::database(const journal_options& where)
  : conninfo_(detail::conninfo(where)) {
  connection_.reset(PQconnectdb(conninfo_.c_str()));
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw failure(exit_code::unreachable,
                  "cannot connect to the database: "
                    + message(PQerrorMessage(connection_.get())));
  // What the journal's functions call must not depend on whose schemas are in
  // the path, nor what is shown on where the operator sits.
  run("select set_config('search_path', 'pg_catalog, pg_temp', false), "
      "set_config('default_transaction_isolation', 'read committed', false), "
      "set_config('TimeZone', 'UTC', false), "
      "set_config('DateStyle', 'ISO, YMD', false), "
      "set_config('statement_timeout', '0', false), "
      "set_config('idle_in_transaction_session_timeout', '0', false), "
      "set_config('lock_timeout', '10s', false), "
      "case when current_setting('synchronous_commit') = 'off' then "
      "set_config('synchronous_commit', 'on', false) end");
}

namespace {

std::vector<const char*> pointers(const std::vector<parameter>& params) {
  std::vector<const char*> result;
  result.reserve(params.size());
  for (auto& x : params)
    result.push_back(x.text ? x.text->c_str() : nullptr);
  return result;
}

} // namespace

result database::run(const std::string& sql,
                     const std::vector<parameter>& params, format how) {
  auto values = pointers(params);
  return checked(PQexecParams(
    connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
    values.data(), nullptr, nullptr, static_cast<int>(how)));
}

void database::stream(const std::string& sql,
                      const std::vector<parameter>& params,
                      const std::function<void(const result&)>& f) {
  auto values = pointers(params);
  if (PQsendQueryParams(connection_.get(), sql.c_str(),
                        static_cast<int>(values.size()), nullptr, values.data(),
                        nullptr, nullptr, static_cast<int>(format::binary))
        != 1
      || PQsetSingleRowMode(connection_.get()) != 1)
    lost();
  // The connection is of no use before all of the answer was taken.
  std::exception_ptr thrown;
  while (auto* raw = PQgetResult(connection_.get())) {
    try {
      if (PQresultStatus(raw) != PGRES_SINGLE_TUPLE) {
        checked(raw);
      } else if (result row{raw}; thrown == nullptr) {
        f(row);
      }
    } catch (...) {
      if (PQstatus(connection_.get()) != CONNECTION_OK)
        throw;
      if (thrown == nullptr)
        thrown = std::current_exception();
    }
  }
  if (thrown != nullptr)
    std::rethrow_exception(thrown);
}

void database::begin_copy(const std::string& sql) {
  checked(PQexec(connection_.get(), sql.c_str()));
}

void database::put(std::string_view data) {
  if (PQputCopyData(connection_.get(), data.data(),
                    static_cast<int>(data.size()))
      != 1)
    lost();
}

void database::end_copy() {
  if (PQputCopyEnd(connection_.get(), nullptr) != 1)
    lost();
  auto outcome = PQgetResult(connection_.get());
  // The end of the command.
  while (auto* more = PQgetResult(connection_.get()))
    PQclear(more);
  checked(outcome);
}

result database::checked(PGresult* raw) {
  result found{raw};
  switch (PQresultStatus(raw)) {
  case PGRES_COMMAND_OK:
  case PGRES_TUPLES_OK:
  case PGRES_COPY_IN:
    return found;
  default:
    break;
  }
  if (raw == nullptr || PQstatus(connection_.get()) != CONNECTION_OK)
    lost();
  auto* state = PQresultErrorField(raw, PG_DIAG_SQLSTATE);
  auto* text = PQresultErrorField(raw, PG_DIAG_MESSAGE_PRIMARY);
  throw sql_error(state == nullptr ? "XX000" : state,
                  message(text == nullptr ? PQresultErrorMessage(raw) : text));
}

void database::lost() {
  throw failure(exit_code::unreachable,
                "the connection to the database broke: "
                  + message(PQerrorMessage(connection_.get())));
}

std::string database::message(const char* text) const {
  auto result = detail::redact(text, conninfo_);
  while (!result.empty() && (result.back() == '\n' || result.back() == ' '))
    result.pop_back();
  return result;
}

void database::roll_back() noexcept {
  PQclear(PQexec(connection_.get(), "rollback"));
}

} // namespace evented::cli
