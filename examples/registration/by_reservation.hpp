#pragma once

// Unique by an entity: each address is one, and there is only one of an ID. A guest
// reserves the address, enters, and by that confirms the reservation.
//
// Needs no table, works across databases, and a busy address hinders no other. But
// it takes two commands, and a reservation that nobody confirms keeps the address
// until it lapses. A guest must enter before that, so it lasts far longer than any
// command may take.

#include "by_listener.hpp"

#include <evented/actors.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace registration {

// -- the address --------------------------------------------------------------

struct reserve {
  std::string guest;
};

struct confirm {
  std::string guest;
};

/// The timer of a reservation.
struct lapse {
  std::string guest;
};

struct reserved {
  std::string guest;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(guest));
  }
};

struct confirmed {
  template <class Archive>
  void serialize(Archive&) {
    // nop
  }
};

struct lapsed {
  template <class Archive>
  void serialize(Archive&) {
    // nop
  }
};

struct address {
  static constexpr std::string_view type_name = "address";

  using id_type = std::string;
  using commands = evented::commands<reserve, confirm, lapse>;
  using events = evented::events<reserved, confirmed, lapsed>;
  using messages = evented::messages<lapse>;

  /// Empty: nobody's.
  std::string guest;
  bool is_confirmed = false;

  void apply(const reserved& e) { guest = e.guest; }
  void apply(const confirmed&) { is_confirmed = true; }
  void apply(const lapsed&) { guest.clear(); }
};

inline evented::decision<address, taken>
handle(const reserve& cmd, const address& state,
       const evented::context<address>& ctx) {
  if (state.guest == cmd.guest)
    return evented::accept();
  if (!state.guest.empty())
    return evented::reject(taken{ctx.id});
  return evented::accept(reserved{cmd.guest})
    .after("lapse", std::chrono::minutes(10), lapse{cmd.guest});
}

inline evented::decision<address, taken>
handle(const confirm& cmd, const address& state,
       const evented::context<address>& ctx) {
  if (state.guest != cmd.guest)
    return evented::reject(taken{ctx.id});
  if (state.is_confirmed)
    return evented::accept();
  return evented::accept(confirmed{}).cancel("lapse");
}

inline evented::decision<address> handle(const lapse& cmd,
                                         const address& state) {
  if (state.guest != cmd.guest || state.is_confirmed)
    return evented::accept();
  return evented::accept(lapsed{});
}

// -- the guest ----------------------------------------------------------------

struct enter {
  std::string email;
};

struct guest {
  static constexpr std::string_view type_name = "guest";

  using id_type = std::string;
  using commands = evented::commands<enter>;
  using events = evented::events<joined>;
  using messages = evented::messages<confirm>;

  std::string email;

  void apply(const joined& e) { email = e.email; }
};

/// The confirmation is stored with the event, so none gets lost.
inline evented::decision<guest> handle(const enter& cmd, const guest& state,
                                       const evented::context<guest>& ctx) {
  if (state.email == cmd.email)
    return evented::accept();
  return evented::accept(joined{cmd.email})
    .send_to<address>(cmd.email, confirm{ctx.id});
}

template <class Inspector>
auto inspect(Inspector& f, reserve& x) {
  return evented::inspect_object(f, x, "registration::reserve",
                                 evented::field("guest", x.guest));
}

template <class Inspector>
auto inspect(Inspector& f, confirm& x) {
  return evented::inspect_object(f, x, "registration::confirm",
                                 evented::field("guest", x.guest));
}

template <class Inspector>
auto inspect(Inspector& f, lapse& x) {
  return evented::inspect_object(f, x, "registration::lapse",
                                 evented::field("guest", x.guest));
}

template <class Inspector>
auto inspect(Inspector& f, enter& x) {
  return evented::inspect_object(f, x, "registration::enter",
                                 evented::field("email", x.email));
}

} // namespace registration
