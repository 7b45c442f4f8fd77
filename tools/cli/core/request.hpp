#pragma once

#include "journal.hpp"

#include <chrono>
#include <string>

namespace evented::cli {

/// What is asked of a program that runs a projection.
struct program_request {
  std::string projection;
  /// "reset", "rebuild" or "replay".
  std::string what;
  /// For a reset, where to begin: one of these, or none.
  std::optional<std::uint64_t> after;
  std::optional<std::string> since;
  bool from_now = false;
  /// For a replay.
  std::string type;
  std::optional<entity_id> id;
};

/// Asks whichever program runs the projection, through the database, and waits
/// for its answer. Returns how many dead letters were replayed.
/// @throws failure(timed_out) where none has taken it, in which case none will,
///         or where one has not answered yet; failure(refused) with what the
///         program says
std::uint64_t ask_program(journal& x, const program_request& what,
                          std::chrono::seconds timeout);

} // namespace evented::cli
