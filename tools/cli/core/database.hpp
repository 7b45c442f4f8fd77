#pragma once

#include <evented/options.hpp>
#include <evented/transaction.hpp>

#include <cstdint>
#include <functional>
#include <libpq-fe.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace evented::cli {

/// What a statement has returned.
class result {
public:
  explicit result(PGresult* raw) : raw_(raw, &PQclear) {
    // nop
  }

  [[nodiscard]] int size() const noexcept { return PQntuples(raw_.get()); }

  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  [[nodiscard]] bool null(int row, int column) const noexcept {
    return PQgetisnull(raw_.get(), row, column) != 0;
  }

  /// Returns the bytes of a field, in the format that was asked for.
  [[nodiscard]] std::string_view bytes(int row, int column) const noexcept {
    return {PQgetvalue(raw_.get(), row, column),
            static_cast<std::size_t>(PQgetlength(raw_.get(), row, column))};
  }

  /// Returns a field of a result in the text format.
  [[nodiscard]] std::string text(int row, int column) const {
    return std::string{bytes(row, column)};
  }

  /// Returns the number in a field of a result in the text format, 0 for null.
  [[nodiscard]] std::int64_t number(int row, int column) const noexcept;

  /// Returns whether a field of a result in the text format is true.
  [[nodiscard]] bool flag(int row, int column) const noexcept {
    return bytes(row, column) == "t";
  }

  /// Returns how many rows were touched.
  [[nodiscard]] std::uint64_t affected() const noexcept;

private:
  std::unique_ptr<PGresult, decltype(&PQclear)> raw_;
};

/// In which format rows come.
enum class format : int { text = 0, binary = 1 };

/// One connection, on libpq itself: operators' work needs COPY and rows in the
/// binary format, and takes as long as it takes, all of which the library's own
/// connections are not made for.
class database {
public:
  /// @throws failure(unreachable), without any secret in its text
  explicit database(const journal_options& where);

  /// Runs one statement.
  /// @throws failure, sql_error
  result run(const std::string& sql, const std::vector<parameter>& params = {},
             format how = format::text);

  /// Runs one statement and calls `f` for each row, a result of its own in the
  /// binary format, while the next ones are still on their way: however many
  /// and large they are, there is only one at a time here.
  void stream(const std::string& sql, const std::vector<parameter>& params,
              const std::function<void(const result&)>& f);

  /// Begins a COPY .. FROM STDIN, whose data go to `put` and end with
  /// `end_copy`.
  void begin_copy(const std::string& sql);

  void put(std::string_view data);

  void end_copy();

  /// Runs `f` in a transaction: commits, or rolls back on an exception.
  template <class F>
  void in_transaction(F&& f) {
    run("begin isolation level read committed");
    try {
      f();
    } catch (...) {
      roll_back();
      throw;
    }
    run("commit");
  }

private:
  result checked(PGresult* raw);

  [[noreturn]] void lost();

  [[nodiscard]] std::string message(const char* text) const;

  void roll_back() noexcept;

  std::string conninfo_;
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_{nullptr, &PQfinish};
};

} // namespace evented::cli
