#pragma once

// The domain: a counter that can be increased and decreased, but neither above
// its maximum nor below zero. Plain structs and free functions.

#include <evented/actors.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string_view>

namespace demo {

// -- commands -----------------------------------------------------------------

struct increase {
  std::uint64_t inc = 0;
};

struct decrease {
  std::uint64_t dec = 0;
};

// -- rejections ---------------------------------------------------------------

struct overflow {
  std::uint64_t value = 0;
};

struct underflow {
  std::uint64_t value = 0;
};

// Commands and rejections are CAF messages and need to be inspectable.

template <class Inspector>
auto inspect(Inspector& f, increase& x) {
  return evented::inspect_object(f, x, "increase",
                                 evented::field("inc", x.inc));
}

template <class Inspector>
auto inspect(Inspector& f, decrease& x) {
  return evented::inspect_object(f, x, "decrease",
                                 evented::field("dec", x.dec));
}

template <class Inspector>
auto inspect(Inspector& f, overflow& x) {
  return evented::inspect_object(f, x, "overflow",
                                 evented::field("value", x.value));
}

template <class Inspector>
auto inspect(Inspector& f, underflow& x) {
  return evented::inspect_object(f, x, "underflow",
                                 evented::field("value", x.value));
}

// -- events -------------------------------------------------------------------

// Events go into the journal, as JSON.

struct increased {
  std::uint64_t inc = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(inc));
  }
};

struct decreased {
  std::uint64_t dec = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(dec));
  }
};

/// When a command was decided: stored with its events.
struct request_info {
  std::int64_t unix_ms = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(unix_ms));
  }

  static request_info now() {
    using namespace std::chrono;
    return {duration_cast<milliseconds>(system_clock::now().time_since_epoch())
              .count()};
  }
};

// -- entity -------------------------------------------------------------------

struct counter {
  static constexpr std::string_view type_name = "counter";
  static constexpr std::uint64_t max = 100;

  using id_type = evented::uuid;
  using commands = evented::commands<increase, decrease>;
  using events = evented::events<increased, decreased>;
  using metadata = request_info;

  std::uint64_t value = 0;

  void apply(const increased& e) { value += e.inc; }
  void apply(const decreased& e) { value -= e.dec; }
};

inline evented::decision<counter, overflow> handle(const increase& cmd,
                                                   const counter& state) {
  if (cmd.inc > counter::max - state.value)
    return evented::reject(overflow{state.value});
  return evented::accept(increased{cmd.inc}).with_metadata(request_info::now());
}

inline evented::decision<counter, underflow> handle(const decrease& cmd,
                                                    const counter& state) {
  if (cmd.dec > state.value)
    return evented::reject(underflow{state.value});
  return evented::accept(decreased{cmd.dec}).with_metadata(request_info::now());
}

} // namespace demo

CAF_BEGIN_TYPE_ID_BLOCK(demo, 200)

CAF_ADD_TYPE_ID(demo, (demo::increase))
CAF_ADD_TYPE_ID(demo, (demo::decrease))
CAF_ADD_TYPE_ID(demo, (demo::overflow))
CAF_ADD_TYPE_ID(demo, (demo::underflow))

CAF_END_TYPE_ID_BLOCK(demo)
