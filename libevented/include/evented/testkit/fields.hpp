#pragma once

// Looks into plain structs, so that they can be compared and shown without
// anything that their author has to write. Not for users.

#include <type_traits>

namespace evented::testkit::detail {

/// Converts to the base classes of `T` only.
template <class T>
struct any_base {
  template <class U>
  requires std::is_base_of_v<U, T> &&(!std::is_same_v<U, T>) //
  operator U() const;
};

template <class T>
concept has_bases = requires {
  T{any_base<T>{}};
};

/// Returns how many members the plain struct `T` has, -1 where it is none or
/// has more than 16.
///
/// Counts how often `{}` can stand in its initializer: unlike a value, that
/// fills a member which is an array as a whole.
template <class T>
consteval int count_fields() {
  if constexpr (!std::is_class_v<T> || !std::is_aggregate_v<T>)
    return -1;
  else if constexpr (std::is_empty_v<T>)
    return 0;
  else if constexpr (has_bases<T>)
    return -1; // structured bindings do not reach into bases
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {}, {}, {},
                         {}, {}, {}, {}, {}, {}, {}, {}};
                     })
    return -1;
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {}, {},
                         {}, {}, {}, {}, {}, {}, {}, {}};
                     })
    return 16;
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {}, {},
                         {}, {}, {}, {}, {}, {}, {}};
                     })
    return 15;
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {},
                         {}, {}, {}, {}, {}, {}, {}};
                     })
    return 14;
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
                     })
    return 13;
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
                     })
    return 12;
  else if constexpr (requires {
                       T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
                     })
    return 11;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; })
    return 10;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}}; })
    return 9;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}, {}}; })
    return 8;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}, {}}; })
    return 7;
  else if constexpr (requires { T{{}, {}, {}, {}, {}, {}}; })
    return 6;
  else if constexpr (requires { T{{}, {}, {}, {}, {}}; })
    return 5;
  else if constexpr (requires { T{{}, {}, {}, {}}; })
    return 4;
  else if constexpr (requires { T{{}, {}, {}}; })
    return 3;
  else if constexpr (requires { T{{}, {}}; })
    return 2;
  else if constexpr (requires { T{{}}; })
    return 1;
  else
    return -1;
}

/// Checks whether `T` is a struct that the functions below take apart.
template <class T>
inline constexpr bool is_plain = count_fields<T>() >= 0;

/// Calls `f` with the members of `x`. Passes them on at once, since a reference
/// to a bit-field does not outlive the call.
template <class T, class F>
requires is_plain<T>
auto with_fields([[maybe_unused]] const T& x, F f) {
  constexpr auto n = count_fields<T>();
  if constexpr (n == 0) {
    return f();
  } else if constexpr (n == 1) {
    const auto& [x0] = x;
    return f(x0);
  } else if constexpr (n == 2) {
    const auto& [x0, x1] = x;
    return f(x0, x1);
  } else if constexpr (n == 3) {
    const auto& [x0, x1, x2] = x;
    return f(x0, x1, x2);
  } else if constexpr (n == 4) {
    const auto& [x0, x1, x2, x3] = x;
    return f(x0, x1, x2, x3);
  } else if constexpr (n == 5) {
    const auto& [x0, x1, x2, x3, x4] = x;
    return f(x0, x1, x2, x3, x4);
  } else if constexpr (n == 6) {
    const auto& [x0, x1, x2, x3, x4, x5] = x;
    return f(x0, x1, x2, x3, x4, x5);
  } else if constexpr (n == 7) {
    const auto& [x0, x1, x2, x3, x4, x5, x6] = x;
    return f(x0, x1, x2, x3, x4, x5, x6);
  } else if constexpr (n == 8) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7] = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7);
  } else if constexpr (n == 9) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8] = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8);
  } else if constexpr (n == 10) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9] = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9);
  } else if constexpr (n == 11) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10] = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10);
  } else if constexpr (n == 12) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11] = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11);
  } else if constexpr (n == 13) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12] = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12);
  } else if constexpr (n == 14) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13]
      = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13);
  } else if constexpr (n == 15) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13,
                 x14]
      = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14);
  } else if constexpr (n == 16) {
    const auto& [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13,
                 x14, x15]
      = x;
    return f(x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14,
             x15);
  }
}

} // namespace evented::testkit::detail
