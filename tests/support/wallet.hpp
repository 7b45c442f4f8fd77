#pragma once

// An entity for what happens over years: it has queries, snapshots and replies.

#include "support/server.hpp"
#include "support/wait.hpp"

#include <evented/actors.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace evented::test {

/// Adds to the total.
struct put {
  std::uint64_t amount = 0;
};

/// Takes from the total and answers with what is left, or is rejected with
/// `short_of`.
struct take {
  std::uint64_t amount = 0;
};

/// Stores nothing; the handler throws.
struct trip {
  std::uint64_t dummy = 0;
};

/// A query: what is in it, as far as this process knows.
struct get_total {
  std::uint64_t dummy = 0;
};

/// The same, as the journal has it.
struct get_true_total {
  static constexpr auto confirm = evented::confirm::journal;
  std::uint64_t dummy = 0;
};

struct short_of {
  std::uint64_t has = 0;
};

template <class Inspector>
auto inspect(Inspector& f, put& x) {
  return inspect_object(f, x, "put", field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, take& x) {
  return inspect_object(f, x, "take", field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, trip& x) {
  return inspect_object(f, x, "trip", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, get_total& x) {
  return inspect_object(f, x, "get_total", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, get_true_total& x) {
  return inspect_object(f, x, "get_true_total", field("dummy", x.dummy));
}

template <class Inspector>
auto inspect(Inspector& f, short_of& x) {
  return inspect_object(f, x, "short_of", field("has", x.has));
}

struct was_put {
  std::uint64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

struct was_taken {
  std::uint64_t amount = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(amount));
  }
};

/// @param Shape the version of the shape of its snapshots
template <std::int32_t Shape>
struct basic_wallet {
  static constexpr std::string_view type_name = "wallet";
  static constexpr std::int32_t state_version = Shape;

  using id_type = std::int64_t;
  using commands = evented::commands<put, take, trip>;
  using queries = evented::queries<get_total, get_true_total>;
  using events = evented::events<was_put, was_taken>;

  std::uint64_t total = 0;
  /// How many events this process has applied, which is not part of a snapshot.
  std::uint64_t applied = 0;

  void apply(const was_put& e) {
    total += e.amount;
    ++applied;
    ++all_applied;
  }

  void apply(const was_taken& e) {
    total -= e.amount;
    ++applied;
    ++all_applied;
  }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(total));
  }

  [[nodiscard]] std::size_t memory_bytes() const {
    return total >= 1'000'000 ? total : sizeof(*this);
  }

  /// How many events were applied to any wallet.
  static inline std::atomic<std::uint64_t> all_applied{0};
};

using wallet = basic_wallet<1>;

template <std::int32_t Shape>
decision<basic_wallet<Shape>> handle(const put& cmd,
                                     const basic_wallet<Shape>&) {
  return accept(was_put{cmd.amount});
}

template <std::int32_t Shape>
decision<basic_wallet<Shape>, replies<std::uint64_t>, short_of>
handle(const take& cmd, const basic_wallet<Shape>& state) {
  if (cmd.amount > state.total)
    return reject(short_of{state.total});
  return accept(was_taken{cmd.amount}).reply([](const basic_wallet<Shape>& x) {
    return x.total;
  });
}

template <std::int32_t Shape>
decision<basic_wallet<Shape>> handle(const trip&, const basic_wallet<Shape>&) {
  throw std::runtime_error("tripped");
}

template <std::int32_t Shape>
std::uint64_t answer(const get_total&, const basic_wallet<Shape>& state) {
  return state.total;
}

template <std::int32_t Shape>
std::uint64_t answer(const get_true_total&, const basic_wallet<Shape>& state,
                     const context<basic_wallet<Shape>>&) {
  return state.total;
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(wallets, 240)

CAF_ADD_TYPE_ID(wallets, (evented::test::put))
CAF_ADD_TYPE_ID(wallets, (evented::test::take))
CAF_ADD_TYPE_ID(wallets, (evented::test::trip))
CAF_ADD_TYPE_ID(wallets, (evented::test::get_total))
CAF_ADD_TYPE_ID(wallets, (evented::test::get_true_total))
CAF_ADD_TYPE_ID(wallets, (evented::test::short_of))

CAF_END_TYPE_ID_BLOCK(wallets)

namespace evented::test {

/// A process with wallets.
/// @param Blocks what it sends besides
template <class... Blocks>
class basic_wallet_process {
public:
  explicit basic_wallet_process(const journal_options& options)
    : sys_(cfg_), self_(sys_), journal_(sys_, open_store(options)) {
    // nop
  }

  explicit basic_wallet_process(const std::shared_ptr<store>& opened)
    : sys_(cfg_), self_(sys_), journal_(sys_, opened) {
    // nop
  }

  template <class E = wallet>
  caf::actor spawn(const entity_options<E>& options = {}) {
    return spawn_entities<E>(sys_, journal_, options);
  }

  /// Sends a command with whatever is to follow it, and renders the answer:
  /// `ok@3`, `ok@3=7` with a reply, `short_of:2` or the name of the error.
  template <class... Ts>
  std::string ask(const caf::actor& region, std::int64_t id, Ts... xs) {
    return receive(send(region, id, std::move(xs)...));
  }

  /// Sends without waiting for the answer.
  template <class... Ts>
  auto send(const caf::actor& region, std::int64_t id, Ts... xs) {
    return self_->request(region, std::chrono::seconds{30}, id,
                          std::move(xs)...);
  }

  /// Waits for the answer to a command.
  template <class Handle>
  std::string receive(Handle handle) {
    std::string result;
    handle.receive(
      [&](const accepted& a) {
        result = "ok@" + std::to_string(a.version);
        last_ = a;
      },
      [&](const caf::error& err) { result = name(err); });
    return result;
  }

  /// Sends a command that has a reply.
  template <class... Ts>
  std::string ask_back(const caf::actor& region, std::int64_t id, Ts... xs) {
    std::string result;
    self_->request(region, std::chrono::seconds{30}, id, std::move(xs)...)
      .receive(
        [&](const accepted& a, std::uint64_t reply) {
          result
            = "ok@" + std::to_string(a.version) + "=" + std::to_string(reply);
          last_ = a;
        },
        [&](const caf::error& err) { result = name(err); });
    return result;
  }

  template <class Query = get_total>
  std::string query(const caf::actor& region, std::int64_t id) {
    std::string result;
    self_->request(region, std::chrono::seconds{30}, id, Query{})
      .receive([&](std::uint64_t x) { result = std::to_string(x); },
               [&](const caf::error& err) { result = name(err); });
    return result;
  }

  /// Returns the answer to the last command that was accepted.
  [[nodiscard]] const accepted& last() const noexcept { return last_; }

  /// Returns the last error.
  [[nodiscard]] const caf::error& error() const noexcept { return error_; }

  [[nodiscard]] const evented::journal& journal() const noexcept {
    return journal_;
  }

  caf::actor_system& sys() noexcept { return sys_; }
  caf::scoped_actor& self() noexcept { return self_; }

  region_state state(const caf::actor& region) {
    region_state result;
    self_->request(region, std::chrono::seconds{30}, control::get_state{})
      .receive([&](const region_state& x) { result = x; },
               [&](const caf::error& err) { name(err); });
    return result;
  }

  /// Returns how many entities of a region take any memory.
  std::size_t actors(const caf::actor& region) {
    auto x = state(region);
    return x.loading + x.awake + x.falling_asleep;
  }

private:
  std::string name(const caf::error& err) {
    error_ = err;
    if (auto why = rejection<short_of>(err))
      return "short_of:" + std::to_string(why->has);
    if (auto code = code_of(err); code != errc::none)
      return std::string{to_string(code)};
    return render(sys_, err);
  }

  config<caf::id_block::wallets, Blocks...> cfg_;
  caf::actor_system sys_;
  caf::scoped_actor self_;
  evented::journal journal_;
  accepted last_;
  caf::error error_;
};

using wallet_process = basic_wallet_process<>;

} // namespace evented::test
