// starter add TITLE | finish ID NAME | list
//
// Keeps its data in the database that EVENTED_DATABASE_URL names, else in a
// private PostgreSQL.

#include "task.hpp"
#include "view.hpp"

#include <evented/dev/postgres.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

using namespace std::literals;

namespace {

struct application {
  evented::dev::database db{"starter"};
  evented::config<caf::id_block::starter> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, options()};
  caf::actor tasks = evented::spawn_entities<starter::task>(sys, journal);
  caf::actor view;

  application() {
    starter::make_view(journal);
    view = evented::spawn_projection<starter::task>(sys, journal, "task_list",
                                                    starter::keep_view);
  }

  evented::journal_options options() const {
    evented::journal_options result;
    result.url = db.url();
    return result;
  }

  /// Sends a command, waits until the view knows of it, and returns whether it
  /// was accepted.
  template <class Command>
  bool run(const evented::uuid& id, Command cmd) {
    auto done = evented::call(sys, tasks, 10s, id, std::move(cmd));
    if (!done) {
      if (evented::rejection<starter::unknown_task>(done.error()))
        std::cerr << "there is no such task\n";
      else
        std::cerr << evented::render(sys, done.error()) << "\n";
      return false;
    }
    auto there = evented::call<evented::reached>(
      sys, view, 15s, evented::control::wait_until{id, done->seq_no, 10s});
    if (!there)
      std::cerr << evented::render(sys, there.error()) << "\n";
    return true;
  }

  void list() const {
    for (auto& row : evented::sql(journal, "select id, title, finished_by "
                                           "from task_list order by id")) {
      std::cout << *row[0] << "  " << *row[1];
      if (row[2])
        std::cout << ", finished by " << *row[2];
      std::cout << "\n";
    }
  }
};

int run(const std::vector<std::string>& args) {
  if (args.size() == 2 && args[0] == "add") {
    auto id = evented::uuid::v7();
    auto ok = application{}.run(id, starter::add{args[1]});
    std::cout << to_string(id) << "\n";
    return ok ? 0 : 1;
  }
  if (args.size() == 3 && args[0] == "finish") {
    auto id = evented::uuid::parse(args[1]);
    return id && application{}.run(*id, starter::finish{args[2]}) ? 0 : 1;
  }
  if (args.size() == 1 && args[0] == "list") {
    application{}.list();
    return 0;
  }
  std::cerr << "usage: starter add TITLE | finish ID NAME | list\n";
  return 2;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << "starter: " << e.what() << "\n";
    return 1;
  }
}
