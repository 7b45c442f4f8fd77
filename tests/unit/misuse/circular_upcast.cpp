// Fails: an old shape becomes itself again.

#include "past.hpp"

#include <optional>

struct increased_v1 {
  static constexpr std::string_view event_name = "raised";
  static constexpr std::int32_t schema_version = 2;
  std::uint64_t by;
};

inline increased_v1 upcast(increased_v0 x) {
  return {x.by};
}

inline std::optional<increased_v0> upcast(increased_v1 x) {
  return increased_v0{x.by};
}

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  using past_events = evented::past_events<increased_v0, increased_v1>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

evented::decision<counter> handle(const increase& cmd, const counter&) {
  return evented::accept(increased{cmd.inc});
}

static_assert(evented::check_entity<counter>());
