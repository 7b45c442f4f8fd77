#pragma once

// The entity that the tests of actors talk to: an account with everything that
// a command can do.

#include <evented/actors.hpp>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace evented::test {

// -- commands -----------------------------------------------------------------

/// Adds to the balance.
struct deposit {
  std::uint64_t amount = 0;
};

/// Takes from the balance, or is rejected with `insufficient`.
struct withdraw {
  std::uint64_t amount = 0;
};

/// Adds several amounts with one event each, all or none.
struct deposit_all {
  std::vector<std::uint64_t> amounts;
};

/// Answers with the balance and stores nothing.
struct get_balance {
  std::uint64_t dummy = 0;
};

/// Stores a note with this text, so that bad input can be had.
struct write_note {
  std::string text;
};

/// Stores a number that JSON does not have.
struct write_nan {
  std::uint64_t dummy = 0;
};

/// Makes the handler throw.
struct explode {
  std::string why;
};

/// Stores an event on which `apply` throws.
struct poison {
  std::uint64_t dummy = 0;
};

/// A message that is no command of the account.
struct stranger {
  std::uint64_t dummy = 0;
};

// -- rejections ---------------------------------------------------------------

/// Not enough money.
struct insufficient {
  std::uint64_t balance = 0;
};

/// What a listener vetoes with.
struct refused {
  std::string why;
};

template <class Inspector>
auto inspect(Inspector& f, deposit& x) {
  return inspect_object(f, x, "deposit", field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, withdraw& x) {
  return inspect_object(f, x, "withdraw", field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, deposit_all& x) {
  return inspect_object(f, x, "deposit_all", field("amounts", x.amounts));
}

template <class Inspector>
auto inspect(Inspector& f, get_balance& x) {
  return inspect_object(f, x, "get_balance", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, write_note& x) {
  return inspect_object(f, x, "write_note", field("text", x.text));
}

template <class Inspector>
auto inspect(Inspector& f, write_nan& x) {
  return inspect_object(f, x, "write_nan", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, explode& x) {
  return inspect_object(f, x, "explode", field("why", x.why));
}

template <class Inspector>
auto inspect(Inspector& f, poison& x) {
  return inspect_object(f, x, "poison", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, stranger& x) {
  return inspect_object(f, x, "stranger", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, insufficient& x) {
  return inspect_object(f, x, "insufficient", field("balance", x.balance));
}

template <class Inspector>
auto inspect(Inspector& f, refused& x) {
  return inspect_object(f, x, "refused", field("why", x.why));
}

// -- events -------------------------------------------------------------------

struct deposited {
  std::uint64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

struct withdrawn {
  static constexpr std::string_view event_name = "money-withdrawn";
  static constexpr std::int32_t schema_version = 3;

  std::uint64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

struct noted {
  std::string text;
  double number = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(text), CEREAL_NVP(number));
  }
};

struct poisoned {};

struct origin {
  std::string who;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(who));
  }
};

// -- entity -------------------------------------------------------------------

template <class Id>
struct basic_account {
  static constexpr std::string_view type_name = "account";

  using id_type = Id;
  using commands
    = evented::commands<deposit, withdraw, deposit_all, get_balance, write_note,
                        write_nan, explode, poison>;
  using events = evented::events<deposited, withdrawn, noted, poisoned>;
  using metadata = origin;

  std::uint64_t balance = 0;
  std::uint64_t notes = 0;

  void apply(const deposited& e) { balance += e.amount; }
  void apply(const withdrawn& e) { balance -= e.amount; }
  void apply(const noted&) { ++notes; }
  void apply(const poisoned&) { throw std::runtime_error("poison"); }
};

using account = basic_account<uuid>;

/// The balance that the last effect of a deposit has seen.
inline std::atomic<std::uint64_t> seen_by_effect{0};

template <class Id>
using plain_decision = decision<basic_account<Id>>;

template <class Id>
plain_decision<Id> handle(const deposit& cmd, const basic_account<Id>&) {
  return accept(deposited{cmd.amount})
    .with_metadata(origin{"test"})
    .then([](const basic_account<Id>& x) { seen_by_effect = x.balance; });
}

template <class Id>
decision<basic_account<Id>, insufficient>
handle(const withdraw& cmd, const basic_account<Id>& state) {
  if (cmd.amount > state.balance)
    return reject(insufficient{state.balance});
  return accept(withdrawn{cmd.amount});
}

template <class Id>
plain_decision<Id> handle(const deposit_all& cmd, const basic_account<Id>&) {
  std::vector<typename basic_account<Id>::events::variant> events;
  for (auto amount : cmd.amounts)
    events.push_back(deposited{amount});
  return accept(std::move(events));
}

template <class Id>
decision<basic_account<Id>, replies<std::uint64_t>>
handle(const get_balance&, const basic_account<Id>&) {
  return accept().reply([](const basic_account<Id>& x) { return x.balance; });
}

template <class Id>
plain_decision<Id> handle(const write_note& cmd, const basic_account<Id>&) {
  return accept(noted{cmd.text, 0});
}

template <class Id>
plain_decision<Id> handle(const write_nan&, const basic_account<Id>&) {
  return accept(deposited{1}, noted{"", std::nan("")});
}

template <class Id>
plain_decision<Id> handle(const explode& cmd, const basic_account<Id>&) {
  throw std::runtime_error(cmd.why);
}

template <class Id>
plain_decision<Id> handle(const poison&, const basic_account<Id>&) {
  return accept(deposited{1000}, poisoned{});
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(bank, 200)

CAF_ADD_TYPE_ID(bank, (evented::test::deposit))
CAF_ADD_TYPE_ID(bank, (evented::test::withdraw))
CAF_ADD_TYPE_ID(bank, (evented::test::deposit_all))
CAF_ADD_TYPE_ID(bank, (evented::test::get_balance))
CAF_ADD_TYPE_ID(bank, (evented::test::write_note))
CAF_ADD_TYPE_ID(bank, (evented::test::write_nan))
CAF_ADD_TYPE_ID(bank, (evented::test::explode))
CAF_ADD_TYPE_ID(bank, (evented::test::poison))
CAF_ADD_TYPE_ID(bank, (evented::test::stranger))
CAF_ADD_TYPE_ID(bank, (evented::test::insufficient))
CAF_ADD_TYPE_ID(bank, (evented::test::refused))

CAF_END_TYPE_ID_BLOCK(bank)
