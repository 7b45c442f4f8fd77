// Fails: the handler promises a reply and gives none.

#include "counter.hpp"

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

evented::decision<counter, evented::replies<std::uint64_t>>
handle(const increase& cmd, const counter&) {
  return evented::accept(increased{cmd.inc});
}

static_assert(evented::check_entity<counter>());
