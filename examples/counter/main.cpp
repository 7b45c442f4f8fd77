// Sends commands to a counter, shows the answers, what the journal holds and a
// view that a listener keeps, then restarts and shows the rehydrated value.

#include "counter.hpp"

#include <evented/dev/postgres.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

using namespace std::literals;

namespace {

using demo::counter;
using demo::decrease;
using demo::increase;

/// Keeps the table `counters` in step, in the transaction of the events.
void keep_view(const evented::committing<counter>& x,
               evented::transaction& tx) {
  auto delta = std::int64_t{0};
  if (auto* up = x.as<demo::increased>())
    delta = static_cast<std::int64_t>(up->inc);
  else if (auto* down = x.as<demo::decreased>())
    delta = -static_cast<std::int64_t>(down->dec);
  tx.exec("insert into counters (id, value, version) values ($1, $2, $3) "
          "on conflict (id) do update set value = counters.value + $2::bigint, "
          "version = $3",
          x.id, delta, x.version);
}

evented::entity_options<counter> options() {
  evented::entity_options<counter> result;
  result.listener(keep_view);
  return result;
}

/// Sends one command, prints the answer, and returns whether it was accepted.
template <class Command>
bool run(caf::scoped_actor& self, const caf::actor& counters,
         const evented::uuid& id, const char* name, std::uint64_t amount) {
  auto ok = false;
  self->request(counters, 10s, id, Command{amount})
    .receive(
      [&](const evented::accepted& a) {
        ok = true;
        std::printf("  %s %3lu  -> accepted, version %lu, seq_no %lu\n", name,
                    static_cast<unsigned long>(amount),
                    static_cast<unsigned long>(a.version),
                    static_cast<unsigned long>(a.seq_no));
      },
      [&](const caf::error& err) {
        if (auto up = evented::rejection<demo::overflow>(err))
          std::printf("  %s %3lu  -> rejected, overflow above %lu\n", name,
                      static_cast<unsigned long>(amount),
                      static_cast<unsigned long>(up->value));
        else if (auto down = evented::rejection<demo::underflow>(err))
          std::printf("  %s %3lu  -> rejected, underflow below %lu\n", name,
                      static_cast<unsigned long>(amount),
                      static_cast<unsigned long>(down->value));
        else
          std::printf("  %s %3lu  -> %s\n", name,
                      static_cast<unsigned long>(amount),
                      evented::render(self->system(), err).c_str());
      });
  return ok;
}

/// Finds out what value the entity has, by asking for one more than it holds.
std::uint64_t probe(caf::scoped_actor& self, const caf::actor& counters,
                    const evented::uuid& id) {
  auto value = counter::max + 1;
  self->request(counters, 10s, id, increase{counter::max + 1})
    .receive([](const evented::accepted&) {},
             [&](const caf::error& err) {
               if (auto up = evented::rejection<demo::overflow>(err))
                 value = up->value;
             });
  return value;
}

int demonstrate(const std::string& url) {
  evented::journal_options where;
  where.url = url;
  auto id = evented::uuid::v7();
  auto sent = 0;
  auto accepted = 0;
  evented::config<caf::id_block::demo> cfg;
  caf::actor_system sys{cfg};
  {
    std::puts("\nCommands to a new counter (0 to 100), and the answers:");
    evented::journal journal{sys, where};
    evented::sql(journal,
                 "create table if not exists counters (id uuid primary "
                 "key, value bigint not null, version bigint not "
                 "null)");
    auto counters = evented::spawn_entities<counter>(sys, journal, options());
    caf::scoped_actor self{sys};
    auto up = [&](std::uint64_t n) {
      ++sent;
      accepted += run<increase>(self, counters, id, "increase", n) ? 1 : 0;
    };
    auto down = [&](std::uint64_t n) {
      ++sent;
      accepted += run<decrease>(self, counters, id, "decrease", n) ? 1 : 0;
    };
    up(40);
    up(50);
    up(20);
    down(15);
    down(80);
    down(5);
  }
  // The journal and all entities are gone; a new start finds them again.
  evented::journal journal{sys, where};
  auto counters = evented::spawn_entities<counter>(sys, journal, options());
  caf::scoped_actor self{sys};

  std::puts("\nWhat the journal holds:");
  auto events
    = journal.store()
        ->connect()
        ->load(std::vector<evented::load_request>{{"counter", id, 0}}, 1000)[0]
        .events;
  std::uint64_t replayed = 0;
  for (auto& x : events) {
    std::printf("  version %lu  seq_no %lu  %-9s  %s  metadata %s\n",
                static_cast<unsigned long>(x.version),
                static_cast<unsigned long>(x.seq_no), x.name.c_str(),
                x.payload.c_str(), x.metadata.c_str());
    if (x.name == evented::event_name<demo::increased>())
      replayed += evented::from_json<demo::increased>(x.payload).inc;
    else
      replayed -= evented::from_json<demo::decreased>(x.payload).dec;
  }

  std::puts("\nThe view that the listener keeps:");
  auto view = evented::sql(
    journal, "select value, version from counters where id = $1", id);
  auto view_value = view.empty() ? "none"s : view[0][0].value();
  auto view_version = view.empty() ? "none"s : view[0][1].value();
  std::printf("  value %s, version %s\n", view_value.c_str(),
              view_version.c_str());

  std::puts("\nAfter a restart, the entity is rebuilt from its events:");
  auto rehydrated = probe(self, counters, id);
  std::printf("  value %lu\n", static_cast<unsigned long>(rehydrated));

  auto agree = view_value == std::to_string(rehydrated)
               && view_version == std::to_string(events.size())
               && replayed == rehydrated
               && events.size() == static_cast<std::size_t>(accepted);
  std::printf(
    "\n%d commands, %d accepted, %d rejected, %zu events stored: view, "
    "entity and journal %s.\n",
    sent, accepted, sent - accepted, events.size(),
    agree ? "agree" : "DO NOT AGREE");
  return agree && accepted == 4 ? 0 : 1;
}

} // namespace

int main() {
  try {
    std::puts("Looking for a database ...");
    evented::dev::database db{"counter"};
    if (db.server() != nullptr)
      std::printf("A private PostgreSQL runs in %s\n",
                  db.server()->data_directory().c_str());
    return demonstrate(db.url());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "counter: %s\n", e.what());
    return 1;
  }
}
