#pragma once

// A second entity type, for what reads several: a ticket with tagged events.

#include <evented/actors.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace evented::test {

/// Opens a ticket in a queue.
struct open_ticket {
  std::string queue;
};

template <class Inspector>
auto inspect(Inspector& f, open_ticket& x) {
  return inspect_object(f, x, "open_ticket", field("queue", x.queue));
}

struct ticket_opened {
  std::string queue;

  [[nodiscard]] std::vector<std::string> tags() const {
    return {"ticket", "queue:" + queue};
  }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(queue));
  }
};

struct ticket {
  static constexpr std::string_view type_name = "ticket";

  using id_type = uuid;
  using commands = evented::commands<open_ticket>;
  using events = evented::events<ticket_opened>;

  std::string queue;

  void apply(const ticket_opened& e) { queue = e.queue; }
};

inline decision<ticket> handle(const open_ticket& cmd, const ticket&) {
  return accept(ticket_opened{cmd.queue});
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(tickets, 220)

CAF_ADD_TYPE_ID(tickets, (evented::test::open_ticket))

CAF_END_TYPE_ID_BLOCK(tickets)
