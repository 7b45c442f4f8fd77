#include <evented/codec.hpp>
#include <evented/utf8.hpp>

namespace evented {

std::string_view to_string(codec x) noexcept {
  return x == codec::json ? "json" : "binary";
}

namespace detail {

void finish_json(std::string& json) {
  // cereal writes nothing at all for an object without fields.
  if (json.empty()) {
    json = "{}";
    return;
  }
  if (!valid_text(json))
    throw error(errc::invalid_event,
                "a text is not valid UTF-8; PostgreSQL stores no other");
  // Outside of strings stand only punctuation, white space, numbers, true,
  // false and null, so an N or I there is NaN or Infinity. Inside, JSON
  // escapes every control character, so white space outside is all that goes.
  auto out = json.begin();
  auto in_string = false;
  for (auto in = json.begin(); in != json.end(); ++in) {
    auto c = *in;
    if (in_string) {
      if (c == '"') {
        in_string = false;
      } else if (c == '\\') {
        *out++ = c;
        c = *++in;
        if (c == 'u' && std::string_view{&*in, 5} == "u0000")
          throw error(errc::invalid_event,
                      "a text holds a NUL character; PostgreSQL stores none");
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '\n' || c == ' ') {
      continue;
    } else if (c == 'N' || c == 'I') {
      throw error(errc::invalid_event,
                  "a number is NaN or infinite; JSON has neither");
    }
    *out++ = c;
  }
  json.erase(out, json.end());
}

} // namespace detail

} // namespace evented
