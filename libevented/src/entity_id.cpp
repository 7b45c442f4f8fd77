#include <evented/entity_id.hpp>
#include <evented/utf8.hpp>

#include <charconv>

namespace evented {

std::string_view to_string(id_kind kind) noexcept {
  switch (kind) {
  case id_kind::uuid:
    return "uuid";
  case id_kind::text:
    return "text";
  case id_kind::bigint:
    return "bigint";
  }
  return "unknown";
}

std::string to_string(const entity_id& id) {
  struct visitor {
    std::string operator()(const uuid& x) const { return to_string(x); }
    std::string operator()(const std::string& x) const { return x; }
    std::string operator()(std::int64_t x) const { return std::to_string(x); }
  };
  return std::visit(visitor{}, id);
}

std::optional<entity_id> parse_entity_id(id_kind kind, std::string_view text) {
  std::optional<entity_id> result;
  if (kind == id_kind::text) {
    result = std::string{text};
  } else if (kind == id_kind::uuid) {
    if (auto found = uuid::parse(text))
      result = *found;
  } else {
    std::int64_t number = 0;
    auto found
      = std::from_chars(text.data(), text.data() + text.size(), number);
    if (found.ec == std::errc{} && found.ptr == text.data() + text.size())
      result = number;
  }
  return result;
}

bool valid(const entity_id& id) noexcept {
  auto* text = std::get_if<std::string>(&id);
  return text == nullptr
         || (!text->empty() && text->size() <= 512 && valid_text(*text));
}

std::uint16_t slice_of(const entity_id& id) noexcept {
  std::uint64_t hash = 14695981039346656037ULL;
  auto add = [&hash](std::uint8_t byte) {
    hash ^= byte;
    hash *= 1099511628211ULL;
  };
  if (auto* x = std::get_if<uuid>(&id)) {
    for (auto byte : x->bytes)
      add(byte);
  } else if (auto* text = std::get_if<std::string>(&id)) {
    for (auto c : *text)
      add(static_cast<std::uint8_t>(c));
  } else {
    auto number = static_cast<std::uint64_t>(*std::get_if<std::int64_t>(&id));
    for (int shift = 56; shift >= 0; shift -= 8)
      add(static_cast<std::uint8_t>(number >> shift));
  }
  return static_cast<std::uint16_t>((hash ^ (hash >> 32)) % slice_count);
}

} // namespace evented
