// Fails: what is sent to another entity is one of its commands.

#include "counter.hpp"

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  using messages = evented::messages<overflow>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

evented::decision<counter> handle(const increase& cmd, const counter&) {
  return evented::accept(increased{cmd.inc})
    .send_to<counter>(evented::uuid{}, overflow{1});
}

static_assert(evented::check_entity<counter>());
