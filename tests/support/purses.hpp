#pragma once

// An entity type as two releases of a program have it. The old one counts in
// euros and notes down what nobody wants to know; the new one counts in cents.

#include "support/bank_account.hpp"

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

namespace evented::test {

using purse_commands
  = evented::commands<deposit, withdraw, deposit_all, write_note, get_balance>;

struct paid {
  std::uint64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

// -- the old release ----------------------------------------------------------

namespace before {

struct deposited {
  std::uint64_t euros = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(euros));
  }
};

/// Several deposits at once; none where it is empty.
struct bundled {
  std::vector<std::uint64_t> euros;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(euros));
  }
};

struct noted {};

struct purse {
  static constexpr std::string_view type_name = "purse";
  using id_type = uuid;
  using commands = purse_commands;
  using events = evented::events<deposited, bundled, noted, paid>;

  std::uint64_t euros = 0;

  void apply(const deposited& e) { euros += e.euros; }
  void apply(const bundled& e) {
    for (auto x : e.euros)
      euros += x;
  }
  void apply(const noted&) {}
  void apply(const paid& e) { euros -= e.amount; }
};

inline decision<purse> handle(const deposit& cmd, const purse&) {
  return accept(deposited{cmd.amount});
}

inline decision<purse> handle(const withdraw& cmd, const purse&) {
  return accept(paid{cmd.amount});
}

inline decision<purse> handle(const deposit_all& cmd, const purse&) {
  return accept(bundled{cmd.amounts});
}

inline decision<purse> handle(const write_note&, const purse&) {
  return accept(noted{});
}

inline decision<purse, replies<std::uint64_t>> handle(const get_balance&,
                                                      const purse&) {
  return accept().reply([](const purse& x) { return x.euros; });
}

} // namespace before

// -- the new release ----------------------------------------------------------

namespace now {

struct deposited {
  static constexpr std::int32_t schema_version = 3;
  std::uint64_t cents = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(cents));
  }
};

struct paid_v1 : paid {
  static constexpr std::string_view event_name = "paid";
};

struct paid {
  static constexpr std::int32_t schema_version = 2;
  std::uint64_t cents = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(cents));
  }
};

struct deposited_v1 : before::deposited {
  static constexpr std::string_view event_name = "deposited";
};

/// Of a release in between.
struct deposited_v2 {
  static constexpr std::string_view event_name = "deposited";
  static constexpr std::int32_t schema_version = 2;
  std::uint64_t tens = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(tens));
  }
};

inline deposited_v2 upcast(const deposited_v1& x) {
  return {x.euros * 10};
}

inline deposited upcast(const deposited_v2& x) {
  return {x.tens * 10};
}

inline paid upcast(const paid_v1& x) {
  return {x.amount * 100};
}

} // namespace now

namespace before {

inline std::vector<std::variant<now::deposited>> upcast(const bundled& x) {
  std::vector<std::variant<now::deposited>> result;
  for (auto euros : x.euros)
    result.emplace_back(now::deposited{euros * 100});
  return result;
}

inline dropped upcast(noted) {
  return {};
}

} // namespace before

namespace now {

/// Without memory of the old release, like a program whose authors forgot.
struct forgetful_purse {
  static constexpr std::string_view type_name = "purse";
  using id_type = uuid;
  using commands = purse_commands;
  using events = evented::events<deposited, paid>;

  std::uint64_t cents = 0;

  void apply(const deposited& e) { cents += e.cents; }
  void apply(const paid& e) { cents -= e.cents; }
};

struct purse : forgetful_purse {
  using past_events = evented::past_events<deposited_v1, deposited_v2, paid_v1,
                                           before::bundled, before::noted>;
};

template <class T>
concept any_purse = std::is_base_of_v<forgetful_purse, T>;

template <any_purse T>
decision<T> handle(const deposit& cmd, const T&) {
  return accept(deposited{cmd.amount});
}

template <any_purse T>
decision<T> handle(const withdraw& cmd, const T&) {
  return accept(paid{cmd.amount});
}

template <any_purse T>
decision<T> handle(const deposit_all& cmd, const T&) {
  std::vector<typename T::events::variant> events;
  for (auto x : cmd.amounts)
    events.push_back(deposited{x});
  return accept(std::move(events));
}

template <any_purse T>
decision<T> handle(const write_note&, const T&) {
  return accept();
}

template <any_purse T>
decision<T, replies<std::uint64_t>> handle(const get_balance&, const T&) {
  return accept().reply([](const T& x) { return x.cents; });
}

} // namespace now

} // namespace evented::test
