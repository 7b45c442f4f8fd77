#pragma once

#include <evented/archive_nodes.hpp>
#include <evented/export.hpp>

#include <cereal/cereal.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace evented {

/// A cereal archive that writes compact JSON, in the form of
/// `cereal::JSONOutputArchive`: fields by their names, `value0`, `value1` and so
/// on where they have none, containers as arrays. It writes only what PostgreSQL
/// takes, and takes no detour over a stream. Not thread-safe.
class EVENTED_EXPORT json_writer : public cereal::OutputArchive<json_writer>,
                                   public cereal::traits::TextArchive {
public:
  /// Appends to `to`, which must outlive the archive.
  explicit json_writer(std::string& to);

  json_writer(const json_writer&) = delete;
  json_writer& operator=(const json_writer&) = delete;

  ~json_writer();

  /// Writes what is still missing at the end. To be called once, after the last
  /// value.
  void finish();

  // -- called by cereal, through the functions below --------------------------

  /// Names the next value or node.
  void set_name(const char* name) noexcept { name_ = name; }
  /// Begin and end an object or array, under the name that was set.
  /// @{
  void begin_node();
  void end_node();
  /// @}
  /// Makes the node that has just begun an array.
  void make_array() noexcept;

  /// Write a value, under the name that was set.
  /// @throws error(invalid_event) for NaN, infinities, text that is not valid
  ///         UTF-8 or holds a NUL character, and too many nodes in one another
  void save(bool x);
  /// See `save(bool)`.
  /// @{
  void save(std::int64_t x);
  void save(std::uint64_t x);
  void save(double x);
  void save(std::string_view x);
  void save(std::nullptr_t);
  /// @}

private:
  struct node;

  void open(node& x);
  /// Writes all that goes before a value.
  void begin_value();
  void write_text(std::string_view x);

  std::string& to_;
  /// Those that have begun and not ended, the outermost first.
  std::vector<node> nodes_;
  const char* name_ = nullptr;
};

/// A cereal archive that reads JSON in the form of `json_writer`, from whatever
/// source: fields are found by their names, in any order, and others are left
/// out. Not thread-safe.
class EVENTED_EXPORT json_reader : public cereal::InputArchive<json_reader>,
                                   public cereal::traits::TextArchive {
public:
  /// Takes a copy of `json`.
  /// @throws error(corrupt_event) where it is no object and no array, or where
  ///         its nodes lie too deeply in one another
  explicit json_reader(std::string_view json);

  json_reader(const json_reader&) = delete;
  json_reader& operator=(const json_reader&) = delete;

  ~json_reader();

  // -- called by cereal, through the functions below --------------------------

  /// Names what is read next.
  void set_name(const char* name) noexcept { name_ = name; }
  /// Go into and out of an object or array, under the name that was set.
  /// @throws error(corrupt_event) where there is none
  /// @{
  void begin_node();
  void end_node();
  /// @}
  /// Returns the number of values in the node.
  [[nodiscard]] std::size_t size() const;

  /// Read the next value, or that of the name that was set.
  /// @throws error(corrupt_event) where there is none, or one of another type
  void load(bool& x);
  /// See `load(bool&)`.
  /// @{
  void load(std::int64_t& x);
  void load(std::uint64_t& x);
  void load(double& x);
  void load(std::string& x);
  void load(std::nullptr_t&);
  /// @}

  /// @throws error(corrupt_event) which says that `number` does not fit
  [[noreturn]] static void fail_number(const std::string& number);

private:
  struct document;

  std::unique_ptr<document> document_;
  const char* name_ = nullptr;
};

// -- what cereal looks for ----------------------------------------------------

namespace detail {

/// Numbers that cereal's archive writes as texts: those that other readers of
/// JSON may not hold, and where `std::int64_t` is another type, also these.
template <class T>
concept number_as_text = std::is_arithmetic_v<T> &&(
  std::same_as<
    T,
    long double> || (sizeof(T) >= sizeof(long long) && std::is_integral_v<T> && !std::same_as<T, long> && !std::same_as<T, unsigned long> && !std::same_as<T, std::int64_t> && !std::same_as<T, std::uint64_t>));

} // namespace detail

