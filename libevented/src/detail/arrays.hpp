#pragma once

#include <evented/entity_id.hpp>
#include <evented/event.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace evented::detail {

/// Return values in the binary forms that PostgreSQL reads: big endian.
std::string to_binary(std::int16_t x);
std::string to_binary(std::int32_t x);
std::string to_binary(std::int64_t x);
std::string to_binary(const uuid& x);
std::string to_binary(const entity_id& x);

/// Builds a PostgreSQL array in the binary form that `array_recv` reads:
///
///   array   := int32 1 | int32 has_null | uint32 element_type | int32 count
///              | int32 1 | element*
///   element := int32 length | bytes             (length -1 and no bytes: null)
///
/// all big endian; an array without elements is int32 0 | int32 0 | uint32
/// element_type. (PostgreSQL, src/backend/utils/adt/arrayfuncs.c.)
class array_builder {
public:
  /// @param type the oid of the element type, see below
  explicit array_builder(std::uint32_t type);

  void add(std::string_view bytes);
  void add_int16(std::int16_t x);
  void add_int32(std::int32_t x);
  void add_int64(std::int64_t x);
  void add_bool(bool x);
  void add_uuid(const uuid& x);
  void add_id(const entity_id& x);
  void add_timestamp(timestamp x);
  void add_null();

  /// Returns the array. The builder is of no more use.
  std::string finish() &&;

private:
  void put32(std::uint32_t x);

  std::string bytes_;
  std::uint32_t type_;
  std::int32_t count_ = 0;
  bool has_null_ = false;
};

/// Oids of built-in types (PostgreSQL, src/include/catalog/pg_type.dat).
inline constexpr std::uint32_t bool_oid = 16;
inline constexpr std::uint32_t bytea_oid = 17;
inline constexpr std::uint32_t int8_oid = 20;
inline constexpr std::uint32_t int2_oid = 21;
inline constexpr std::uint32_t int4_oid = 23;
inline constexpr std::uint32_t text_oid = 25;
inline constexpr std::uint32_t timestamptz_oid = 1184;
inline constexpr std::uint32_t uuid_oid = 2950;

/// Returns the oid of the column type that IDs of `kind` have.
std::uint32_t oid_of(id_kind kind) noexcept;

/// Splits the text form of an array of numbers, booleans or plain words, such
/// as `{1,2,3}`, into its elements. Understands quoted elements.
/// @throws error(refused) where the text is no such array
std::vector<std::string> parse_array(std::string_view text);

/// Returns the bytes of `bytea`'s hexadecimal form `\x..`.
/// @throws error(refused) where the text is something else
std::string parse_bytea(std::string_view text);

} // namespace evented::detail
