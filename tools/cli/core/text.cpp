#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace evented::cli {

std::string visible(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    // C1 controls are C2 80 to C2 9F in UTF-8.
    auto c1 = c == 0xC2 && i + 1 < text.size()
              && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) {
      result
        += fmt::format("\\u00{:02x}", static_cast<unsigned char>(text[++i]));
    } else if (c < 0x20 || c == 0x7F) {
      result += fmt::format("\\u00{:02x}", c);
    } else {
      result += text[i];
    }
  }
  return result;
}

void append_json(std::string& to, std::string_view text) {
  to += '"';
  for (auto c : text) {
    auto x = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (x < 0x20 || x == 0x7F) {
      fmt::format_to(std::back_inserter(to), "\\u00{:02x}", x);
    } else {
      to += c;
    }
  }
  to += '"';
}

void append_time(std::string& to, std::int64_t micros) {
  using namespace std::chrono;
  if (micros == INT64_MAX || micros == INT64_MIN) {
    to += micros > 0 ? "infinity" : "-infinity";
    return;
  }
  // Many events in a row have the same day.
  constexpr std::int64_t a_day = 86'400'000'000;
  constexpr std::int64_t epoch = 10'957; // 2000-01-01, in days since 1970
  // After 400 years the calendar is the same, and what chrono has of years ends
  // with 32767.
  constexpr std::int64_t cycle = 146'097;
  auto rest = micros % a_day + (micros % a_day < 0 ? a_day : 0);
  auto day = micros / a_day - (micros % a_day < 0 ? 1 : 0) + epoch;
  auto cycles = day / cycle - (day % cycle < 0 ? 1 : 0);
  year_month_day date{sys_days{days{day - cycles * cycle}}};
  char text[40];
  auto put = [&text](int at, std::int64_t value, int digits) {
    for (int i = digits - 1; i >= 0; --i, value /= 10)
      text[at + i] = static_cast<char>('0' + value % 10);
  };
  auto year = static_cast<int>(date.year()) + 400 * cycles;
  if (year < 1 || year > 9999) {
    to += fmt::format("{}-{:02}-{:02}", year, unsigned{date.month()},
                      unsigned{date.day()});
  } else {
    put(0, year, 4);
    text[4] = '-';
    put(5, unsigned{date.month()}, 2);
    text[7] = '-';
    put(8, unsigned{date.day()}, 2);
    to.append(text, 10);
  }
  text[0] = 'T';
  put(1, rest / 3'600'000'000, 2);
  text[3] = ':';
  put(4, rest / 60'000'000 % 60, 2);
  text[6] = ':';
  put(7, rest / 1'000'000 % 60, 2);
  text[9] = '.';
  put(10, rest % 1'000'000, 6);
  text[16] = 'Z';
  to.append(text, 17);
}

void append_base64(std::string& to, std::string_view bytes) {
  constexpr std::string_view digits
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  to += '"';
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    auto n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t x = 0;
    for (std::size_t j = 0; j < 3; ++j)
      x = x << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      to += j <= n ? digits[x >> (18 - 6 * j) & 63] : '=';
  }
  to += '"';
}

std::string uuid_text(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  result.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      result += '-';
    auto x = static_cast<unsigned char>(bytes[i]);
    result += digits[x >> 4];
    result += digits[x & 15];
  }
  return result;
}

std::string grouped(std::uint64_t n) {
  auto text = std::to_string(n);
  for (auto at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), " ");
  return text;
}

std::string span_text(double seconds) {
  if (seconds < 120)
    return fmt::format("{:.0f} s", std::max(0.0, seconds));
  if (seconds < 7200)
    return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 172'800)
    return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} d", seconds / 86'400);
}

namespace {

/// Counts code points, which is what a terminal shows of most texts.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
    std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

bool is_number(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9'
         && text.find_first_not_of("0123456789 .+") == std::string_view::npos;
}

} // namespace

void table::print() const {
  auto columns = rows_.front().size();
  std::vector<std::size_t> widths(columns);
  std::vector<bool> numbers(columns, rows_.size() > 1);
  for (std::size_t i = 0; i < rows_.size(); ++i)
    for (std::size_t j = 0; j < columns; ++j) {
      auto& x = rows_[i][j];
      widths[j] = std::max(widths[j], width(x));
      if (i > 0)
        numbers[j] = numbers[j] && (is_number(x) || x == "-");
    }
  for (auto& row : rows_) {
    std::string line;
    for (std::size_t j = 0; j < columns; ++j) {
      auto pad = std::string(widths[j] - width(row[j]), ' ');
      line += j == 0 ? "" : "  ";
      line += numbers[j] ? pad + row[j] : row[j] + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::puts(line.c_str());
  }
}

} // namespace evented::cli
