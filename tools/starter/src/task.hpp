#pragma once

// The domain: tasks that are added and finished. Plain structs and functions.

#include <evented/actors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace starter {

// -- commands and rejections: messages ----------------------------------------

struct add {
  std::string title;
};

struct finish {
  std::string by;
};

struct unknown_task {};

struct already_there {
  std::string title;
};

template <class Inspector>
auto inspect(Inspector& f, add& x) {
  return evented::inspect_object(f, x, "starter::add",
                                 evented::field("title", x.title));
}

template <class Inspector>
auto inspect(Inspector& f, finish& x) {
  return evented::inspect_object(f, x, "starter::finish",
                                 evented::field("by", x.by));
}

template <class Inspector>
auto inspect(Inspector& f, unknown_task& x) {
  return evented::inspect_object(f, x, "starter::unknown_task");
}

template <class Inspector>
auto inspect(Inspector& f, already_there& x) {
  return evented::inspect_object(f, x, "starter::already_there",
                                 evented::field("title", x.title));
}

// -- events: what is stored ---------------------------------------------------

struct added {
  std::string title;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(title));
  }
};

struct finished {
  std::string by;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(by));
  }
};

// -- entity -------------------------------------------------------------------

struct task {
  static constexpr std::string_view type_name = "task";

  using id_type = evented::uuid;
  using commands = evented::commands<add, finish>;
  using events = evented::events<added, finished>;

  bool there = false;
  bool done = false;
  std::string title;

  void apply(const added& e) {
    there = true;
    title = e.title;
  }
  void apply(const finished&) { done = true; }
};

inline evented::decision<task, already_there> handle(const add& cmd,
                                                     const task& state) {
  if (state.there)
    return evented::reject(already_there{state.title});
  return evented::accept(added{cmd.title});
}

/// Finishing twice changes nothing.
inline evented::decision<task, unknown_task> handle(const finish& cmd,
                                                    const task& state) {
  if (!state.there)
    return evented::reject(unknown_task{});
  if (state.done)
    return evented::accept();
  return evented::accept(finished{cmd.by});
}

} // namespace starter

CAF_BEGIN_TYPE_ID_BLOCK(starter, 200)

CAF_ADD_TYPE_ID(starter, (starter::add))
CAF_ADD_TYPE_ID(starter, (starter::finish))
CAF_ADD_TYPE_ID(starter, (starter::unknown_task))
CAF_ADD_TYPE_ID(starter, (starter::already_there))

CAF_END_TYPE_ID_BLOCK(starter)
