#pragma once

#include <evented/export.hpp>
#include <evented/uuid.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace evented {

/// Names the three kinds of entity IDs. A journal holds IDs of one kind.
enum class id_kind : std::uint8_t { uuid, text, bigint };

/// Returns the name of the PostgreSQL type of `kind`: uuid, text or bigint.
EVENTED_EXPORT std::string_view to_string(id_kind kind) noexcept;

/// An entity ID of any kind, in the order of `id_kind`.
using entity_id = std::variant<uuid, std::string, std::int64_t>;

/// Checks whether `T` can be an entity's `id_type`.
template <class T>
concept id_type = std::is_same_v<T, uuid> || std::is_same_v<
  T, std::string> || std::is_same_v<T, std::int64_t>;

/// The kind that belongs to the ID type `T`.
template <id_type T>
inline constexpr id_kind id_kind_of
  = std::is_same_v<T, uuid>          ? id_kind::uuid
    : std::is_same_v<T, std::string> ? id_kind::text
                                     : id_kind::bigint;

/// Returns the kind of `id`.
inline id_kind kind(const entity_id& id) noexcept {
  return static_cast<id_kind>(id.index());
}

/// Returns the text of `id` as it appears in messages and errors.
EVENTED_EXPORT std::string to_string(const entity_id& id);

/// Returns the ID of `kind` that `to_string` renders as `text`, nothing where
/// there is none.
EVENTED_EXPORT std::optional<entity_id> parse_entity_id(id_kind kind,
                                                        std::string_view text);

/// Checks whether `id` can be stored: a text ID has 1 to 512 bytes of valid
/// UTF-8 without NUL; every other ID can be.
EVENTED_EXPORT bool valid(const entity_id& id) noexcept;

/// The number of slices of a journal.
inline constexpr std::uint16_t slice_count = 1024;

/// Returns the slice of `id`, 0 to 1023: projections are partitioned, and
/// entities are spread over nodes, by ranges of it.
///
/// It is the 64-bit FNV-1a hash (Fowler, Noll, Vo; offset basis
/// 14695981039346656037, prime 1099511628211) of the canonical bytes of the ID
/// (16 bytes of a UUID, UTF-8 of a text, 8 bytes big endian of a bigint), with
/// the upper half folded onto the lower by xor, modulo 1024. Stored with every
/// event, so it never changes.
EVENTED_EXPORT std::uint16_t slice_of(const entity_id& id) noexcept;

} // namespace evented
