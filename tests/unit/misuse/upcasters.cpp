// Compiles: what the others with past events differ from.

#include "past.hpp"

inline increased upcast(increased_v0 x) {
  return {x.by};
}

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  using past_events = evented::past_events<increased_v0>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

evented::decision<counter> handle(const increase& cmd, const counter&) {
  return evented::accept(increased{cmd.inc});
}

static_assert(evented::check_entity<counter>());
