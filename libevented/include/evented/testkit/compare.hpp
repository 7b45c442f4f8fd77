#pragma once

#include <evented/codec.hpp>
#include <evented/testkit/fields.hpp>

#include <algorithm>
#include <concepts>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace evented::testkit {

namespace detail {

/// In which way two values of a type are compared.
enum class comparison {
  equal,     // operator==
  elements,  // one after the other
  lookup,    // unordered: each element is looked up in the other
  pointee,   // what optionals and smart pointers hold
  choice,    // what variants hold
  parts,     // pairs and tuples
  fields,    // plain structs
  encoded,   // the JSON that cereal writes
  impossible // none of these
};

template <class T>
inline constexpr bool is_variant = false;

template <class... Ts>
inline constexpr bool is_variant<std::variant<Ts...>> = true;

template <class T>
concept tuple_like = requires {
  std::tuple_size<T>::value;
}
&&!std::ranges::range<T>;

template <class T>
concept pointer_like = std::is_class_v<T> && requires(const T& x) {
  *x;
  static_cast<bool>(x);
};

template <class T>
concept text_like
  = std::convertible_to<const T&, std::string_view> && !std::is_array_v<T>;

/// Checks whether cereal can write a `T`.
template <class T>
concept encodable = std::is_empty_v<
  T> || cereal::traits::is_output_serializable<T, json_writer>::value;

template <class T>
using range_value = std::remove_cvref_t<std::ranges::range_value_t<const T>>;

template <class T>
consteval comparison how_to_compare();

template <class T>
inline constexpr bool can_compare
  = how_to_compare<std::remove_cvref_t<T>>() != comparison::impossible;

template <class... Ts>
consteval bool can_compare_all(std::variant<Ts...>*) {
  return (can_compare<Ts> && ...);
}

template <class... Ts>
consteval bool can_compare_all(std::tuple<Ts...>*) {
  return (can_compare<Ts> && ...);
}

template <class T, class U>
consteval bool can_compare_all(std::pair<T, U>*) {
  return can_compare<T> && can_compare<U>;
}

template <class T>
consteval bool can_compare_fields() {
  if constexpr (is_plain<T>) {
    auto check = []<class... Ts>(const Ts&...) {
      return std::bool_constant<(can_compare<Ts> && ...)>{};
    };
    return decltype(with_fields(std::declval<const T&>(), check))::value;
  } else
    return false;
}

// The standard library's templates come first: their operator== is declared
// for all arguments and fails to compile for those that have none themselves.
template <class T>
consteval comparison how_to_compare() {
  using enum comparison;
  auto if_ok = [](bool ok, comparison how) { return ok ? how : impossible; };
  if constexpr (std::is_scalar_v<T> || text_like<T>)
    return equal;
  else if constexpr (std::ranges::range<const T>) {
    if constexpr (std::is_same_v<range_value<T>, T>)
      return equal; // a path is a range of paths
    else if constexpr (requires { typename T::hasher; })
      return if_ok(can_compare<range_value<T>>, lookup);
    else
      return if_ok(can_compare<range_value<T>>, elements);
  } else if constexpr (is_variant<T>)
    return if_ok(can_compare_all(static_cast<T*>(nullptr)), choice);
  else if constexpr (tuple_like<T>)
    return if_ok(can_compare_all(static_cast<T*>(nullptr)), parts);
  else if constexpr (pointer_like<T>)
    return if_ok(can_compare<decltype(*std::declval<const T&>())>, pointee);
  else if constexpr (std::equality_comparable<T>)
    return equal;
  else if constexpr (can_compare_fields<T>())
    return fields;
  else if constexpr (encodable<T>)
    return encoded;
  else
    return impossible;
}

template <class T>
bool same(const T& a, const T& b);

/// Looks `x`, an element of an unordered container, up in `in`.
template <class T>
bool found(const range_value<T>& x, const T& in) {
  if constexpr (requires { typename T::mapped_type; })
    return std::ranges::any_of(in.equal_range(x.first).first,
                               in.equal_range(x.first).second,
                               [&](auto& y) { return same(x, y); });
  else
    return in.contains(x);
}

template <class Tuple>
bool same_parts(const Tuple& a, const Tuple& b) {
  return [&]<std::size_t... Is>(std::index_sequence<Is...>) {
    return (same(std::get<Is>(a), std::get<Is>(b)) && ...);
  }
  (std::make_index_sequence<std::tuple_size_v<Tuple>>{});
}

template <class T>
bool same(const T& a, const T& b) {
  constexpr auto how = how_to_compare<T>();
  static_assert(how != comparison::impossible,
                "evented: to compare values of this type the test kit needs "
                "an operator==, a plain struct of at most 16 members, or a "
                "member function serialize(Archive&)");
  if constexpr (std::is_floating_point_v<T>) {
    return a == b || (a != a && b != b); // NaN is what it was
  } else if constexpr (how == comparison::equal) {
    return a == b;
  } else if constexpr (how == comparison::elements) {
    return std::equal(std::ranges::begin(a), std::ranges::end(a),
                      std::ranges::begin(b), std::ranges::end(b),
                      [](const range_value<T>& x, const range_value<T>& y) {
                        return same(x, y);
                      });
  } else if constexpr (how == comparison::lookup) {
    return a.size() == b.size()
           && std::ranges::all_of(a, [&](auto& x) { return found(x, b); });
  } else if constexpr (how == comparison::choice) {
    return a.index() == b.index()
           && std::visit(
             [&](auto& x) {
               using type = std::decay_t<decltype(x)>;
               return same(x, *std::get_if<type>(&b));
             },
             a);
  } else if constexpr (how == comparison::parts) {
    return same_parts(a, b);
  } else if constexpr (how == comparison::pointee) {
    return static_cast<bool>(a) == static_cast<bool>(b) && (!a || same(*a, *b));
  } else if constexpr (how == comparison::fields) {
    return with_fields(a, [&](const auto&... xs) {
      return with_fields(
        b, [&](const auto&... ys) { return (same(xs, ys) && ...); });
    });
  } else {
    return to_json(a) == to_json(b);
  }
}

} // namespace detail

/// Checks whether values of the type `T` can be compared, see `same`.
template <class T>
inline constexpr bool comparable = detail::can_compare<T>;

/// Checks whether `a` and `b` are the same: by `operator==` where the type has
/// one, else member by member where it is a plain struct, else by the JSON that
/// its `serialize` writes. Containers are compared element by element.
template <class T>
bool same(const T& a, const T& b) {
  return detail::same(a, b);
}

} // namespace evented::testkit
