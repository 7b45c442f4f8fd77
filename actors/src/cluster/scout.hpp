#pragma once

#include <caf/event_based_actor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace evented::detail {

/// Finds out on behalf of `self` whether a TCP connection to `address` comes about
/// in time, closes it, and calls `done`, or `failed` with the reason.
///
/// Problem: CAF connects in its middleman's only thread, for as long as the kernel
/// pleases: where packets vanish, two minutes, in which no other node can be
/// connected to, in which a link that is back is not noticed, and for which the end
/// of the actor system waits. Solution: CAF is asked to connect only to where
/// somebody else has just been. This one has a thread of its own for each attempt.
void scout(caf::event_based_actor* self, const std::string& address,
           std::uint16_t port, std::chrono::milliseconds timeout,
           std::function<void()> done,
           std::function<void(const caf::error&)> failed);

} // namespace evented::detail
