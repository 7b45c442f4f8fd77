#include "asked.hpp"

#include "core/failure.hpp"
#include "core/journal.hpp"
#include "core/saved.hpp"

#include <evented/utf8.hpp>

#include <algorithm>
#include <charconv>

namespace evented::cli {

using httplib::Request;
using nlohmann::json;

// -- queries ------------------------------------------------------------------

std::string text(const Request& from, const char* name) {
  auto result = from.get_param_value(name);
  if (!valid_text(result))
    throw failure(exit_code::usage, std::string{name} + " is no text");
  return result;
}

std::uint64_t number(const Request& from, const char* name,
                     std::uint64_t otherwise) {
  auto value = text(from, name);
  if (value.empty())
    return otherwise;
  std::int64_t result = 0;
  auto [end, wrong]
    = std::from_chars(value.data(), value.data() + value.size(), result);
  if (wrong != std::errc{} || end != value.data() + value.size() || result < 0)
    throw failure(exit_code::usage, std::string{name} + " is no number");
  return static_cast<std::uint64_t>(result);
}

std::uint64_t limit(const Request& from) {
  return std::clamp<std::uint64_t>(number(from, "limit", 50), 1, most_rows);
}

std::string type_name(const Request& from) {
  auto result = text(from, "type");
  check_type_name(result);
  return result;
}

// -- bodies -------------------------------------------------------------------

json read_body(const std::string& body) {
  auto result = read_json(body);
  if (!result.is_object())
    throw failure(exit_code::usage, "the body is no JSON object");
  return result;
}

std::string token_of(const std::string& body) {
  auto what = read_json(body);
  auto token = what.is_object() ? what.find("token") : what.end();
  return token != what.end() && token->is_string() ? token->get<std::string>()
                                                   : std::string{};
}

std::string projection_name(const json& from) {
  auto found = from.find("projection");
  if (found == from.end() || !found->is_string())
    throw failure(exit_code::usage, "which projection?");
  auto result = found->get<std::string>();
  if (result.empty() || result.find('\0') != std::string::npos)
    throw failure(exit_code::usage, "this is no name of a projection");
  return result;
}

std::uint64_t event_number(const json& from) {
  auto found = from.find("seq_no");
  auto result = found != from.end() && found->is_number_unsigned()
                  ? found->get<std::uint64_t>()
                  : 0;
  if (result == 0 || result > INT64_MAX)
    throw failure(exit_code::usage, "which event?");
  return result;
}

void check_confirmed(const json& from) {
  auto found = from.find("confirm");
  if (found == from.end() || *found != projection_name(from))
    throw failure(exit_code::refused,
                  "this has to be confirmed by the name of the projection");
}

} // namespace evented::cli
