#pragma once

// The process manager: follows the events of transfers and sends the command that
// comes next. It keeps nothing in memory: where it dies, the subscription hands
// the same event to the next one, and the command's ID lets it take effect once.

#include "transfer.hpp"
#include "wallet.hpp"

#include <caf/event_based_actor.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace transfers {

class manager : public caf::event_based_actor {
public:
  manager(caf::actor_config& cfg, caf::actor wallets, caf::actor transfers)
    : caf::event_based_actor(cfg),
      wallets_(std::move(wallets)),
      transfers_(std::move(transfers)) {
    // nop
  }

  const char* name() const override { return "transfer_manager"; }

  caf::behavior make_behavior() override {
    return {[this](const evented::event_batch& batch) {
      // Acknowledged when the last copy of `all` is gone. Not where one step
      // has failed: then the batch comes again.
      auto all = std::make_shared<steps>(make_response_promise<evented::ack>(),
                                         evented::ack{batch.up_to});
      for (auto& x : batch.events)
        for (auto& e : evented::decode<transfer>(x))
          go_on(e.id, *e.as<reached>(), all);
      return all->answer;
    }};
  }

private:
  struct steps {
    using promise = caf::typed_response_promise<evented::ack>;

    steps(promise answer, evented::ack up_to)
      : answer(std::move(answer)), up_to(up_to) {
      // nop
    }

    ~steps() {
      if (!failed)
        answer.deliver(up_to);
    }

    promise answer;
    evented::ack up_to;
    bool failed = false;
  };

  using steps_ptr = std::shared_ptr<steps>;

  void go_on(const std::string& id, const reached& x, const steps_ptr& all) {
    if (x.stage == "started")
      ask(x.from, id, take{id, x.amount}, "taken", "failed", all);
    else if (x.stage == "taken")
      ask(x.to, id, give{id, x.amount}, "done", "refused", all);
    else if (x.stage == "refused")
      ask(x.from, id, give_back{id, x.amount}, "returned", "", all);
  }

  /// Sends a command to a wallet, and tells the transfer what has come of it.
  template <class Command>
  void ask(const std::string& wallet, const std::string& id, Command cmd,
           const char* accepted, const char* rejected, const steps_ptr& all) {
    // Under the ID of the step, it takes effect once.
    evented::command_id once{id + "-" + accepted};
    request(wallets_, std::chrono::seconds(10), wallet, std::move(cmd), once)
      .then(
        [this, id, accepted, all](const evented::accepted&) {
          tell(id, advance{accepted, {}}, all);
        },
        [this, id, rejected, all](const caf::error& err) {
          if (evented::rejection<insufficient>(err))
            tell(id, advance{rejected, "insufficient funds"}, all);
          else if (evented::rejection<frozen>(err))
            tell(id, advance{rejected, "frozen wallet"}, all);
          else
            all->failed = true;
        });
  }

  void tell(const std::string& id, advance cmd, const steps_ptr& all) {
    request(transfers_, std::chrono::seconds(10), id, std::move(cmd))
      .then([all](const evented::accepted&) {},
            [all](const caf::error&) { all->failed = true; });
  }

  caf::actor wallets_;
  caf::actor transfers_;
};

} // namespace transfers
