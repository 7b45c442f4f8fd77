// A process whose parcels pay into wallets and ring in time, through the outbox.

#include "chaos/worker.hpp"
#include "support/parcels.hpp"

#include <cstdio>

namespace evented::test {

/// courier URL SCHEMA PARCEL COUNT: makes the payments from the one that the
/// parent names up to COUNT, each with its number as its ID. The amount of a
/// payment tells who has made it, and which one it is. Every tenth sets an alarm
/// as well. Tells each number, then "end", and delivers until it is killed.
int run_courier(const std::vector<std::string>& args) {
  journal_options where;
  where.url = args.at(1);
  where.schema = args.at(2);
  where.ids = id_kind::bigint;
  where.writers = 1;
  where.readers = 1;
  where.poll_interval = std::chrono::milliseconds{50};
  auto id = std::stoll(args.at(3));
  auto count = std::stoul(args.at(4));
  parcel_process here{where};
  entity_options<parcel> how;
  // What a dead process was delivering is free after twice this.
  how.delivery.timeout = std::chrono::milliseconds{500};
  how.delivery.first_pause = std::chrono::milliseconds{10};
  auto parcels = here.spawn<parcel>(how.target<wallet>(here.spawn()));
  parent up;
  up.tell("ready");
  auto ask = [&](const auto& cmd, const std::string& name) {
    auto answer = here.ask(parcels, id, cmd, command_id{name});
    if (!answer.starts_with("ok@"))
      std::fprintf(stderr, "courier: %s: %s\n", name.c_str(), answer.c_str());
    return answer.starts_with("ok@");
  };
  for (auto n = std::stoul(up.hear().at(0)); n < count; ++n) {
    auto name = std::to_string(n);
    auto wallet = static_cast<std::int64_t>(n % 7 + 1);
    auto amount = 1000 * static_cast<std::uint64_t>(id) + n;
    if (!ask(pay{0, wallet, amount}, name)
        || (n % 10 == 0 && !ask(set_alarm{100 + n % 300}, "alarm " + name)))
      return 1;
    up.tell(name);
  }
  up.tell("end");
  up.hear();
  return 0;
}

} // namespace evented::test
