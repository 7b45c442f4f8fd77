#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace evented::cli {

/// A place among the entities of a journal, in the order of types and IDs.
struct entity_place {
  std::string type;
  /// Nothing: before the first one.
  std::optional<std::string> id;
};

/// Returns `x` as an operator can hand it back.
std::string place_text(const entity_place& x);

/// Reads what `place_text` has written. Whether the ID is one of the journal's
/// kind is not known here.
/// @throws failure(usage)
entity_place read_place(std::string_view text);

} // namespace evented::cli
