#pragma once

#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/testkit/compare.hpp>

#include <charconv>
#include <exception>
#include <iterator>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace evented::testkit {

/// Returns `x` as JSON, for humans: as its `serialize` writes it, or else with
/// the members of a plain struct as a list. Never throws because of what `x`
/// holds.
template <class T>
std::string show(const T& x);

namespace own_to_string {

// Ends the look-up of names, so that only the functions next to a type count:
// `evented::to_string` takes all that converts to an entity's ID.
void to_string() = delete;

template <class T>
requires std::is_class_v<T> || std::is_enum_v<T>
auto call(const T& x) -> decltype(std::string{to_string(x)}) {
  return std::string{to_string(x)};
}

} // namespace own_to_string

namespace detail {

/// Returns `text` as a JSON string.
std::string quote(std::string_view text);

/// Returns the JSON of `x`, or why there is none.
template <class T>
std::string show_encoded(const T& x) {
  try {
    return to_json(x);
  } catch (const std::exception& e) {
    return std::string{"(no JSON: "} + e.what() + ")";
  }
}

template <class T>
std::string show_number(T x) {
  char buffer[64];
  auto end = std::to_chars(std::begin(buffer), std::end(buffer), x).ptr;
  return {buffer, end};
}

/// Returns `xs` as a JSON list.
template <class... Ts>
std::string show_parts(const Ts&... xs) {
  std::string result;
  ((result += (result.empty() ? "" : ",") + show(xs)), ...);
  return "[" + result + "]";
}

/// Returns the members of `x` as a JSON list.
template <class T>
std::string show_fields(const T& x) {
  if constexpr (std::is_empty_v<T>)
    return "{}";
  else
    return with_fields(x, [](const auto&... xs) { return show_parts(xs...); });
}

template <class T>
std::string show_range(const T& xs) {
  std::string result = "[";
  for (auto&& x : xs) {
    if (result.size() > 1)
      result += ',';
    result += show<range_value<T>>(x);
  }
  return result + "]";
}

/// Returns the name and the content of `x`, where `x` may be one of the
/// alternatives of a variant.
template <class T>
std::string show_named(const T& x) {
  if constexpr (is_variant<T>)
    return std::visit([](auto& y) { return show_named(y); }, x);
  else
    return std::string{event_name<T>()} + " " + show(x);
}

} // namespace detail

template <class T>
std::string show(const T& x) {
  if constexpr (std::is_same_v<T, bool>)
    return x ? "true" : "false";
  else if constexpr (std::is_arithmetic_v<T>)
    return detail::show_number(x);
  else if constexpr (detail::text_like<T>)
    return detail::quote(x);
  else if constexpr (requires { own_to_string::call(x); })
    return detail::quote(own_to_string::call(x));
  else if constexpr (std::is_enum_v<T>)
    return detail::show_number(static_cast<std::underlying_type_t<T>>(x));
  else if constexpr (std::is_scalar_v<T>)
    return x ? "(pointer)" : "null";
  else if constexpr (std::ranges::range<const T>)
    return detail::show_range(x);
  else if constexpr (detail::is_variant<T>)
    return std::visit([](auto& y) { return show(y); }, x);
  else if constexpr (detail::tuple_like<T>)
    return std::apply([](auto&... xs) { return detail::show_parts(xs...); }, x);
  else if constexpr (detail::pointer_like<T>)
    return x ? show(*x) : "null";
  else if constexpr (detail::encodable<T>)
    return detail::show_encoded(x);
  else if constexpr (detail::is_plain<T>)
    return detail::show_fields(x);
  else if constexpr (requires(std::ostream & out) { out << x; })
    return (std::ostringstream{} << x).str();
  else
    return "(cannot be shown)";
}

} // namespace evented::testkit
