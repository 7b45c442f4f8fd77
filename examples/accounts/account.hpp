#pragma once

// The domain: accounts that hold money. Plain structs and free functions, which
// know nothing of actors, HTTP or a database.

#include <evented/actors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace bank {

/// Amounts are in cents.
using cents = std::int64_t;

/// The most that one command may move, so that no balance can overflow.
inline constexpr cents max_amount = 1'000'000'000'000;

// -- commands and queries -----------------------------------------------------

struct open_account {
  std::string owner;
};

struct deposit {
  cents amount = 0;
};

struct withdraw {
  cents amount = 0;
};

/// Moves money to another account, which has to be there.
struct transfer {
  evented::uuid to;
  cents amount = 0;
};

/// What the account at the other end of a transfer gets.
struct receive {
  evented::uuid from;
  cents amount = 0;
};

struct get_account {};

// -- replies and rejections ---------------------------------------------------

/// An account as its commands and queries show it.
struct summary {
  std::string owner;
  cents balance = 0;
  /// The version that a query has seen; not set in replies to commands.
  std::uint64_t version = 0;
};

struct no_account {};

struct already_open {
  std::string owner;
};

struct bad_amount {
  cents amount = 0;
};

struct insufficient_funds {
  cents balance = 0;
};

// -- events -------------------------------------------------------------------

struct account_opened {
  std::string owner;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(owner));
  }
};

struct deposited {
  cents amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

struct withdrawn {
  cents amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

struct transfer_sent {
  evented::uuid to;
  cents amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(to), CEREAL_NVP(amount));
  }
};

struct transfer_received {
  evented::uuid from;
  cents amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(from), CEREAL_NVP(amount));
  }
};

// -- entity -------------------------------------------------------------------

struct account {
  static constexpr std::string_view type_name = "account";

  using id_type = evented::uuid;
  using commands
    = evented::commands<open_account, deposit, withdraw, transfer, receive>;
  using queries = evented::queries<get_account>;
  using events = evented::events<account_opened, deposited, withdrawn,
                                 transfer_sent, transfer_received>;
  using messages = evented::messages<receive>;

  /// Empty: nobody has opened it yet.
  std::string owner;
  cents balance = 0;

  [[nodiscard]] bool is_open() const { return !owner.empty(); }

  void apply(const account_opened& e) { owner = e.owner; }
  void apply(const deposited& e) { balance += e.amount; }
  void apply(const withdrawn& e) { balance -= e.amount; }
  void apply(const transfer_sent& e) { balance -= e.amount; }
  void apply(const transfer_received& e) { balance += e.amount; }
};

template <class... Rejections>
using decision
  = evented::decision<account, evented::replies<summary>, Rejections...>;

inline summary summarize(const account& x) {
  return {x.owner, x.balance};
}

inline bool is_amount(cents x) {
  return x > 0 && x <= max_amount;
}

/// Opens an account once; whoever repeats it gets the same answer.
inline decision<already_open> handle(const open_account& cmd,
                                     const account& state) {
  if (!state.is_open())
    return evented::accept(account_opened{cmd.owner}).reply(summarize);
  if (state.owner != cmd.owner)
    return evented::reject(already_open{state.owner});
  return evented::accept().reply(summarize);
}

inline decision<no_account, bad_amount> handle(const deposit& cmd,
                                               const account& state) {
  if (!state.is_open())
    return evented::reject(no_account{});
  if (!is_amount(cmd.amount))
    return evented::reject(bad_amount{cmd.amount});
  return evented::accept(deposited{cmd.amount}).reply(summarize);
}

inline decision<no_account, bad_amount, insufficient_funds>
handle(const withdraw& cmd, const account& state) {
  if (!state.is_open())
    return evented::reject(no_account{});
  if (!is_amount(cmd.amount))
    return evented::reject(bad_amount{cmd.amount});
  if (cmd.amount > state.balance)
    return evented::reject(insufficient_funds{state.balance});
  return evented::accept(withdrawn{cmd.amount}).reply(summarize);
}

