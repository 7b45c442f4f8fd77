#pragma once

// Which regions of a journal this process has. Not for users.

#include <evented/export.hpp>

#include <caf/actor.hpp>
#include <caf/actor_control_block.hpp>

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace evented::detail {

/// Knows who takes the commands for each entity type, and keeps nobody alive:
/// entity types that send to each other would never end. Thread-safe.
class EVENTED_EXPORT address_book {
public:
  /// Says that commands for this type go to `whom`, and to nobody named before.
  void enter(const std::string& type_name, const caf::actor& whom);

  /// Returns who takes them, null where nobody does, or does any more.
  [[nodiscard]] caf::actor find(const std::string& type_name) const;

  /// Returns the types that somebody takes commands for.
  [[nodiscard]] std::vector<std::string> types() const;

private:
  mutable std::mutex mutex_;
  std::map<std::string, caf::weak_actor_ptr> entries_;
};

} // namespace evented::detail
