// Moves money between wallets: one transfer succeeds, one fails, and one is
// undone, since the receiver refuses it. Kill the program whenever you like and
// start it again: it goes on where it was.

#include "manager.hpp"

#include <evented/dev/postgres.hpp>

#include <caf/scoped_actor.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <set>
#include <stdexcept>
#include <string>

CAF_BEGIN_TYPE_ID_BLOCK(transfers, 200)

CAF_ADD_TYPE_ID(transfers, (transfers::fund))
CAF_ADD_TYPE_ID(transfers, (transfers::freeze))
CAF_ADD_TYPE_ID(transfers, (transfers::take))
CAF_ADD_TYPE_ID(transfers, (transfers::give))
CAF_ADD_TYPE_ID(transfers, (transfers::give_back))
CAF_ADD_TYPE_ID(transfers, (transfers::insufficient))
CAF_ADD_TYPE_ID(transfers, (transfers::frozen))
CAF_ADD_TYPE_ID(transfers, (transfers::start))
CAF_ADD_TYPE_ID(transfers, (transfers::advance))

CAF_END_TYPE_ID_BLOCK(transfers)

using namespace std::literals;
using namespace transfers;

namespace {

/// Sends a command that takes effect once, however often this program runs.
template <class Command>
void run(caf::scoped_actor& self, const caf::actor& region,
         const std::string& id, Command cmd) {
  self->request(region, 10s, id, std::move(cmd), evented::command_id{"first"})
    .receive([](const evented::accepted&) {},
             [&](const caf::error& err) {
               throw std::runtime_error(evented::render(self->system(), err));
             });
}

void move_money(const std::string& url) {
  evented::journal_options where;
  where.url = url;
  where.ids = evented::id_kind::text;
  // How soon the next process follows the events where this one is killed.
  where.take_over = 2s;
  evented::config<caf::id_block::transfers> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, where};
  auto wallets = evented::spawn_entities<wallet>(sys, journal);
  auto all = evented::spawn_entities<transfer>(sys, journal);
  auto events = evented::spawn_subscription<transfer>(
    sys, journal, "transfer_manager", sys.spawn<manager>(wallets, all));

  caf::scoped_actor self{sys};
  run(self, wallets, "alice", fund{100});
  run(self, wallets, "carol", freeze{});
  run(self, all, "rent", start{"alice", "bob", 70});
  run(self, all, "holiday", start{"alice", "bob", 500});
  run(self, all, "present", start{"alice", "carol", 20});

  // Watches until all of them have come to an end.
  auto watch
    = evented::spawn_subscription<transfer>(sys, journal, "", caf::actor{self});
  std::set<std::string> open{"rent", "holiday", "present"};
  self->receive_while([&] { return !open.empty(); })(
    [&](const evented::event_batch& batch) {
      for (auto& x : batch.events)
        for (auto& e : evented::decode<transfer>(x)) {
          auto& step = *e.as<reached>();
          std::cout << e.id << ": " << step.stage
                    << (step.why.empty() ? "" : ", " + step.why) << std::endl;
          if (is_end(step.stage))
            open.erase(e.id);
        }
      return evented::ack{batch.up_to};
    });
}

} // namespace

int main() {
  try {
    evented::dev::database db{"transfers"};
    move_money(db.url());
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "transfers: " << e.what() << "\n";
    return 1;
  }
}
