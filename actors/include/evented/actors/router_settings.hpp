#pragma once

// What a router knows of its entity type. Not for users, see cluster.hpp.

#include <evented/entity_id.hpp>

#include <caf/message.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace evented::detail {

/// What a router sees in a message.
struct destination {
  entity_id id;
  bool query = false;
  /// Whether it is a command with an ID, which takes effect once.
  bool has_id = false;
};

struct router_settings {
  std::string type_name;
  /// How long the entity may take.
  std::chrono::milliseconds command_timeout{0};
  std::chrono::milliseconds routing_timeout{0};
  std::uint16_t shards = 0;
  std::size_t max_waiting = 0;
  std::size_t max_in_flight = 0;
  std::size_t max_message_bytes = 0;
  /// Returns nothing for what is no message to an entity.
  std::function<std::optional<destination>(const caf::message&)> look;
};

} // namespace evented::detail
