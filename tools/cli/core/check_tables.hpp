#pragma once

#include "faults.hpp"
#include "journal.hpp"

#include <cstdint>

namespace evented::cli {

/// Checks that no number of the journal is used twice, and that the sequence is
/// at or above all of them.
void check_numbers(journal& x, faults& to);

/// Checks what stands beside the events against them: horizons, snapshots,
/// remembered commands, tags, dead letters and the outbox.
void check_tables(journal& x, faults& to);

/// Checks that checkpoints are not above the frontier, and that the ranges of
/// each projection share all slices.
void check_projections(journal& x, faults& to);

} // namespace evented::cli
