#pragma once

// An entity that asks another actor before it decides.

#include "support/wallet.hpp"

#include <caf/event_based_actor.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace evented::test {

// -- messages -----------------------------------------------------------------

/// Asks "rates" what it costs and books that; at most 1000 in all.
struct sell {
  std::uint64_t item = 0;
};

/// The same, with little patience.
struct sell_quickly {
  std::uint64_t item = 0;
};

/// Asks only where `really` is set, and then somebody who does not exist.
struct sell_oddly {
  bool really = false;
};

/// Asks, and throws after the answer.
struct sell_badly {
  std::uint64_t dummy = 0;
};

/// Books without asking.
struct book {
  std::uint64_t amount = 0;
};

struct get_rate {
  std::uint64_t item = 0;
};

template <class Inspector>
auto inspect(Inspector& f, sell& x) {
  return inspect_object(f, x, "sell", field("item", x.item));
}

template <class Inspector>
auto inspect(Inspector& f, sell_quickly& x) {
  return inspect_object(f, x, "sell_quickly", field("item", x.item));
}

template <class Inspector>
auto inspect(Inspector& f, sell_oddly& x) {
  return inspect_object(f, x, "sell_oddly", field("really", x.really));
}

template <class Inspector>
auto inspect(Inspector& f, sell_badly& x) {
  return inspect_object(f, x, "sell_badly", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, book& x) {
  return inspect_object(f, x, "book", field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, get_rate& x) {
  return inspect_object(f, x, "get_rate", field("item", x.item));
}

// -- entity -------------------------------------------------------------------

struct booked {
  std::uint64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

struct till {
  static constexpr std::string_view type_name = "till";

  using id_type = std::int64_t;
  using commands
    = evented::commands<sell, sell_quickly, sell_oddly, sell_badly, book>;
  using queries = evented::queries<get_total>;
  using events = evented::events<booked>;

  std::uint64_t total = 0;

  void apply(const booked& e) { total += e.amount; }

  /// How often a decision was made after an answer.
  static inline std::atomic<int> decided{0};
};

inline later<till, replies<std::uint64_t>, short_of> handle(const sell& cmd,
                                                            const till&) {
  using result = decision<till, replies<std::uint64_t>, short_of>;
  return ask("rates", std::chrono::seconds{20}, get_rate{cmd.item})
    .then([](const till& state, std::uint64_t rate) -> result {
      ++till::decided;
      if (state.total + rate > 1000)
        return reject(short_of{state.total});
      return accept(booked{rate}).reply([](const till& x) { return x.total; });
    });
}

inline later<till> handle(const sell_quickly& cmd, const till&,
                          const context<till>&) {
  return ask("rates", std::chrono::milliseconds{50}, get_rate{cmd.item})
    .then([](const till&, std::uint64_t rate,
             const context<till>& ctx) -> decision<till> {
      // Books the version, to show that it is known.
      return accept(booked{rate + ctx.version});
    });
}

inline later<till> handle(const sell_oddly& cmd, const till&) {
  if (!cmd.really)
    return accept(booked{7});
  return ask("nobody", std::chrono::seconds{20}, get_rate{})
    .then(
      [](const till&, std::uint64_t) -> decision<till> { return accept(); });
}

inline later<till> handle(const sell_badly&, const till&) {
  return ask("rates", std::chrono::seconds{20}, get_rate{})
    .then([](const till&, std::uint64_t) -> decision<till> {
      throw std::runtime_error("slipped");
    });
}

inline decision<till> handle(const book& cmd, const till&) {
  return accept(booked{cmd.amount});
}

inline std::uint64_t answer(const get_total&, const till& state) {
  return state.total;
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(tills, 320)

CAF_ADD_TYPE_ID(tills, (evented::test::sell))
CAF_ADD_TYPE_ID(tills, (evented::test::sell_quickly))
CAF_ADD_TYPE_ID(tills, (evented::test::sell_oddly))
CAF_ADD_TYPE_ID(tills, (evented::test::sell_badly))
CAF_ADD_TYPE_ID(tills, (evented::test::book))
CAF_ADD_TYPE_ID(tills, (evented::test::get_rate))

CAF_END_TYPE_ID_BLOCK(tills)

namespace evented::test {

using till_process = basic_wallet_process<caf::id_block::tills>;

/// What a clerk was asked so far.
struct clerk_state {
  std::atomic<std::size_t> asked{0};
};

/// An actor that is asked for rates and thinks until it is told the answer: a
/// number, or a text for an error. It has to be ended.
inline caf::actor spawn_clerk(caf::actor_system& sys,
                              std::shared_ptr<clerk_state> state) {
  auto behave
    = [](caf::event_based_actor* self, std::shared_ptr<clerk_state> to) {
        auto open = std::make_shared<std::deque<caf::response_promise>>();
        auto tell = [open](auto value) {
          open->front().deliver(std::move(value));
          open->pop_front();
        };
        return caf::behavior{
          [self, open, to](const get_rate&) {
            open->push_back(self->make_response_promise());
            ++to->asked;
          },
          [tell](std::uint64_t rate) { tell(rate); },
          [tell](const std::string& why) {
            tell(evented::make_error(errc::not_now, why));
          },
        };
      };
  return sys.spawn(behave, std::move(state));
}

} // namespace evented::test
