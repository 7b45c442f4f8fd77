// Three processes share the counters of a journal. A fourth one sends commands;
// one of the three is killed, the others take over, and no command is lost.

#include "counter.hpp"

#include <evented/actors/cluster.hpp>
#include <evented/dev/postgres.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::literals;

namespace {

using demo::counter;
using demo::increase;
using steady = std::chrono::steady_clock;

constexpr auto take_over = 4s;
constexpr auto schema = "cluster_example";

evented::journal_options journal_at(const std::string& url) {
  evented::journal_options result;
  result.url = url;
  result.schema = schema;
  return result;
}

evented::cluster_options as(const std::string& name) {
  evented::cluster_options result;
  result.name = name;
  result.shards = 64;
  result.take_over = take_over;
  return result;
}

// -- one of the three ---------------------------------------------------------

/// Owns counters until SIGTERM.
int node(const std::string& name, const std::string& url) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Before there are other threads, so that this one gets the signal.
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &end, nullptr);
  evented::config<caf::id_block::demo> cfg;
  evented::use_nodes(cfg);
  caf::actor_system sys{cfg};
  evented::journal journal{sys, journal_at(url)};
  evented::cluster nodes{sys, journal, as(name)};
  auto counters = evented::spawn_entities<counter>(sys, journal, nodes);
  auto signal = 0;
  ::sigwait(&end, &signal);
  return nodes.leave(30s) ? 0 : 1;
}

/// Starts this program again, as a node.
pid_t start(const std::string& name, const std::string& url) {
  std::vector<std::string> words{"cluster", name, url};
  std::vector<char*> argv;
  for (auto& x : words)
    argv.push_back(x.data());
  argv.push_back(nullptr);
  pid_t result = 0;
  if (::posix_spawn(&result, "/proc/self/exe", nullptr, nullptr, argv.data(),
                    environ)
      != 0)
    throw std::runtime_error("cannot start a node");
  return result;
}

// -- the fourth ---------------------------------------------------------------

/// Returns one line a node: its shards as a bar.
std::string picture(const evented::cluster_state& seen) {
  std::string result;
  for (auto& x : seen.nodes)
    if (x.shards > 0)
      result += "  " + x.name + "  " + std::string(x.shards, '#') + " "
                + std::to_string(x.shards) + "\n";
  return result;
}

/// Waits until so many nodes share all shards, and returns whether they do.
bool wait_for_nodes(const evented::cluster& where, int count) {
  for (auto end = steady::now() + 60s; steady::now() < end;
       std::this_thread::sleep_for(20ms)) {
    auto owners = 0;
    auto shards = 0;
    for (auto& x : where.state().nodes) {
      owners += x.shards > 0 && x.linked ? 1 : 0;
      shards += x.shards;
    }
    if (owners == count && shards == 64)
      return true;
  }
  return false;
}

/// Sends commands, one after the other, and remembers how long they took.
class load {
public:
  load(caf::actor_system& sys, caf::actor counters)
    : self_(sys), counters_(std::move(counters)) {
    for (auto i = 0; i < 50; ++i)
      ids_.push_back(evented::uuid::v7());
  }

  /// Increases each counter once. With an ID, so that it may be repeated.
  void once_each() {
    for (auto& id : ids_) {
      evented::command_id name{evented::uuid::v4()};
      auto began = steady::now();
      for (auto done = false; !done;)
        self_->request(counters_, 60s, id, increase{1}, name)
          .receive([&](const evented::accepted&) { done = true; },
                   [&](const caf::error&) { ++repeated_; });
      ++sent_[id];
      slowest_ = std::max(slowest_, steady::now() - began);
    }
  }

  /// Returns whether each counter stands at what was sent, no less and no more.
  bool is_right(evented::journal& journal) {
    auto found
      = evented::sql(journal, "select entity_id, count(*) from "s + schema
                                + ".event group by entity_id");
    std::map<std::string, std::string> stored;
    for (auto& row : found)
      stored[row[0].value()] = row[1].value();
    for (auto& [id, count] : sent_)
      if (stored[to_string(id)] != std::to_string(count))
        return false;
    return true;
  }

  /// Returns the longest time that a command has taken since the last call.
  long slowest_ms() {
    auto result = std::exchange(slowest_, {});
    return std::chrono::duration_cast<std::chrono::milliseconds>(result)
      .count();
  }

  [[nodiscard]] unsigned repeated() const { return repeated_; }

private:
  caf::scoped_actor self_;
  caf::actor counters_;
  std::vector<evented::uuid> ids_;
  std::map<evented::uuid, unsigned> sent_;
  steady::duration slowest_{};
  unsigned repeated_ = 0;
};

int play() {
  evented::dev::database db{evented::dev::postgres_options{}};
  evented::config<caf::id_block::demo> cfg;
  evented::use_nodes(cfg);
  caf::actor_system sys{cfg};
  evented::journal journal{sys, journal_at(db.url())};
  std::map<std::string, pid_t> processes;
  for (auto* name : {"a", "b", "c"})
    processes[name] = start(name, db.url());
  auto how = as("sender");
  how.owns_entities = false;
  evented::cluster nodes{sys, journal, how};
  auto counters = evented::spawn_entities<counter>(sys, journal, nodes);
  if (!wait_for_nodes(nodes, 3))
    throw std::runtime_error("the nodes do not come together");
  std::printf("Three processes share 64 shards:\n%s",
              picture(nodes.state()).c_str());
  load work{sys, counters};
  for (auto round = 0; round < 10; ++round)
    work.once_each();
  std::printf("500 commands to 50 counters; the slowest took %ld ms.\n\n",
              work.slowest_ms());
  std::printf("Node b is killed. Until the others take over, commands for its "
              "counters wait.\n");
  ::kill(processes["b"], SIGKILL);
  ::waitpid(processes["b"], nullptr, 0);
  processes.erase("b");
  for (auto round = 0; round < 10; ++round)
    work.once_each();
  if (!wait_for_nodes(nodes, 2))
    throw std::runtime_error("nobody takes over");
  std::printf("500 commands more; the slowest took %ld ms, and %u had to be "
              "sent again by the sender.\n%s\n",
              work.slowest_ms(), work.repeated(),
              picture(nodes.state()).c_str());
  std::printf("Node b starts again, and gets its share by and by.\n");
  processes["b"] = start("b", db.url());
  if (!wait_for_nodes(nodes, 3))
    throw std::runtime_error("the node does not come back");
  for (auto round = 0; round < 10; ++round)
    work.once_each();
  std::printf("500 commands more; the slowest took %ld ms.\n%s\n",
              work.slowest_ms(), picture(nodes.state()).c_str());
  auto right = work.is_right(journal);
  std::puts(right ? "Every counter stands where it should."
                  : "A counter is wrong!");
  auto ended = true;
  for (auto& [name, pid] : processes) {
    auto status = 0;
    ::kill(pid, SIGTERM);
    ::waitpid(pid, &status, 0);
    ended = ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return right && ended ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return argc == 3 ? node(argv[1], argv[2]) : play();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "cluster: %s\n", e.what());
    return 1;
  }
}
