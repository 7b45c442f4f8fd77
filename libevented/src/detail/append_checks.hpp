#pragma once

#include <evented/store.hpp>

namespace evented::detail {

/// Fails `step` with `errc::invalid_event` where one of its tags is none.
void refuse_bad_tags(append_step& step);

/// Fails `step` with `errc::invalid_event` where its command ID is none, or
/// where it has messages but no event.
void refuse_bad_record(append_step& step);

} // namespace evented::detail
