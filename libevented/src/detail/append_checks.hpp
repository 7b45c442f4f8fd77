#pragma once

#include <evented/store.hpp>

namespace evented::detail {

/// Fails `step` with `errc::invalid_event` where one of its events has a tag that
/// is none, or a schema version below 1: the table itself would take that.
void refuse_bad_events(append_step& step);

/// Fails `step` with `errc::invalid_event` where its command ID is none, or
/// where it has messages but no event.
void refuse_bad_record(append_step& step);

} // namespace evented::detail
