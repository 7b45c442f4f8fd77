// Fails: a handler that returns an event instead of a decision.

#include "counter.hpp"

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

increased handle(const increase& cmd, const counter&) {
  return increased{cmd.inc};
}

static_assert(evented::check_entity<counter>());
