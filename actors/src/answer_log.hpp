#pragma once

#include <evented/entity_id.hpp>
#include <evented/error.hpp>
#include <evented/trace.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace evented::detail {

/// What a line in the log says of a command.
struct answered_command {
  std::string_view type_name;
  const entity_id& id;
  std::uint64_t version = 0;
  const evented::trace& trace;
};

/// Logs how a command was answered, as `key=value`: each at `debug`, and at
/// `warn` those that somebody has to look at, of each outcome one a second.
/// Neither the command nor its events are part of the line.
/// @param why what the answer says, where it is an error
void log_answer(const answered_command& x, errc outcome, std::string_view why);

/// Returns `text` as a value in the log: in quotes where it could be taken for
/// something else, with control characters as escapes.
std::string log_value(std::string_view text);

} // namespace evented::detail
