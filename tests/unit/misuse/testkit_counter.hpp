#pragma once

// What the examples of misuse of the test kit have in common: an entity that is
// fine.

#include <evented/testkit.hpp>

#include <cstdint>
#include <string_view>

struct increase {
  std::uint64_t inc;
};

struct increased {
  std::uint64_t inc;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(inc));
  }
};

struct decreased {
  std::uint64_t dec;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(dec));
  }
};

struct overflow {
  std::uint64_t value;
};

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase>;
  using events = evented::events<increased>;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
};

inline evented::decision<counter, overflow> handle(const increase& cmd,
                                                   const counter& state) {
  if (cmd.inc > 100 - state.value)
    return evented::reject(overflow{state.value});
  return evented::accept(increased{cmd.inc});
}
