#pragma once

#include "support/accounts.hpp"
#include "support/journal_view.hpp"
#include "support/ledger.hpp"
#include "support/wait.hpp"

#include <evented/dev/postgres.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace evented::test {

/// Bounds every request of a test: an entity that never answers becomes a
/// failure instead of a hang.
inline constexpr std::chrono::seconds patience{60};

/// Returns how long the load of a test lasts: `usual`, or what the environment
/// variable EVENTED_CHAOS_SECONDS says.
inline std::chrono::milliseconds load_time(std::chrono::milliseconds usual) {
  if (auto* text = std::getenv("EVENTED_CHAOS_SECONDS"))
    return std::chrono::seconds{std::max(1, std::atoi(text))};
  return usual;
}

/// Lets a load do its work for a while.
inline void pass_time(std::chrono::milliseconds time) {
  (void)wait_until([] { return false; }, time);
}

/// An application with accounts. Member functions are called by one thread.
class application {
public:
  explicit application(const journal_options& where,
                       const entity_options<account>& how = {})
    : sys_(cfg_),
      journal_(sys_, where),
      accounts_(spawn_entities<account>(sys_, journal_, how)) {
    // nop
  }

  caf::actor_system& system() { return sys_; }

  const caf::actor& accounts() const { return accounts_; }

  /// Drops the handle of the region.
  void drop_accounts() { accounts_ = nullptr; }

  /// Sends one command, with what is to follow it, and waits for the answer.
  template <class Command, class... Ts>
  answer ask(const uuid& id, const Command& cmd, const Ts&... xs) {
    caf::scoped_actor self{sys_};
    answer result;
    self->request(accounts_, patience, id, cmd, xs...)
      .receive(
        [&](const accepted& a) {
          result = {cmd.token, id, errc::none, a, {}};
        },
        [&](const caf::error& err) {
          result = refused(cmd.token, id, err, evented::render(sys_, err));
        });
    return result;
  }

  /// Asks an account for its state. Returns what went wrong as its token.
  struct seen {
    statement state;
    accepted at;
    std::string error;
  };

  seen see(const uuid& id) {
    caf::scoped_actor self{sys_};
    seen result;
    self->request(accounts_, patience, id, look{})
      .receive(
        [&](const accepted& a, const statement& x) {
          result.state = x;
          result.at = a;
        },
        [&](const caf::error& err) {
          result.error = evented::render(sys_, err);
        });
    return result;
  }

private:
  config<caf::id_block::accounts> cfg_;
  caf::actor_system sys_;
  evented::journal journal_;
  caf::actor accounts_;
};

/// Sends deposits to one account, each as soon as the last one is answered,
/// until it is told to stop.
class sender : public caf::event_based_actor {
public:
  struct shared {
    ledger& book;
    std::atomic<bool> stop{false};
    std::atomic<int> running{0};
  };

  sender(caf::actor_config& cfg, caf::actor accounts, uuid id,
         std::string prefix, shared& with)
    : caf::event_based_actor(cfg),
      accounts_(std::move(accounts)),
      id_(id),
      prefix_(std::move(prefix)),
      shared_(with) {
    ++shared_.running;
  }

  const char* name() const override { return "test.sender"; }

  caf::behavior make_behavior() override {
    next();
    // Needs a handler to live on.
    return {[](int) {}};
  }

  void on_exit() override {
    accounts_ = nullptr;
    --shared_.running;
  }

private:
  void next() {
    if (shared_.stop) {
      quit();
      return;
    }
    auto token = prefix_ + '.' + std::to_string(++sent_);
    // Every third command takes out what an earlier one may have put in.
    if (sent_ % 3 == 0)
      send_one(withdraw{token, 1});
    else
      send_one(deposit{token, 1});
  }

  template <class Command>
  void send_one(Command cmd) {
    auto token = cmd.token;
    request(accounts_, patience, id_, std::move(cmd))
      .then(
        [this, token](const accepted& a) {
          shared_.book.add({token, id_, errc::none, a, {}});
          next();
        },
        [this, token](const caf::error& err) {
          shared_.book.add(
            refused(token, id_, err, evented::render(system(), err)));
          next();
        });
  }

  caf::actor accounts_;
  uuid id_;
  std::string prefix_;
  shared& shared_;
  unsigned sent_ = 0;
};

/// Many senders at work. Stops them when destroyed.
class load {
public:
  load(application& app, const std::vector<uuid>& ids, int senders_each,
       const std::string& prefix, ledger& book)
    : shared_{book} {
    for (auto& id : ids)
      for (int i = 0; i < senders_each; ++i)
        app.system().spawn<sender>(app.accounts(), id,
                                   prefix + '.' + std::to_string(++senders_),
                                   std::ref(shared_));
  }

  ~load() { (void)stop(); }

  /// Tells the senders to stop and waits until each has got its last answer.
  /// Returns whether they have.
  [[nodiscard]] bool stop() {
    shared_.stop = true;
    return wait_until([this] { return shared_.running == 0; },
                      patience + std::chrono::seconds{10});
  }

private:
  sender::shared shared_;
  int senders_ = 0;
};

// -- servers ------------------------------------------------------------------

/// A private PostgreSQL that all tests of this program share which leave it
/// running.
dev::postgres& common_server();

/// Returns a schema name that no other test uses.
std::string unique_schema();

inline dev::postgres_options fast_server() {
  dev::postgres_options result;
  result.fsync = false;
  return result;
}

} // namespace evented::test
