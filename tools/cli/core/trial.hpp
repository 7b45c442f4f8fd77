#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace evented::cli {

/// Returns where a journal for trying the server out goes: into a schema that
/// nobody else has, beside that of the command line.
/// @throws failure(usage)
journal_options trial_schema(const globals& how);

/// Returns the schemas of trials that run, or that were killed.
std::vector<std::string> other_trials(database& db);

/// Makes that journal, appends, loads and reads for about as long as told, drops
/// it, whatever comes in between, and returns what was measured. Ends early
/// where somebody presses Ctrl-C.
/// @throws failure(failed) where something is not stored as it should be, and
///         what the store throws
nlohmann::json try_out(const journal_options& where, database& db,
                       std::chrono::seconds time);

} // namespace evented::cli
