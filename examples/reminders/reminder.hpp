#pragma once

// A reminder that rings once, at its time, also where nobody has thought of it
// since and the process that set it is gone.

#include <evented/actors.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace reminders {

struct set {
  std::string text;
  /// Microseconds since 1970, UTC.
  std::int64_t at = 0;
};

struct ring {
  /// The time that it was set to, by which a timer that came too late is known.
  std::int64_t at = 0;
};

struct was_set {
  std::string text;
  std::int64_t at = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(text), CEREAL_NVP(at));
  }
};

struct rang {
  std::string text;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(text));
  }
};

struct reminder {
  static constexpr std::string_view type_name = "reminder";

  using id_type = std::int64_t;
  using commands = evented::commands<set, ring>;
  using events = evented::events<was_set, rang>;
  using messages = evented::messages<ring>;

  std::string text;
  /// 0: it is not set.
  std::int64_t at = 0;

  void apply(const was_set& e) {
    text = e.text;
    at = e.at;
  }
  void apply(const rang&) { at = 0; }
};

/// Setting it again moves it.
inline evented::decision<reminder> handle(const set& cmd, const reminder&) {
  return evented::accept(was_set{cmd.text, cmd.at})
    .at("ring", evented::timestamp{std::chrono::microseconds{cmd.at}},
        ring{cmd.at});
}

inline evented::decision<reminder> handle(const ring& cmd,
                                          const reminder& state) {
  if (cmd.at != state.at)
    return evented::accept();
  return evented::accept(rang{state.text});
}

template <class Inspector>
auto inspect(Inspector& f, set& x) {
  return evented::inspect_object(f, x, "reminders::set",
                                 evented::field("text", x.text),
                                 evented::field("at", x.at));
}

template <class Inspector>
auto inspect(Inspector& f, ring& x) {
  return evented::inspect_object(f, x, "reminders::ring",
                                 evented::field("at", x.at));
}

} // namespace reminders

CAF_BEGIN_TYPE_ID_BLOCK(reminders, 200)

CAF_ADD_TYPE_ID(reminders, (reminders::set))
CAF_ADD_TYPE_ID(reminders, (reminders::ring))

CAF_END_TYPE_ID_BLOCK(reminders)
