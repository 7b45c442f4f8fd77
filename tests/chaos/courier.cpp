// Processes that deliver what waits in the outbox: parcels that pay into wallets
// and ring in time, and parcels whose timers are moved and called off.

#include "chaos/worker.hpp"
#include "support/parcels.hpp"

#include <cstdio>

namespace evented::test {

namespace {

/// A process with parcels: URL SCHEMA WHICH COUNT.
class courier {
public:
  explicit courier(const std::vector<std::string>& args)
    : which(std::stoll(args.at(3))), here_(options(args)) {
    entity_options<parcel> how;
    // What a dead process was delivering is free after twice this.
    how.delivery.timeout = std::chrono::milliseconds{500};
    how.delivery.first_pause = std::chrono::milliseconds{10};
    parcels_ = here_.spawn<parcel>(how.target<wallet>(here_.spawn()));
    up.tell("ready");
    next = std::stoul(up.hear().at(0));
  }

  /// Sends a command to a parcel. Returns whether it was accepted.
  template <class C>
  bool ask(std::int64_t id, const C& cmd, const std::string& name) {
    auto answer = here_.ask(parcels_, id, cmd, command_id{name});
    if (!answer.starts_with("ok@"))
      std::fprintf(stderr, "courier: %s: %s\n", name.c_str(), answer.c_str());
    return answer.starts_with("ok@");
  }

  /// Delivers until it is killed.
  int deliver() {
    up.tell("end");
    up.hear();
    return 0;
  }

  parent up;
  std::int64_t which;
  /// The first command to send.
  std::uint64_t next = 0;

private:
  static journal_options options(const std::vector<std::string>& args) {
    journal_options result;
    result.url = args.at(1);
    result.schema = args.at(2);
    result.ids = id_kind::bigint;
    result.writers = 1;
    result.readers = 1;
    result.poll_interval = std::chrono::milliseconds{50};
    return result;
  }

  parcel_process here_;
  caf::actor parcels_;
};

} // namespace

/// courier URL SCHEMA PARCEL COUNT: makes the payments from the one that the
/// parent names up to COUNT, each with its number as its ID. The amount of a
/// payment tells who has made it, and which one it is. Every tenth sets an alarm
/// as well. Tells each number, then "end", and delivers until it is killed.
int run_courier(const std::vector<std::string>& args) {
  courier here{args};
  auto count = std::stoul(args.at(4));
  for (auto n = here.next; n < count; ++n) {
    auto name = std::to_string(n);
    auto wallet = static_cast<std::int64_t>(n % 7 + 1);
    auto amount = 1000 * static_cast<std::uint64_t>(here.which) + n;
    if (!here.ask(here.which, pay{0, wallet, amount}, name)
        || (n % 10 == 0
            && !here.ask(here.which, set_alarm{100 + n % 300},
                         "alarm " + name)))
      return 1;
    here.up.tell(name);
  }
  return here.deliver();
}

/// ringer URL SCHEMA WHICH COUNT: sets and calls off the timer "t" of the parcels
/// 1 to 3, which all ringers share, from the command that the parent names up to
/// COUNT. A timer's number tells who has set it, and with which command; those
/// with an even number go off in an hour, the others at once or soon. Tells each
/// number of a command, then "end", and delivers until it is killed.
int run_ringer(const std::vector<std::string>& args) {
  courier here{args};
  auto count = std::stoul(args.at(4));
  for (auto n = here.next; n < count; ++n) {
    auto name = std::to_string(here.which) + "-" + std::to_string(n);
    auto parcel = static_cast<std::int64_t>(n % 3 + 1);
    auto number = 1000 * static_cast<std::uint64_t>(here.which) + n;
    auto delay = n % 2 == 0 ? 3'600'000 : n * 7 % 40;
    if (!(n % 5 == 4 ? here.ask(parcel, call_off{"t"}, name)
                     : here.ask(parcel, schedule{"t", delay, number}, name)))
      return 1;
    here.up.tell(std::to_string(n));
  }
  return here.deliver();
}

} // namespace evented::test
