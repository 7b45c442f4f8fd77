// Fails: the journal could not tell the old shape from the new one.

#include "past.hpp"

struct old_increased {
  static constexpr std::string_view event_name = "increased";
  std::uint64_t by;
};

inline increased upcast(old_increased x) {
  return {x.by};
}

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  using past_events = evented::past_events<old_increased>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

evented::decision<counter> handle(const increase& cmd, const counter&) {
  return evented::accept(increased{cmd.inc});
}

static_assert(evented::check_entity<counter>());
