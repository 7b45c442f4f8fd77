#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace evented::cli {

// What evented has written before and reads again: lines of its files, and how far
// work was that is gone on with. Anybody may have written into them since.

/// Returns the value that `text` says in JSON, or one that is discarded where it
/// says none, or one that nests deeper than anything that is written here: what
/// walks through values does so by recursion.
nlohmann::json read_json(std::string_view text);

// -- files --------------------------------------------------------------------

/// Checks the first line of an export.
/// @throws failure(usage)
const nlohmann::json& check_header(const nlohmann::json& header);

/// Returns the counts in the last line of an export, null for any other line.
nlohmann::json read_end(std::string_view line);

/// An entity whose events stand above this line of a copy.
struct copied_entity {
  std::string type;
  std::string id;
  std::uint64_t version = 0;
};

/// Reads such a line, and returns nothing for any other.
/// @throws failure(fault) where it is damaged
std::optional<copied_entity> read_copied(std::string_view line);

// -- how far something was ----------------------------------------------------

/// How far an export is: what its file says beside it.
struct export_state {
  /// The events up to this number are in the file.
  std::uint64_t after = 0;
  /// The frontier when it began: what came later is not in the file.
  std::uint64_t up_to = 0;
  std::uint64_t events = 0;
  std::string schema;

  [[nodiscard]] std::string dump() const;

  friend bool operator==(const export_state&, const export_state&) = default;
};

/// Reads what `export_state::dump` has written.
/// @throws failure(fault)
export_state read_export_state(std::string_view text);

/// How much of a file is good that is not whole yet, and what its writer wants to
/// know again.
struct part_state {
  std::uint64_t bytes = 0;
  std::string state;

  [[nodiscard]] std::string dump() const;

  friend bool operator==(const part_state&, const part_state&) = default;
};

/// Reads what `part_state::dump` has written, and returns nothing for any other
/// text.
std::optional<part_state> read_part_state(std::string_view text);

} // namespace evented::cli
