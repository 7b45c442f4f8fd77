#include "saved.hpp"

#include "failure.hpp"
#include "tables.hpp"

#include <evented/utf8.hpp>

#include <algorithm>
#include <initializer_list>

namespace evented::cli {

using nlohmann::json;

namespace {

/// What is written here nests as deep as metadata of events do.
constexpr int most_nesting = 512;

/// Versions and sequence numbers, as PostgreSQL has them.
bool is_number(const json& x) {
  return x.is_number_unsigned() && x.get<std::uint64_t>() <= INT64_MAX;
}

/// Returns the member `key` of `x`, null where there is none.
json member(const json& x, const char* key) {
  auto found = x.is_object() ? x.find(key) : x.end();
  return found == x.end() ? json() : *found;
}

bool valid_header(const json& x) {
  auto is_one_of
    = [&x](const char* key, std::initializer_list<const char*> known) {
        auto value = member(x, key);
        return std::any_of(known.begin(), known.end(),
                           [&](auto* k) { return value == k; });
      };
  return member(x, "evented_export") == export_format
         && is_one_of("ids", {"uuid", "text", "bigint"})
         && is_one_of("payloads", {"json", "binary"})
         && is_number(member(x, "last_number"));
}

} // namespace

json read_json(std::string_view text) {
  auto too_deep = false;
  auto result = json::parse(
    text,
    [&](int depth, json::parse_event_t, json&) {
      too_deep = too_deep || depth > most_nesting;
      return !too_deep;
    },
    false);
  return too_deep ? json(json::value_t::discarded) : result;
}

// -- files --------------------------------------------------------------------

const json& check_header(const json& header) {
  if (!valid_header(header))
    throw failure(exit_code::usage,
                  "this is no export of evented, or one of a newer version");
  return header;
}

json read_end(std::string_view line) {
  if (!line.starts_with("{\"end\":"))
    return nullptr;
  auto counts = member(read_json(line), "end");
  return counts.is_object() ? counts : json();
}

std::optional<copied_entity> read_copied(std::string_view line) {
  if (!line.starts_with("{\"entity\":"))
    return std::nullopt;
  auto x = member(read_json(line), "entity");
  auto type = member(x, "type");
  auto id = member(x, "id");
  auto version = member(x, "version");
  if (!type.is_string() || !id.is_string() || !is_number(version)
      || !valid_text(id.get_ref<const std::string&>()))
    throw failure(exit_code::fault, "a line that names an entity is damaged");
  return copied_entity{type, id, version};
}

// -- how far something was ----------------------------------------------------

std::string export_state::dump() const {
  return json{
    {"after", after}, {"up_to", up_to}, {"events", events}, {"schema", schema}}
    .dump();
}

export_state read_export_state(std::string_view text) {
  auto x = read_json(text);
  auto after = member(x, "after");
  auto up_to = member(x, "up_to");
  auto events = member(x, "events");
  auto schema = member(x, "schema");
  if (!is_number(after) || !is_number(up_to) || !is_number(events)
      || !schema.is_string())
    throw failure(exit_code::fault,
                  "what is known of that export is damaged; begin anew");
  return {after, up_to, events, schema};
}

std::string part_state::dump() const {
  return json{{"bytes", bytes}, {"state", state}}.dump();
}

std::optional<part_state> read_part_state(std::string_view text) {
  auto x = read_json(text);
  auto bytes = member(x, "bytes");
  auto state = member(x, "state");
  if (!is_number(bytes) || !state.is_string())
    return std::nullopt;
  return part_state{bytes, state};
}

} // namespace evented::cli
