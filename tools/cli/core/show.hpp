#pragma once

#include "event_pages.hpp"

namespace evented::cli {

/// Prints an event: a JSON object in one line, or as people read it.
void show_event(const globals& how, const journal_options& options,
                const event_view& x);

} // namespace evented::cli
