#pragma once

#include <evented/export.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace evented {

/// A universally unique identifier (RFC 9562), 16 bytes in network order.
/// A plain value; the makers may be called from any thread.
struct EVENTED_EXPORT uuid {
  /// In network order.
  std::array<std::uint8_t, 16> bytes{};

  /// Makes a random UUID (version 4) from the system's random source.
  static uuid v4();

  /// Makes a time-ordered UUID (version 7): milliseconds since the Unix epoch,
  /// then random bits. Good for IDs that are created in bulk, since neighbours
  /// in time are neighbours in the index.
  static uuid v7();

  /// Parses the form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, upper or lower
  /// case. Returns nothing for any other text.
  static std::optional<uuid> parse(std::string_view text) noexcept;

  /// Orders by bytes, as PostgreSQL does.
  friend auto operator<=>(const uuid&, const uuid&) = default;
};

/// Returns the canonical form, 36 characters in lower case.
EVENTED_EXPORT std::string to_string(const uuid& id);

// -- cereal: a UUID is stored as its canonical text ---------------------------

template <class Archive>
std::string save_minimal(const Archive&, const uuid& id) {
  return to_string(id);
}

template <class Archive>
void load_minimal(const Archive&, uuid& id, const std::string& text) {
  if (auto parsed = uuid::parse(text))
    id = *parsed;
  else
    throw std::invalid_argument("not a UUID: " + text);
}

} // namespace evented

/// @cond
template <>
struct std::hash<evented::uuid> {
  std::size_t operator()(const evented::uuid& id) const noexcept;
};
/// @endcond
