#include "place.hpp"

#include "failure.hpp"
#include "saved.hpp"

namespace evented::cli {

using nlohmann::json;

std::string place_text(const entity_place& x) {
  json place{x.type};
  if (x.id)
    place.push_back(*x.id);
  return place.dump(-1, ' ', false, json::error_handler_t::replace);
}

entity_place read_place(std::string_view text) {
  auto place = read_json(text);
  if (!place.is_array() || place.empty() || place.size() > 2
      || !place[0].is_string() || (place.size() == 2 && !place[1].is_string()))
    throw failure(exit_code::usage,
                  "--from takes what an interrupted verify has said, as "
                  "'[\"account\",\"<id>\"]', or '[\"account\"]'");
  entity_place result{place[0], {}};
  if (place.size() == 2)
    result.id = place[1].get<std::string>();
  return result;
}

} // namespace evented::cli
