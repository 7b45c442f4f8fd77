// Fails: a message goes out with events, and there are none.

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

evented::decision<counter> handle(const increase&, const counter&) {
  return evented::accept().send("mailer", overflow{1});
}

static_assert(evented::check_entity<counter>());
