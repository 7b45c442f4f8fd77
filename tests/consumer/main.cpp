// Sends one command to an entity on a journal in memory.

#include <evented/actors.hpp>

#include <caf/scoped_actor.hpp>

#include <iostream>

struct open_door {
  std::uint64_t times = 0;
};

template <class Inspector>
auto inspect(Inspector& f, open_door& x) {
  return evented::inspect_object(f, x, "open_door",
                                 evented::field("times", x.times));
}

CAF_BEGIN_TYPE_ID_BLOCK(consumer, 200)

CAF_ADD_TYPE_ID(consumer, (open_door))

CAF_END_TYPE_ID_BLOCK(consumer)

struct opened {
  std::uint64_t times = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(times));
  }
};

struct door {
  static constexpr std::string_view type_name = "door";

  using id_type = evented::uuid;
  using commands = evented::commands<open_door>;
  using events = evented::events<opened>;

  std::uint64_t times = 0;

  void apply(const opened& e) { times += e.times; }
};

evented::decision<door> handle(const open_door& cmd, const door&) {
  return evented::accept(opened{cmd.times});
}

int main() {
  evented::config<caf::id_block::consumer> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, evented::make_memory_store()};
  auto doors = evented::spawn_entities<door>(sys, journal);
  caf::scoped_actor self{sys};
  auto result = 1;
  self
    ->request(doors, std::chrono::seconds(10), evented::uuid::v7(),
              open_door{1})
    .receive(
      [&](const evented::accepted& a) {
        std::cout << "accepted, version " << a.version << "\n";
        result = 0;
      },
      [&](const caf::error& err) {
        std::cout << evented::render(sys, err) << "\n";
      });
  return result;
}
