#pragma once

#include "chaos/application.hpp"

#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>

namespace evented::test {

/// How many commands all clients want answered in a second. They send less where
/// the machine cannot keep up.
inline constexpr unsigned per_second = 2000;

inline constexpr unsigned clients_per_account = 2;
inline constexpr unsigned number_of_accounts = 60;

/// How long a client waits between its commands.
inline constexpr std::chrono::milliseconds pace{
  1000 * clients_per_account * number_of_accounts / per_second};

/// What became of the commands of all clients.
struct tally {
  ledger book;
  std::atomic<bool> stop{false};
  std::atomic<int> running{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> repeated{0};
  /// The longest that a command took, with all its repetitions.
  std::atomic<std::int64_t> slowest_ms{0};
};

/// Sends deposits to an account, each with an ID and again until it is accepted.
/// Does not make up for the time in which it got no answer.
class client : public caf::event_based_actor {
public:
  client(caf::actor_config& cfg, caf::actor accounts, uuid id, std::string name,
         tally& with)
    : caf::event_based_actor(cfg),
      accounts_(std::move(accounts)),
      id_(id),
      name_(std::move(name)),
      tally_(with) {
    ++tally_.running;
  }

  caf::behavior make_behavior() override {
    next();
    return {
      [this](int) { send(); },
      [this](bool) { next(); },
    };
  }

  void on_exit() override {
    accounts_ = nullptr;
    --tally_.running;
  }

private:
  void next() {
    if (tally_.stop) {
      quit();
      return;
    }
    token_ = name_ + '.' + std::to_string(++sent_);
    began_ = std::chrono::steady_clock::now();
    due_ = std::max(due_ + pace, began_);
    send();
  }

  /// Sends the next one when it is time.
  void wait() {
    auto left = due_ - std::chrono::steady_clock::now();
    if (left.count() > 0)
      delayed_send(this,
                   std::chrono::duration_cast<std::chrono::milliseconds>(left),
                   true);
    else
      next();
  }

  void send() {
    request(accounts_, patience, id_, deposit{token_, 1}, command_id{token_})
      .then(
        [this](const accepted& a) {
          auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - began_);
          auto slowest = tally_.slowest_ms.load();
          while (took.count() > slowest
                 && !tally_.slowest_ms.compare_exchange_weak(slowest,
                                                             took.count())) {
          }
          ++tally_.accepted;
          tally_.book.add({token_, id_, errc::none, a, {}});
          wait();
        },
        [this](const caf::error& err) {
          switch (code_of(err)) {
          case errc::outcome_unknown:
          case errc::unreachable:
          case errc::unavailable:
          case errc::overloaded:
          case errc::conflict:
            ++tally_.repeated;
            delayed_send(this, std::chrono::milliseconds{20}, 1);
            break;
          default:
            tally_.book.add(
              refused(token_, id_, err, evented::render(system(), err)));
            quit();
          }
        });
  }

  caf::actor accounts_;
  uuid id_;
  std::string name_;
  tally& tally_;
  std::string token_;
  std::chrono::steady_clock::time_point began_;
  /// When the next command is to be sent.
  std::chrono::steady_clock::time_point due_;
  unsigned sent_ = 0;
};

} // namespace evented::test
