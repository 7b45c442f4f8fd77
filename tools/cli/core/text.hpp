#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace evented::cli {

/// Returns `text` with control characters as escapes: what an application has
/// stored must not steer the operator's terminal.
std::string visible(std::string_view text);

/// Appends `text` as a JSON string.
void append_json(std::string& to, std::string_view text);

/// Microseconds since 2000-01-01, as PostgreSQL counts, as ISO 8601 in UTC.
void append_time(std::string& to, std::int64_t micros);

/// Appends bytes as a JSON string in base64.
void append_base64(std::string& to, std::string_view bytes);

/// Returns the text form of the 16 bytes of a UUID.
std::string uuid_text(std::string_view bytes);

/// Returns `n` with thousands apart: 1 234 567.
std::string grouped(std::uint64_t n);

/// Returns a time span as an operator reads it: "3 s", "12 min", "5 h", "2 d".
std::string span_text(double seconds);

/// Prints rows in columns; columns of numbers are flush right.
class table {
public:
  explicit table(std::vector<std::string> header) : rows_{std::move(header)} {
    // nop
  }

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] bool empty() const noexcept { return rows_.size() == 1; }

  void print() const;

private:
  std::vector<std::vector<std::string>> rows_;
};

} // namespace evented::cli
