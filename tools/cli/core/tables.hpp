#pragma once

#include "journal.hpp"
#include "line_file.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace evented::cli {

// The lines of an export, in this order; docs/operations.md describes them:
//   {"evented_export": 1, "ids": .., "payloads": .., ..}
//   {"seq_no": .., ..}           an event, see append_event; in order of seq_no
//   {"horizon": {..}}            rows of the tables of these names, with the
//   {"snapshot": {..}}           names of their columns
//   {"command": {..}}
//   {"end": {"events": .., ..}}  how many there are of each

/// The version of that format.
inline constexpr int export_format = 1;

/// Returns the first line.
std::string export_header(journal& x, std::uint64_t up_to);

/// Writes the rows that belong to the events up to `up_to`, and returns how many
/// there are of each kind.
nlohmann::json write_tables(journal& x, line_writer& to, std::uint64_t up_to);

} // namespace evented::cli
