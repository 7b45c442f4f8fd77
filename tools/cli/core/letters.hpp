#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace evented::cli {

/// Which dead letters are wanted.
struct letter_choice {
  /// Empty: of all projections.
  std::string projection;
  /// 0: all events.
  std::uint64_t seq_no = 0;
  /// Only events above this number.
  std::uint64_t after = 0;
  std::uint64_t limit = 100;
};

/// Returns dead letters of the live versions, as an array in the order of
/// projections and events.
nlohmann::json find_letters(journal& x, const letter_choice& what);

/// Returns the one of an event.
/// @throws failure(not_found)
nlohmann::json find_letter(journal& x, const std::string& projection,
                           std::uint64_t seq_no);

/// Lets the program that runs the projection handle all letters of the event's
/// entity again, which is written down. Returns how many there were.
/// @throws failure(not_found), failure(refused) for one that was skipped, and
///         what `ask_program` throws
std::uint64_t replay_letter(journal& x, const std::string& projection,
                            std::uint64_t seq_no, std::chrono::seconds timeout);

/// The same for all entities, one after the other: each is one transaction of the
/// program.
std::uint64_t replay_letters(journal& x, const std::string& projection,
                             std::chrono::seconds timeout);

/// Forgets one, which is written down.
/// @throws failure(not_found)
void drop_letter(journal& x, const std::string& projection,
                 std::uint64_t seq_no);

} // namespace evented::cli
