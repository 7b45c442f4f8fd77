#pragma once

#include <evented/binary_archive.hpp>
#include <evented/error.hpp>
#include <evented/export.hpp>
#include <evented/json_archive.hpp>

#include <cereal/types/array.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace evented {

/// Names how the payloads of a journal are written. Chosen once per journal.
enum class codec : std::uint8_t {
  /// JSON text in a `jsonb` column, readable with plain SQL.
  json,
  /// cereal's portable binary form in a `bytea` column: smaller and faster.
  binary,
};

/// Returns the name of `x`: json or binary.
EVENTED_EXPORT std::string_view to_string(codec x) noexcept;

namespace detail {

/// Writes or reads the fields of `x` at the root of the archive; a type with
/// no member function `serialize` goes under the name "value".
template <class Archive, class T>
void archive_root(Archive& archive, T& x) {
  if constexpr (requires { x.serialize(archive); })
    x.serialize(archive);
  else if constexpr (!std::is_empty_v<T>)
    archive(cereal::make_nvp("value", x));
}

} // namespace detail

/// Returns `x` as compact JSON.
/// @throws error(invalid_event) where PostgreSQL would refuse it
template <class T>
std::string to_json(const T& x) {
  std::string result;
  json_writer archive{result};
  // The archive only reads, but `serialize` serves both directions.
  detail::archive_root(archive, const_cast<T&>(x));
  archive.finish();
  return result;
}

/// Returns the value that `json` describes.
/// @throws std::exception where a field is missing or has the wrong type
template <class T>
T from_json(std::string_view json) {
  json_reader archive{json};
  T result{};
  detail::archive_root(archive, result);
  return result;
}

/// Returns `x` in cereal's portable binary form (little endian).
/// @throws error(invalid_event) where it could not be read again: values lie too
///         deeply in one another, or a huge container is of nothing
template <class T>
std::string to_binary(const T& x) {
  std::string result;
  binary_writer archive{result};
  detail::archive_root(archive, const_cast<T&>(x));
  archive.finish();
  return result;
}

/// Returns the value that `bytes` describe. No size in them makes it take more
/// memory than a small multiple of theirs.
/// @throws std::exception where the bytes end too early
template <class T>
T from_binary(std::string_view bytes) {
  binary_reader archive{bytes};
  T result{};
  detail::archive_root(archive, result);
  return result;
}

/// Writes `x` with the codec `how`.
template <class T>
std::string encode(codec how, const T& x) {
  return how == codec::json ? to_json(x) : to_binary(x);
}

/// Reads a value that was written with the codec `how`.
template <class T>
T decode(codec how, std::string_view payload) {
  return how == codec::json ? from_json<T>(payload) : from_binary<T>(payload);
}

} // namespace evented