/// The other account gets its money from the outbox: stored with the event here,
/// and received exactly once there, also where this process dies in between.
inline decision<no_account, bad_amount, insufficient_funds>
handle(const transfer& cmd, const account& state,
       const evented::context<account>& ctx) {
  if (!state.is_open())
    return evented::reject(no_account{});
  if (!is_amount(cmd.amount))
    return evented::reject(bad_amount{cmd.amount});
  if (cmd.amount > state.balance)
    return evented::reject(insufficient_funds{state.balance});
  return evented::accept(transfer_sent{cmd.to, cmd.amount})
    .reply(summarize)
    .send_to<account>(cmd.to, receive{ctx.id, cmd.amount});
}

/// Rejects nothing: the money has left the other account already. That this one
/// is open was checked before, and accounts are never closed.
inline decision<> handle(const receive& cmd, const account&) {
  return evented::accept(transfer_received{cmd.from, cmd.amount})
    .reply(summarize);
}

inline summary answer(const get_account&, const account& state,
                      const evented::context<account>& ctx) {
  return {state.owner, state.balance, ctx.version};
}

// -- messages: what crosses CAF -----------------------------------------------

template <class Inspector>
auto inspect(Inspector& f, open_account& x) {
  return evented::inspect_object(f, x, "bank::open_account",
                                 evented::field("owner", x.owner));
}

template <class Inspector>
auto inspect(Inspector& f, deposit& x) {
  return evented::inspect_object(f, x, "bank::deposit",
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, withdraw& x) {
  return evented::inspect_object(f, x, "bank::withdraw",
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, transfer& x) {
  return evented::inspect_object(f, x, "bank::transfer",
                                 evented::field("to", x.to),
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, receive& x) {
  return evented::inspect_object(f, x, "bank::receive",
                                 evented::field("from", x.from),
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, get_account& x) {
  return evented::inspect_object(f, x, "bank::get_account");
}

template <class Inspector>
auto inspect(Inspector& f, summary& x) {
  return evented::inspect_object(
    f, x, "bank::summary", evented::field("owner", x.owner),
    evented::field("balance", x.balance), evented::field("version", x.version));
}

template <class Inspector>
auto inspect(Inspector& f, no_account& x) {
  return evented::inspect_object(f, x, "bank::no_account");
}

template <class Inspector>
auto inspect(Inspector& f, already_open& x) {
  return evented::inspect_object(f, x, "bank::already_open",
                                 evented::field("owner", x.owner));
}

template <class Inspector>
auto inspect(Inspector& f, bad_amount& x) {
  return evented::inspect_object(f, x, "bank::bad_amount",
                                 evented::field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, insufficient_funds& x) {
  return evented::inspect_object(f, x, "bank::insufficient_funds",
                                 evented::field("balance", x.balance));
}

} // namespace bank

CAF_BEGIN_TYPE_ID_BLOCK(bank, 200)

CAF_ADD_TYPE_ID(bank, (bank::open_account))
CAF_ADD_TYPE_ID(bank, (bank::deposit))
CAF_ADD_TYPE_ID(bank, (bank::withdraw))
CAF_ADD_TYPE_ID(bank, (bank::transfer))
CAF_ADD_TYPE_ID(bank, (bank::receive))
CAF_ADD_TYPE_ID(bank, (bank::get_account))
CAF_ADD_TYPE_ID(bank, (bank::summary))
CAF_ADD_TYPE_ID(bank, (bank::no_account))
CAF_ADD_TYPE_ID(bank, (bank::already_open))
CAF_ADD_TYPE_ID(bank, (bank::bad_amount))
CAF_ADD_TYPE_ID(bank, (bank::insufficient_funds))

CAF_END_TYPE_ID_BLOCK(bank)
