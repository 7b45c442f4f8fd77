#pragma once

// What the archives for JSON and for the binary form have in common. Not for
// users.

#include <evented/error.hpp>

#include <cereal/cereal.hpp>
#include <cereal/details/traits.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

namespace evented {

/// How deeply values may lie in one another, containers and structs counted:
/// enough for every event that a person has thought of, and far from the end of
/// any stack.
inline constexpr std::size_t max_nesting = 512;

namespace detail {

template <class T>
concept text_value = requires {
  typename T::traits_type;
  typename T::allocator_type;
}
&&std::same_as<T, std::basic_string<char, typename T::traits_type,
                                    typename T::allocator_type>>;

template <class T>
inline constexpr bool is_size_tag = false;
template <class T>
inline constexpr bool is_size_tag<cereal::SizeTag<T>> = true;

/// What cereal wraps values in on their way, which adds no level.
template <class T>
inline constexpr bool is_wrapper = is_size_tag<T>;
template <class T>
inline constexpr bool is_wrapper<cereal::NameValuePair<T>> = true;
template <class T>
inline constexpr bool is_wrapper<cereal::DeferredData<T>> = true;
template <class T>
inline constexpr bool is_wrapper<cereal::BinaryData<T>> = true;

/// Checks whether a `T` stands for one value, by `save_minimal` and
/// `load_minimal`.
template <class T, class Archive>
consteval bool is_minimal() {
  namespace traits = cereal::traits;
  if constexpr (Archive::is_saving::value)
    return traits::has_minimal_base_class_serialization<
             T, traits::has_minimal_output_serialization, Archive>::value
           || traits::has_minimal_output_serialization<T, Archive>::value;
  else
    return traits::has_minimal_base_class_serialization<
             T, traits::has_minimal_input_serialization, Archive>::value
           || traits::has_minimal_input_serialization<T, Archive>::value;
}

/// Checks whether a `T` is a level of its own: a struct or a container.
template <class T, class Archive>
consteval bool is_node() {
  if constexpr (
    std::is_arithmetic_v<
      T> || text_value<T> || std::same_as<T, std::nullptr_t> || is_wrapper<T>)
    return false;
  else
    return !is_minimal<T, Archive>();
}

[[noreturn]] inline void fail_nesting(errc code) {
  throw error(code, "more than " + std::to_string(max_nesting)
                      + " values lie in one another");
}

/// Counts levels.
class nesting {
public:
  explicit nesting(errc failure) noexcept : failure_(failure) {}

  void enter() {
    if (++depth_ >= max_nesting)
      fail_nesting(failure_);
  }

  void leave() noexcept { --depth_; }

private:
  std::size_t depth_ = 0;
  errc failure_;
};

/// Reads the elements of `to` one by one. cereal makes them all before it has
/// seen the first, so that a small payload could ask for a lot of memory.
template <class Archive, class T, class Allocator>
void load_elements(Archive& archive, std::vector<T, Allocator>& to) {
  cereal::size_type size = 0;
  archive(cereal::make_size_tag(size));
  to.clear();
  constexpr cereal::size_type at_once = 1 + 4096 / sizeof(T);
  to.reserve(static_cast<std::size_t>(std::min(size, at_once)));
  for (; size > 0; --size)
    archive(to.emplace_back());
}

/// Reverses the bytes of each value of `Width` bytes.
template <std::size_t Width>
void swap_bytes(char* values, std::size_t size) {
  for (std::size_t i = 0; i + Width <= size; i += Width)
    std::reverse(values + i, values + i + Width);
}

} // namespace detail

} // namespace evented
