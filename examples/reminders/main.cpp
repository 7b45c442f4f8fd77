// reminders [HOW MANY]: sets reminders, 100 000 of them, which sleep until their
// time has come. Only a thousand of them are awake at once.

#include "reminder.hpp"

#include <evented/dev/postgres.hpp>

#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>

using namespace std::literals;
using namespace reminders;

namespace {

constexpr std::size_t max_awake = 1000;

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

/// Receives the answers to `count` commands, and returns the least number of an
/// event of theirs.
std::uint64_t wait_for_answers(caf::scoped_actor& self, std::size_t count) {
  std::size_t seen = 0;
  auto result = std::numeric_limits<std::uint64_t>::max();
  self->receive_while([&] { return seen < count; })(
    [&](const evented::accepted& a) {
      ++seen;
      result = std::min(result, a.seq_no);
    },
    [&](const caf::error& err) {
      throw std::runtime_error(evented::render(self->system(), err));
    });
  return result;
}

bool remind(const std::string& url, std::size_t count) {
  evented::journal_options where;
  where.url = url;
  where.ids = evented::id_kind::bigint;
  evented::config<caf::id_block::reminders> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, where};
  evented::entity_options<reminder> options;
  options.max_awake = max_awake;
  options.delivery.max_in_flight = 1000;
  auto region = evented::spawn_entities<reminder>(sys, journal, options);

  // IDs that no earlier run has used.
  const auto begin = now();
  auto id = begin;
  auto first = std::numeric_limits<std::uint64_t>::max();
  caf::scoped_actor self{sys};
  for (std::size_t sent = 0; sent < count; sent += 1000) {
    auto some = std::min<std::size_t>(1000, count - sent);
    for (std::size_t i = 0; i < some; ++i)
      self->send(region, id++, set{"tea", now() + 1'000'000});
    first = std::min(first, wait_for_answers(self, some));
  }
  std::cout << count << " reminders are set" << std::endl;

  // Whoever wants to know follows the events, of which some may come twice.
  caf::scoped_actor watcher{sys};
  evented::subscription_options bells;
  bells.start = evented::from_seq_no{first};
  bells.names = {std::string{evented::event_name<rang>()}};
  auto subscription = evented::spawn_subscription<reminder>(
    sys, journal, "", caf::actor{watcher}, bells);
  std::set<std::int64_t> rung;
  watcher->receive_while([&] { return rung.size() < count; })(
    [&](const evented::event_batch& batch) {
      for (auto& x : batch.events)
        for (auto& e : evented::decode<reminder>(x))
          if (e.id >= begin)
            rung.insert(e.id);
      return evented::ack{batch.up_to};
    });
  evented::region_state state;
  self->request(region, 10s, evented::control::get_state{})
    .receive([&](const evented::region_state& x) { state = x; },
             [](const caf::error&) {});
  std::cout << "all of them have rung, " << state.awake << " are awake"
            << std::endl;
  // The limit is one that is kept to about.
  return state.awake <= 2 * max_awake;
}

} // namespace

int main(int argc, char** argv) {
  try {
    evented::dev::database db{"reminders"};
    return remind(db.url(), argc > 1 ? std::stoul(argv[1]) : 100'000) ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "reminders: " << e.what() << "\n";
    return 1;
  }
}
