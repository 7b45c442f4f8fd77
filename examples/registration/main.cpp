// Many people want the same e-mail address at the same time, and one gets it: by a
// listener, and by an entity that stands for the address.

#include "by_listener.hpp"
#include "by_reservation.hpp"

#include <evented/dev/postgres.hpp>

#include <caf/scoped_actor.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

CAF_BEGIN_TYPE_ID_BLOCK(registration, 200)

CAF_ADD_TYPE_ID(registration, (registration::join))
CAF_ADD_TYPE_ID(registration, (registration::taken))
CAF_ADD_TYPE_ID(registration, (registration::reserve))
CAF_ADD_TYPE_ID(registration, (registration::confirm))
CAF_ADD_TYPE_ID(registration, (registration::lapse))
CAF_ADD_TYPE_ID(registration, (registration::enter))

CAF_END_TYPE_ID_BLOCK(registration)

using namespace std::literals;
using namespace registration;

namespace {

constexpr auto people = 20;

std::string person(int i) {
  return "person " + std::to_string(i);
}

/// Sends `make(i)` to the region for each person, all at once, and returns who
/// was accepted. The others have to be told that the address is taken.
template <class Id, class Make>
std::vector<int> everybody(caf::actor_system& sys, const caf::actor& region,
                           Id id, Make make) {
  std::vector<caf::actor> senders;
  std::vector<int> result;
  caf::scoped_actor self{sys};
  for (auto i = 0; i < people; ++i)
    self->send(region, id(i), make(i));
  // Answers come in any order, and do not say to whom: so ask again.
  auto answers = 0;
  self->receive_while([&] { return answers < people; })(
    [&](const evented::accepted&) { ++answers; },
    [&](const caf::error&) { ++answers; });
  for (auto i = 0; i < people; ++i)
    self->request(region, 10s, id(i), make(i))
      .receive([&](const evented::accepted&) { result.push_back(i); },
               [&](const caf::error& err) {
                 if (!evented::rejection<taken>(err))
                   throw std::runtime_error(evented::render(sys, err));
               });
  return result;
}

bool register_all(const std::string& url) {
  evented::journal_options where;
  where.url = url;
  where.ids = evented::id_kind::text;
  evented::config<caf::id_block::registration> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, where};
  // A new one each time that this program runs, and new people.
  auto run = to_string(evented::uuid::v7());
  auto email = "ada." + run + "@example.org";
  auto by_name = [&](int i) { return person(i) + " of " + run; };

  make_table(journal);
  evented::entity_options<member> listening;
  listening.listener(claim);
  auto members = evented::spawn_entities<member>(sys, journal, listening);
  auto first
    = everybody(sys, members, by_name, [&](int) { return join{email}; });
  std::cout << "by a listener: " << first.size() << " of " << people
            << " got the address\n";

  auto addresses = evented::spawn_entities<address>(sys, journal);
  evented::entity_options<guest> sending;
  sending.target<address>(addresses);
  auto guests = evented::spawn_entities<guest>(sys, journal, sending);
  auto second = everybody(
    sys, addresses, [&](int) { return email; },
    [&](int i) { return reserve{by_name(i)}; });
  std::cout << "by a reservation: " << second.size() << " of " << people
            << " got the address\n";
  caf::scoped_actor self{sys};
  for (auto i : second)
    self->request(guests, 10s, by_name(i), enter{email})
      .receive([](const evented::accepted&) {},
               [&](const caf::error& err) {
                 throw std::runtime_error(evented::render(sys, err));
               });
  return first.size() == 1 && second.size() == 1;
}

} // namespace

int main() {
  try {
    evented::dev::database db{"registration"};
    return register_all(db.url()) ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "registration: " << e.what() << "\n";
    return 1;
  }
}
