#pragma once

// What nodes of a cluster say to each other. Not for users.
//
// Everything here comes from another process, so whoever receives it checks
// sizes and contents before it believes any of it. No message holds the handle
// of an actor: each node knows the actors of the others from its own
// connections only.

#include <evented/actors/seam.hpp>
#include <evented/uuid.hpp>

#include <cstdint>
#include <string>

namespace evented::detail {

/// What nodes must have in common to understand each other. Counts up with every
/// change of a message in this header, or of one that travels inside of
/// `wire::forward`.
inline constexpr unsigned wire_version = 1;

namespace wire {

/// Says who is there, at first and from then on as a sign of life, and is
/// answered with one. The sender is the actor that speaks for its node.
struct hello {
  std::string cluster;
  std::string protocol;
  std::string name;
  uuid incarnation;
};

/// Asks the owner of an entity to handle a message; is answered as the message
/// itself would be, or with `not_here`.
struct forward {
  std::string type_name;
  /// The message, see `seam::to_wire`: what cannot be read is refused with a
  /// sentence, where CAF would drop it without a word.
  seam::wire_bytes content;
};

/// Answers `forward` where the entity belongs to another node, or to none yet.
/// Nobody has seen the message.
struct not_here {};

/// Says that shards have changed hands, so that others look soon.
struct changed {};

// -- bounds -------------------------------------------------------------------

inline constexpr std::size_t max_name = 200;
inline constexpr std::size_t max_protocol = 200;

/// Checks whether a greeting has the form that this library sends.
inline bool valid(const hello& x) {
  return !x.cluster.empty() && x.cluster.size() <= max_name && !x.name.empty()
         && x.name.size() <= max_name && !x.protocol.empty()
         && x.protocol.size() <= max_protocol && x.incarnation != uuid{};
}

template <class Inspector>
auto inspect(Inspector& f, hello& x) {
  return inspect_object(f, x, "evented::hello", field("cluster", x.cluster),
                        field("protocol", x.protocol), field("name", x.name),
                        field("incarnation", x.incarnation));
}

template <class Inspector>
auto inspect(Inspector& f, forward& x) {
  return inspect_object(f, x, "evented::forward",
                        field("type_name", x.type_name),
                        field("content", x.content));
}

template <class Inspector>
auto inspect(Inspector& f, not_here& x) {
  return inspect_object(f, x, "evented::not_here");
}

template <class Inspector>
auto inspect(Inspector& f, changed& x) {
  return inspect_object(f, x, "evented::changed");
}

} // namespace wire

} // namespace evented::detail
