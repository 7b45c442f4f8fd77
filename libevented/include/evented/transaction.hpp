#pragma once

#include <evented/export.hpp>
#include <evented/sql_error.hpp>
#include <evented/uuid.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evented {

/// The rows that a statement returned, as texts. Null is `std::nullopt`.
class rows {
public:
  /// One text per column.
  using row = std::vector<std::optional<std::string>>;

  rows() = default;

  /// @param affected see `affected`
  rows(std::vector<row> data, std::uint64_t affected)
    : data_(std::move(data)), affected_(affected) {
    // nop
  }

  /// Access the rows, which are as many as the statement returned.
  /// @{
  [[nodiscard]] bool empty() const noexcept { return data_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return data_.size(); }
  const row& operator[](std::size_t i) const { return data_.at(i); }
  [[nodiscard]] auto begin() const noexcept { return data_.begin(); }
  [[nodiscard]] auto end() const noexcept { return data_.end(); }
  /// @}

  /// Returns how many rows an INSERT, UPDATE or DELETE has touched.
  [[nodiscard]] std::uint64_t affected() const noexcept { return affected_; }

private:
  std::vector<row> data_;
  std::uint64_t affected_ = 0;
};

/// One parameter of a statement, sent as text. Null is `std::nullopt`.
struct EVENTED_EXPORT parameter {
  /// The value as PostgreSQL reads it; nothing for null.
  std::optional<std::string> text;

  /// Converts from what statements are given: null, texts, UUIDs, booleans and
  /// numbers.
  /// @{
  parameter(std::nullopt_t) {}                            // NOLINT: implicit
  parameter(std::string x) : text(std::move(x)) {}        // NOLINT: implicit
  parameter(std::string_view x) : text(std::string{x}) {} // NOLINT: implicit
  parameter(const char* x) : text(x) {}                   // NOLINT: implicit
  parameter(const uuid& x) : text(to_string(x)) {}        // NOLINT: implicit
  parameter(bool x) : text(x ? "t" : "f") {}              // NOLINT: implicit
  parameter(int x) : text(std::to_string(x)) {}           // NOLINT: implicit
  parameter(long x) : text(std::to_string(x)) {}          // NOLINT: implicit
  parameter(long long x) : text(std::to_string(x)) {}     // NOLINT: implicit
  parameter(unsigned x) : text(std::to_string(x)) {}      // NOLINT: implicit
  parameter(unsigned long x) : text(std::to_string(x)) {} // NOLINT: implicit
  parameter(unsigned long long x) : text(std::to_string(x)) {} // NOLINT
  parameter(double x); // NOLINT: implicit

  template <class T>
  parameter(const std::optional<T>& x) { // NOLINT: implicit
    if (x)
      text = std::move(parameter{*x}.text);
  }
  /// @}
};

/// An open transaction that belongs to somebody else: the append that calls a
/// listener. Statements run in it; beginning, ending or nesting transactions is
/// refused. Valid only for the duration of the call, in the calling thread.
class EVENTED_EXPORT transaction {
public:
  virtual ~transaction() = default;

  /// Runs one statement with the parameters `$1`, `$2` and so on.
  /// @throws sql_error where PostgreSQL refuses it; the command can then no
  ///         longer be stored, whether the exception is caught or not
  template <class... Ts>
  rows exec(std::string_view sql, Ts&&... params) {
    return run(sql,
               std::vector<parameter>{parameter{std::forward<Ts>(params)}...});
  }

  /// Runs one statement whose rows nobody needs, sooner or later: at the latest
  /// before the next `exec` and before the commit. Many of them travel together,
  /// so that writing a row per event does not cost a round trip per event.
  /// @throws sql_error for itself or for one sent before; else `exec` or the
  ///         commit fails with that. No event is blamed for another's failure.
  template <class... Ts>
  void send(std::string_view sql, Ts&&... params) {
    post(sql, std::vector<parameter>{parameter{std::forward<Ts>(params)}...});
  }

protected:
  /// Runs it at once, where nothing better is known.
  virtual void post(std::string_view sql,
                    const std::vector<parameter>& params) {
    run(sql, params);
  }

  /// Runs one statement, as `exec` says.
  virtual rows run(std::string_view sql, const std::vector<parameter>& params)
    = 0;
};

} // namespace evented
