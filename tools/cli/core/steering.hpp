#pragma once

#include "journal.hpp"
#include "request.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace evented::cli {

// What operators do to projections. All of it is written down, and throws
// error(unknown_projection) where there is none of this name.

/// Ends running it in all processes.
void pause_projection(journal& x, const std::string& name);

/// Takes a pause back, and lets ranges run again that an error has halted.
void resume_projection(journal& x, const std::string& name);

/// Shares its slices among so many ranges.
void rescale_projection(journal& x, const std::string& name,
                        std::uint16_t ranges);

/// Leaves an event out for good.
/// @param types which the projection reads; empty: what the journal knows
/// @throws failure(refused) where it is not the next one of its range
void skip_event(journal& x, const std::string& name, std::uint64_t seq_no,
                const std::vector<std::string>& types = {});

/// Lets the program that runs it do a reset or a rebuild.
/// @throws what `ask_program` throws
void reset_or_rebuild(journal& x, const program_request& what,
                      std::chrono::seconds timeout);

} // namespace evented::cli