template <class T>
void prologue(json_writer& archive, const T&) {
  if constexpr (detail::is_size_tag<T>)
    archive.make_array();
  else if constexpr (detail::is_node<T, json_writer>())
    archive.begin_node();
}

template <class T>
void epilogue(json_writer& archive, const T&) {
  if constexpr (detail::is_node<T, json_writer>())
    archive.end_node();
}

template <class T>
void prologue(json_reader& archive, const T&) {
  if constexpr (detail::is_node<T, json_reader>())
    archive.begin_node();
}

template <class T>
void epilogue(json_reader& archive, const T&) {
  if constexpr (detail::is_node<T, json_reader>())
    archive.end_node();
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(json_writer& archive,
                               const cereal::NameValuePair<T>& x) {
  archive.set_name(x.name);
  archive(x.value);
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(json_reader& archive,
                               cereal::NameValuePair<T>& x) {
  archive.set_name(x.name);
  archive(x.value);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(json_writer&, const cereal::SizeTag<T>&) {
  // An array says itself how long it is.
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(json_reader& archive, cereal::SizeTag<T>& x) {
  x.size = archive.size();
}

template <class T, class Allocator>
requires(!std::same_as<T, bool>) void CEREAL_LOAD_FUNCTION_NAME(
  json_reader& archive, std::vector<T, Allocator>& x) {
  detail::load_elements(archive, x);
}

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(json_writer& archive, const T& x) {
  if constexpr (detail::number_as_text<T>) {
    char text[64];
    auto [end, failure] = std::to_chars(text, text + sizeof(text), x);
    archive.save(std::string_view{text, static_cast<std::size_t>(end - text)});
  } else if constexpr (std::same_as<T, bool>) {
    archive.save(x);
  } else if constexpr (std::is_floating_point_v<T>) {
    archive.save(static_cast<double>(x));
  } else if constexpr (std::is_signed_v<T>) {
    archive.save(static_cast<std::int64_t>(x));
  } else {
    archive.save(static_cast<std::uint64_t>(x));
  }
}

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(json_reader& archive, T& x) {
  auto narrow = [&](auto wide) {
    archive.load(wide);
    if (wide < std::numeric_limits<T>::min()
        || wide > std::numeric_limits<T>::max())
      json_reader::fail_number(std::to_string(wide));
    x = static_cast<T>(wide);
  };
  if constexpr (detail::number_as_text<T>) {
    std::string text;
    archive.load(text);
    auto* last = text.data() + text.size();
    auto [end, failure] = std::from_chars(text.data(), last, x);
    if (failure != std::errc{} || end != last)
      json_reader::fail_number(text);
  } else if constexpr (std::same_as<T, bool>) {
    archive.load(x);
  } else if constexpr (std::is_floating_point_v<T>) {
    double wide = 0;
    archive.load(wide);
    x = static_cast<T>(wide);
  } else if constexpr (std::is_signed_v<T>) {
    narrow(std::int64_t{});
  } else {
    narrow(std::uint64_t{});
  }
}

template <detail::text_value T>
void CEREAL_SAVE_FUNCTION_NAME(json_writer& archive, const T& x) {
  archive.save(std::string_view{x});
}

template <detail::text_value T>
void CEREAL_LOAD_FUNCTION_NAME(json_reader& archive, T& x) {
  if constexpr (std::same_as<T, std::string>) {
    archive.load(x);
  } else {
    std::string text;
    archive.load(text);
    x.assign(text);
  }
}

inline void CEREAL_SAVE_FUNCTION_NAME(json_writer& archive,
                                      const std::nullptr_t& x) {
  archive.save(x);
}

inline void CEREAL_LOAD_FUNCTION_NAME(json_reader& archive, std::nullptr_t& x) {
  archive.load(x);
}

} // namespace evented

CEREAL_REGISTER_ARCHIVE(evented::json_writer)
CEREAL_REGISTER_ARCHIVE(evented::json_reader)
CEREAL_SETUP_ARCHIVE_TRAITS(evented::json_reader, evented::json_writer)
