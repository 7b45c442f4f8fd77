#pragma once

// The entity of the chaos tests: an account whose events each carry the token
// of the command that they come from, so that a journal can be compared with
// what the commands' senders were told.

#include <evented/actors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace evented::test {

// -- commands, rejections and replies -----------------------------------------

struct deposit {
  std::string token;
  std::int64_t amount = 0;
};

struct withdraw {
  std::string token;
  std::int64_t amount = 0;
};

/// Asks for a statement; stores nothing.
struct look {};

struct insufficient {
  std::int64_t balance = 0;
};

/// The whole state of an account. Two accounts that have seen the same events
/// in the same order have the same one, others have not.
struct statement {
  std::uint64_t events = 0;
  std::int64_t balance = 0;
  std::uint64_t digest = 0;

  friend bool operator==(const statement&, const statement&) = default;
};

inline std::string to_string(const statement& x) {
  return std::to_string(x.events) + " events, balance "
         + std::to_string(x.balance) + ", digest " + std::to_string(x.digest);
}

template <class Inspector>
auto inspect(Inspector& f, deposit& x) {
  return inspect_object(f, x, "deposit", field("token", x.token),
                        field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, withdraw& x) {
  return inspect_object(f, x, "withdraw", field("token", x.token),
                        field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, look& x) {
  return inspect_object(f, x, "look");
}

template <class Inspector>
auto inspect(Inspector& f, insufficient& x) {
  return inspect_object(f, x, "insufficient", field("balance", x.balance));
}

template <class Inspector>
auto inspect(Inspector& f, statement& x) {
  return inspect_object(f, x, "statement", field("events", x.events),
                        field("balance", x.balance), field("digest", x.digest));
}

// -- events -------------------------------------------------------------------

struct deposited {
  std::string token;
  std::int64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(token), CEREAL_NVP(amount));
  }
};

struct withdrawn {
  std::string token;
  std::int64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(token), CEREAL_NVP(amount));
  }
};

// -- entity -------------------------------------------------------------------

struct account {
  static constexpr std::string_view type_name = "account";

  using id_type = uuid;
  using commands = evented::commands<deposit, withdraw, look>;
  using events = evented::events<deposited, withdrawn>;

  statement state;

  void apply(const deposited& e) { count(e.token, e.amount); }
  void apply(const withdrawn& e) { count(e.token, -e.amount); }

  void count(std::string_view token, std::int64_t amount) {
    ++state.events;
    state.balance += amount;
    // FNV-1a over all tokens in their order.
    auto mix = [this](unsigned char c) {
      state.digest = (state.digest ^ c) * 1099511628211u;
    };
    for (auto c : token)
      mix(static_cast<unsigned char>(c));
    mix('\n');
  }

  /// For snapshots.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::make_nvp("balance", state.balance),
            cereal::make_nvp("events", state.events),
            cereal::make_nvp("digest", state.digest));
  }
};

inline decision<account> handle(const deposit& cmd, const account&) {
  return accept(deposited{cmd.token, cmd.amount});
}

inline decision<account, insufficient> handle(const withdraw& cmd,
                                              const account& x) {
  if (cmd.amount > x.state.balance)
    return reject(insufficient{x.state.balance});
  return accept(withdrawn{cmd.token, cmd.amount});
}

inline decision<account, replies<statement>> handle(const look&,
                                                    const account&) {
  return accept().reply([](const account& x) { return x.state; });
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(accounts, 300)

CAF_ADD_TYPE_ID(accounts, (evented::test::deposit))
CAF_ADD_TYPE_ID(accounts, (evented::test::withdraw))
CAF_ADD_TYPE_ID(accounts, (evented::test::look))
CAF_ADD_TYPE_ID(accounts, (evented::test::insufficient))
CAF_ADD_TYPE_ID(accounts, (evented::test::statement))

CAF_END_TYPE_ID_BLOCK(accounts)
