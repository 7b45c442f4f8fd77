// Fails: the entity cannot take what the upcaster returns.

#include "past.hpp"

#include <tuple>

inline std::tuple<increased, decreased> upcast(increased_v0 x) {
  return {increased{x.by}, decreased{x.by}};
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
