#pragma once

#include "support/bank_account.hpp"
#include "support/tickets.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <variant>
#include <vector>

namespace evented::test {

/// The answer to a command: what was accepted, perhaps with a reply, or why it
/// was not.
struct outcome {
  bool ok = false;
  accepted where;
  std::uint64_t reply = 0;
  caf::error err;

  [[nodiscard]] errc code() const { return code_of(err); }
  [[nodiscard]] std::string text() const { return text_of(err); }
};

/// Renders an outcome, for comparing many at once.
inline std::string render(const outcome& x) {
  if (x.ok)
    return "accepted@" + std::to_string(x.where.version);
  if (auto why = rejection<insufficient>(x.err))
    return "insufficient:" + std::to_string(why->balance);
  if (auto why = rejection<refused>(x.err))
    return "refused:" + why->why;
  return std::string{to_string(x.code())};
}

/// An actor system with the accounts' types.
class bank {
public:
  bank() : sys_(cfg_), self_(sys_) {
    // nop
  }

  caf::actor_system& sys() noexcept { return sys_; }
  caf::scoped_actor& self() noexcept { return self_; }

  /// Sends one command and waits for its answer.
  template <class Id, class Command>
  outcome ask(const caf::actor& region, const Id& id, Command cmd) {
    return receive(
      self_->request(region, std::chrono::seconds{30}, id, std::move(cmd)));
  }

  /// Sends all commands before it waits for the first answer.
  template <class Id, class Command>
  std::vector<outcome> ask_all(const caf::actor& region, const Id& id,
                               const std::vector<Command>& cmds) {
    using handle
      = decltype(self_->request(region, std::chrono::seconds{30}, id, cmds[0]));
    std::vector<handle> pending;
    for (auto& x : cmds)
      pending.push_back(
        self_->request(region, std::chrono::seconds{30}, id, x));
    std::vector<outcome> result;
    for (auto& x : pending)
      result.push_back(receive(std::move(x)));
    return result;
  }

  /// Returns the balance of an account.
  std::uint64_t balance(const caf::actor& region, const uuid& id) {
    std::uint64_t result = 0;
    self_->request(region, std::chrono::seconds{30}, id, get_balance{})
      .receive([&](const accepted&, std::uint64_t x) { result = x; },
               [&](const caf::error& err) {
                 throw std::runtime_error(evented::render(sys_, err));
               });
    return result;
  }

private:
  template <class Handle>
  static outcome receive(Handle handle) {
    outcome result;
    handle.receive(
      [&](const accepted& a) {
        result.ok = true;
        result.where = a;
      },
      [&](caf::error& err) { result.err = std::move(err); });
    return result;
  }

  config<caf::id_block::bank, caf::id_block::tickets> cfg_;
  caf::actor_system sys_;
  caf::scoped_actor self_;
};

/// Renders the history of an account, one word an event, for comparing whole
/// stories: `1@deposited 2@money-withdrawn`.
inline std::string history(const journal& where, const entity_id& id) {
  std::string result;
  std::uint64_t after = 0;
  auto session = where.store()->connect();
  for (auto more = true; more;) {
    std::vector<load_request> request{{"account", id, after}};
    auto found = session->load(request, 1000);
    for (auto& x : found[0].events) {
      after = x.version;
      result += (result.empty() ? "" : " ") + std::to_string(x.version) + "@"
                + x.name;
    }
    more = found[0].more;
  }
  return result;
}

} // namespace evented::test
