#include "detail/arrays.hpp"

#include <evented/error.hpp>

namespace evented::detail {

namespace {

void store32(char* to, std::uint32_t x) {
  to[0] = static_cast<char>(x >> 24);
  to[1] = static_cast<char>(x >> 16);
  to[2] = static_cast<char>(x >> 8);
  to[3] = static_cast<char>(x);
}

constexpr std::size_t header_size = 20;

std::string_view bytes_of(const uuid& x) {
  return {reinterpret_cast<const char*>(x.bytes.data()), x.bytes.size()};
}

} // namespace

std::string to_binary(std::int16_t x) {
  auto bits = static_cast<std::uint16_t>(x);
  return {static_cast<char>(bits >> 8), static_cast<char>(bits)};
}

std::string to_binary(std::int32_t x) {
  std::string result(4, '\0');
  store32(result.data(), static_cast<std::uint32_t>(x));
  return result;
}

std::string to_binary(std::int64_t x) {
  auto bits = static_cast<std::uint64_t>(x);
  std::string result(8, '\0');
  store32(result.data(), static_cast<std::uint32_t>(bits >> 32));
  store32(result.data() + 4, static_cast<std::uint32_t>(bits));
  return result;
}

std::string to_binary(const uuid& x) {
  return std::string{bytes_of(x)};
}

std::string to_binary(const entity_id& x) {
  if (auto* id = std::get_if<uuid>(&x))
    return to_binary(*id);
  if (auto* text = std::get_if<std::string>(&x))
    return *text;
  return to_binary(std::get<std::int64_t>(x));
}

array_builder::array_builder(std::uint32_t type)
  : bytes_(header_size, '\0'), type_(type) {
  // nop
}

void array_builder::put32(std::uint32_t x) {
  char buf[4];
  store32(buf, x);
  bytes_.append(buf, sizeof(buf));
}

void array_builder::add(std::string_view bytes) {
  put32(static_cast<std::uint32_t>(bytes.size()));
  bytes_.append(bytes);
  ++count_;
}

void array_builder::add_int16(std::int16_t x) {
  add(to_binary(x));
}

void array_builder::add_int32(std::int32_t x) {
  add(to_binary(x));
}

void array_builder::add_int64(std::int64_t x) {
  add(to_binary(x));
}

void array_builder::add_bool(bool x) {
  char byte = x ? 1 : 0;
  add({&byte, 1});
}

void array_builder::add_uuid(const uuid& x) {
  add(bytes_of(x));
}

void array_builder::add_id(const entity_id& x) {
  if (auto* id = std::get_if<uuid>(&x))
    add_uuid(*id);
  else if (auto* text = std::get_if<std::string>(&x))
    add(*text);
  else
    add_int64(std::get<std::int64_t>(x));
}

void array_builder::add_timestamp(timestamp x) {
  // Microseconds since 2000-01-01. (PostgreSQL, src/include/datatype/timestamp.h)
  using namespace std::chrono;
  constexpr sys_days epoch = year{2000} / January / 1;
  add_int64((x - epoch).count());
}

void array_builder::add_null() {
  put32(0xffffffff);
  has_null_ = true;
  ++count_;
}

std::string array_builder::finish() && {
  if (count_ == 0) {
    bytes_.assign(12, '\0');
    store32(bytes_.data() + 8, type_);
    return std::move(bytes_);
  }
  store32(bytes_.data(), 1);
  store32(bytes_.data() + 4, has_null_ ? 1 : 0);
  store32(bytes_.data() + 8, type_);
  store32(bytes_.data() + 12, static_cast<std::uint32_t>(count_));
  store32(bytes_.data() + 16, 1);
  return std::move(bytes_);
}

std::uint32_t oid_of(id_kind kind) noexcept {
  switch (kind) {
  case id_kind::uuid:
    return uuid_oid;
  case id_kind::text:
    return text_oid;
  case id_kind::bigint:
    break;
  }
  return int8_oid;
}

std::vector<std::string> parse_array(std::string_view text) {
  auto broken = [&] {
    return error(errc::refused, "not an array: " + std::string{text});
  };
  if (text.size() < 2 || text.front() != '{' || text.back() != '}')
    throw broken();
  text = text.substr(1, text.size() - 2);
  std::vector<std::string> result;
  std::size_t i = 0;
  while (i < text.size()) {
    std::string element;
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && ++i == text.size())
          throw broken();
        element += text[i];
      }
      if (i == text.size())
        throw broken();
      ++i;
    } else {
      while (i < text.size() && text[i] != ',')
        element += text[i++];
    }
    result.push_back(std::move(element));
    if (i < text.size() && text[i++] != ',')
      throw broken();
  }
  return result;
}

std::string parse_bytea(std::string_view text) {
  auto value = [](char c) -> int {
    if (c >= '0' && c <= '9')
      return c - '0';
    if (c >= 'a' && c <= 'f')
      return c - 'a' + 10;
    return -1;
  };
  if (!text.starts_with("\\x") || text.size() % 2 != 0)
    throw error(errc::refused, "not a bytea in its hexadecimal form");
  std::string result;
  result.reserve(text.size() / 2);
  for (std::size_t i = 2; i < text.size(); i += 2) {
    auto high = value(text[i]);
    auto low = value(text[i + 1]);
    if (high < 0 || low < 0)
      throw error(errc::refused, "not a bytea in its hexadecimal form");
    result += static_cast<char>(high << 4 | low);
  }
  return result;
}

} // namespace evented::detail
