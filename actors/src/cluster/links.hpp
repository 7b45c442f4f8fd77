#pragma once

#include <evented/actors/cluster.hpp>
#include <evented/actors/seam.hpp>

#include <caf/event_based_actor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace evented::detail {

/// How actors of other processes are reached: by CAF's middleman, with TLS where
/// the actor system has it.
namespace links {

/// Returns the version of CAF, which speaks to no other one.
std::string caf_version();

/// Lets an actor system that does not exist yet speak TLS, with what `how` names.
void encrypt(caf::actor_system_config& cfg, const node_security& how);

/// Returns whether nodes prove by a certificate who they are.
bool encrypted(caf::actor_system& sys);

/// Checks whether only this machine can connect to `address`.
bool is_loopback(const std::string& address);

/// Lets other processes connect to `whom`. Blocks. Returns the port.
/// @throws error(invalid_options)
std::uint16_t publish(caf::actor_system& sys, const caf::actor& whom,
                      const std::string& address, std::uint16_t port);

/// Ends that. Blocks.
void unpublish(caf::actor_system& sys, const caf::actor& whom,
               std::uint16_t port);

/// Connects to what another process has published, on behalf of `self`, and calls
/// `done` with its handle or `failed` with an error.
void connect(caf::event_based_actor* self, const std::string& address,
             std::uint16_t port, std::chrono::milliseconds timeout,
             std::function<void(caf::actor)> done,
             std::function<void(const caf::error&)> failed);

/// Calls `f` once when the actor at the other end of a link, or the link, is gone:
/// in any thread, so `f` only sends messages.
void on_loss(const caf::actor& link, std::function<void()> f);

} // namespace links

} // namespace evented::detail
