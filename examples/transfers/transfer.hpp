#pragma once

// A transfer from one wallet to another, and how far it is:
//
//   started ─▶ taken ─▶ done
//      │         └────▶ refused ─▶ returned
//      └─▶ failed

#include <evented/actors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace transfers {

struct start {
  std::string from;
  std::string to;
  std::int64_t amount = 0;
};

struct advance {
  std::string stage;
  std::string why;
};

/// Tells all that the process manager needs, so that it needs no memory.
struct reached {
  std::string stage;
  std::string from;
  std::string to;
  std::int64_t amount = 0;
  std::string why;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(stage), CEREAL_NVP(from), CEREAL_NVP(to),
            CEREAL_NVP(amount), CEREAL_NVP(why));
  }
};

struct transfer {
  static constexpr std::string_view type_name = "transfer";

  using id_type = std::string;
  using commands = evented::commands<start, advance>;
  using events = evented::events<reached>;

  /// Its stage is empty where it was not started yet.
  reached last;

  void apply(const reached& e) { last = e; }

  [[nodiscard]] bool may_reach(const std::string& next) const {
    return (last.stage == "started" && (next == "taken" || next == "failed"))
           || (last.stage == "taken" && (next == "done" || next == "refused"))
           || (last.stage == "refused" && next == "returned");
  }
};

inline bool is_end(const std::string& stage) {
  return stage == "done" || stage == "failed" || stage == "returned";
}

/// Starting twice changes nothing.
inline evented::decision<transfer> handle(const start& cmd,
                                          const transfer& state) {
  if (!state.last.stage.empty())
    return evented::accept();
  return evented::accept(reached{"started", cmd.from, cmd.to, cmd.amount, {}});
}

/// Neither does a step that was made already.
inline evented::decision<transfer> handle(const advance& cmd,
                                          const transfer& state) {
  if (!state.may_reach(cmd.stage))
    return evented::accept();
  auto next = state.last;
  next.stage = cmd.stage;
  next.why = cmd.why;
  return evented::accept(next);
}

template <class Inspector>
auto inspect(Inspector& f, start& x) {
  return evented::inspect_object(
    f, x, "transfers::start", evented::field("from", x.from),
    evented::field("to", x.to), evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, advance& x) {
  return evented::inspect_object(f, x, "transfers::advance",
                                 evented::field("stage", x.stage),
                                 evented::field("why", x.why));
}

} // namespace transfers
