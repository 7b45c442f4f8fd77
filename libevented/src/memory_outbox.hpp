#pragma once

#include <evented/event.hpp>
#include <evented/outbox.hpp>
#include <evented/store.hpp>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evented::detail {

/// The outbox of a journal in memory. Its owner locks it.
class memory_outbox {
public:
  /// Puts the messages of a step that was stored into the outbox, and takes
  /// timers out of it.
  /// @param version the entity's version after the step
  void store(const append_request& request, const append_step& step,
             std::uint64_t version);

  /// See `store_session`.
  claimed_messages claim(const message_claim& what, timestamp now);
  void settle(std::span<const settled_message> batch, timestamp now);
  [[nodiscard]] std::vector<std::string>
  waiting_targets(std::string_view type_name) const;

private:
  struct row {
    std::string type_name;
    std::string timer;
    claimed_message value;
    timestamp claimed_until = timestamp::min();
  };

  /// By when they are due and the order of commits. As in PostgreSQL, what is
  /// due at once comes before all that has a time.
  std::map<std::pair<timestamp, std::uint64_t>, row> rows_;
  std::uint64_t last_id_ = 0;
};

} // namespace evented::detail
