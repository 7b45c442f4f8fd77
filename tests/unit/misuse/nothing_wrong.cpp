// Compiles: what the others differ from.

#include "counter.hpp"

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

evented::decision<counter, overflow> handle(const increase& cmd,
                                            const counter& state) {
  if (cmd.inc > 100 - state.value)
    return evented::reject(overflow{state.value});
  return evented::accept(increased{cmd.inc});
}

static_assert(evented::check_entity<counter>());
