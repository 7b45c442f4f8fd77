#pragma once

#include <evented/actors/messages.hpp>

#include <cstddef>
#include <optional>

namespace evented::detail {

/// Reads the message that another node has sent with `x`. Returns nothing where
/// it takes more than `max_bytes`, where it holds what this program cannot read,
/// or nothing at all.
std::optional<caf::message> read_content(caf::actor_system& sys,
                                         const wire::forward& x,
                                         std::size_t max_bytes);

} // namespace evented::detail
