#pragma once

// An entity whose events say which command they are of, and whose answers say on
// which state they rest, so that a history can be checked.

#include <evented/actors.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace evented::test {

/// Stores `parts` events, also none.
struct add {
  std::uint64_t key = 0;
  std::int64_t amount = 0;
  std::uint64_t parts = 1;
};

/// Answers with what is left, or is rejected with `too_little`.
struct take_out {
  std::uint64_t key = 0;
  std::int64_t amount = 0;
};

/// Its event is one that no journal takes, which only the journal finds out.
struct spoil {
  std::uint64_t key = 0;
};

/// Its handler throws.
struct stumble {
  std::uint64_t key = 0;
};

/// A query: what this process knows.
struct ask_memory {
  std::uint64_t key = 0;
};

/// A query: what the journal knows.
struct ask_journal {
  static constexpr auto confirm = evented::confirm::journal;
  std::uint64_t key = 0;
};

/// A state, as an answer or a rejection tells it.
struct too_little {
  std::int64_t total = 0;
  std::uint64_t version = 0;
};

struct seen {
  std::int64_t total = 0;
  std::uint64_t version = 0;
};

template <class Inspector>
auto inspect(Inspector& f, add& x) {
  return inspect_object(f, x, "add", field("key", x.key),
                        field("amount", x.amount), field("parts", x.parts));
}

template <class Inspector>
auto inspect(Inspector& f, take_out& x) {
  return inspect_object(f, x, "take_out", field("key", x.key),
                        field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, spoil& x) {
  return inspect_object(f, x, "spoil", field("key", x.key));
}

template <class Inspector>
auto inspect(Inspector& f, stumble& x) {
  return inspect_object(f, x, "stumble", field("key", x.key));
}

template <class Inspector>
auto inspect(Inspector& f, ask_memory& x) {
  return inspect_object(f, x, "ask_memory", field("key", x.key));
}

template <class Inspector>
auto inspect(Inspector& f, ask_journal& x) {
  return inspect_object(f, x, "ask_journal", field("key", x.key));
}

template <class Inspector>
auto inspect(Inspector& f, too_little& x) {
  return inspect_object(f, x, "too_little", field("total", x.total),
                        field("version", x.version));
}

template <class Inspector>
auto inspect(Inspector& f, seen& x) {
  return inspect_object(f, x, "seen", field("total", x.total),
                        field("version", x.version));
}

/// What all events are.
struct moved {
  static constexpr std::string_view event_name = "moved";

  std::uint64_t key = 0;
  std::int64_t amount = 0;
  /// Part of the payload only indirectly: as a tag that is none.
  bool spoilt = false;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(key), CEREAL_NVP(amount));
  }

  [[nodiscard]] std::vector<std::string> tags() const {
    return spoilt ? std::vector<std::string>{"no\ntag"}
                  : std::vector<std::string>{};
  }
};

/// @param Shape the version of the shape of its snapshots: each counts in
///        another unit, so that one read as the other is wrong but readable
template <std::int32_t Shape>
struct basic_vault {
  static constexpr std::string_view type_name = "vault";
  static constexpr std::int32_t state_version = Shape;

  using id_type = std::int64_t;
  using commands = evented::commands<add, take_out, spoil, stumble>;
  using queries = evented::queries<ask_memory, ask_journal>;
  using events = evented::events<moved>;

  std::int64_t total = 0;

  void apply(const moved& e) { total += e.amount; }

  template <class Archive>
  void serialize(Archive& archive) {
    auto stored = total * Shape;
    archive(cereal::make_nvp("total", stored));
    total = stored / Shape;
  }
};

template <std::int32_t Shape>
decision<basic_vault<Shape>> handle(const add& cmd, const basic_vault<Shape>&) {
  std::vector<typename basic_vault<Shape>::events::variant> events(
    cmd.parts, moved{cmd.key, cmd.amount});
  return accept(std::move(events));
}

template <std::int32_t Shape>
decision<basic_vault<Shape>, replies<std::int64_t>, too_little>
handle(const take_out& cmd, const basic_vault<Shape>& state,
       const context<basic_vault<Shape>>& ctx) {
  if (cmd.amount > state.total)
    return reject(too_little{state.total, ctx.version});
  return accept(moved{cmd.key, -cmd.amount})
    .reply([](const basic_vault<Shape>& x) { return x.total; });
}

template <std::int32_t Shape>
decision<basic_vault<Shape>> handle(const spoil& cmd,
                                    const basic_vault<Shape>&) {
  return accept(moved{cmd.key, 1, true});
}

template <std::int32_t Shape>
decision<basic_vault<Shape>> handle(const stumble&, const basic_vault<Shape>&) {
  throw std::runtime_error("stumbled");
}

template <std::int32_t Shape>
seen answer(const ask_memory&, const basic_vault<Shape>& state,
            const context<basic_vault<Shape>>& ctx) {
  return {state.total, ctx.version};
}

template <std::int32_t Shape>
seen answer(const ask_journal&, const basic_vault<Shape>& state,
            const context<basic_vault<Shape>>& ctx) {
  return {state.total, ctx.version};
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(vaults, 320)

CAF_ADD_TYPE_ID(vaults, (evented::test::add))
CAF_ADD_TYPE_ID(vaults, (evented::test::take_out))
CAF_ADD_TYPE_ID(vaults, (evented::test::spoil))
CAF_ADD_TYPE_ID(vaults, (evented::test::stumble))
CAF_ADD_TYPE_ID(vaults, (evented::test::ask_memory))
CAF_ADD_TYPE_ID(vaults, (evented::test::ask_journal))
CAF_ADD_TYPE_ID(vaults, (evented::test::too_little))
CAF_ADD_TYPE_ID(vaults, (evented::test::seen))

CAF_END_TYPE_ID_BLOCK(vaults)
