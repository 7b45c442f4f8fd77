#include "detail/arrays.hpp"
#include "detail/event_rows.hpp"
#include "fuzz/targets.hpp"

#include <evented/error.hpp>

#include <string>
#include <vector>

namespace evented::test::fuzz {

// What PostgreSQL sends back as text.
void postgres_text(std::string_view input) {
  try {
    auto elements = detail::parse_array(input);
    std::size_t bytes = 0;
    for (auto& x : elements)
      bytes += x.size();
    promise(bytes <= input.size(), "an array's elements are parts of it");
  } catch (const error& e) {
    promise(e.code() == errc::refused, "no array is refused");
  }
  try {
    auto bytes = detail::parse_bytea(input);
    promise(2 * bytes.size() + 2 == input.size(), "each byte has two digits");
  } catch (const error& e) {
    promise(e.code() == errc::refused, "no bytea is refused");
  }
  auto tags = detail::split_tags(input);
  promise(tags.size() <= input.size(), "a tag takes a byte");
  (void)detail::microseconds(input);
  (void)detail::read_id(id_kind::bigint, input);
  promise(detail::read_id(id_kind::text, input)
            == entity_id{std::string{input}},
          "a text ID is its text");
}

} // namespace evented::test::fuzz
