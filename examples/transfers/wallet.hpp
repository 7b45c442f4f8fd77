#pragma once

// A wallet, which knows nothing of transfers but their names.

#include <evented/actors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace transfers {

struct fund {
  std::int64_t amount = 0;
};

struct freeze {};

/// Takes money out for a transfer.
struct take {
  std::string transfer;
  std::int64_t amount = 0;
};

/// Puts in what a transfer brings.
struct give {
  std::string transfer;
  std::int64_t amount = 0;
};

/// Puts in again what a transfer has taken out: cannot be refused.
struct give_back {
  std::string transfer;
  std::int64_t amount = 0;
};

struct insufficient {
  std::int64_t balance = 0;
};

struct frozen {};

/// All that happens to a wallet, since it has only a balance.
struct changed {
  std::int64_t by = 0;
  std::string why;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(by), CEREAL_NVP(why));
  }
};

struct was_frozen {
  template <class Archive>
  void serialize(Archive&) {
    // nop
  }
};

struct wallet {
  static constexpr std::string_view type_name = "wallet";

  using id_type = std::string;
  using commands = evented::commands<fund, freeze, take, give, give_back>;
  using events = evented::events<changed, was_frozen>;

  std::int64_t balance = 0;
  bool is_frozen = false;

  void apply(const changed& e) { balance += e.by; }
  void apply(const was_frozen&) { is_frozen = true; }
};

inline evented::decision<wallet> handle(const fund& cmd, const wallet&) {
  return evented::accept(changed{cmd.amount, "funded"});
}

inline evented::decision<wallet> handle(const freeze&, const wallet&) {
  return evented::accept(was_frozen{});
}

inline evented::decision<wallet, insufficient> handle(const take& cmd,
                                                      const wallet& state) {
  if (cmd.amount > state.balance)
    return evented::reject(insufficient{state.balance});
  return evented::accept(changed{-cmd.amount, "taken by " + cmd.transfer});
}

inline evented::decision<wallet, frozen> handle(const give& cmd,
                                                const wallet& state) {
  if (state.is_frozen)
    return evented::reject(frozen{});
  return evented::accept(changed{cmd.amount, "given by " + cmd.transfer});
}

inline evented::decision<wallet> handle(const give_back& cmd, const wallet&) {
  return evented::accept(changed{cmd.amount, "given back by " + cmd.transfer});
}

template <class Inspector>
auto inspect(Inspector& f, fund& x) {
  return evented::inspect_object(f, x, "transfers::fund",
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, freeze& x) {
  return evented::inspect_object(f, x, "transfers::freeze");
}

template <class Inspector>
auto inspect(Inspector& f, take& x) {
  return evented::inspect_object(f, x, "transfers::take",
                                 evented::field("transfer", x.transfer),
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, give& x) {
  return evented::inspect_object(f, x, "transfers::give",
                                 evented::field("transfer", x.transfer),
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, give_back& x) {
  return evented::inspect_object(f, x, "transfers::give_back",
                                 evented::field("transfer", x.transfer),
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, insufficient& x) {
  return evented::inspect_object(f, x, "transfers::insufficient",
                                 evented::field("balance", x.balance));
}

template <class Inspector>
auto inspect(Inspector& f, frozen& x) {
  return evented::inspect_object(f, x, "transfers::frozen");
}

} // namespace transfers
