#include "node_process.hpp"

#include "load.hpp"
#include "tally.hpp"

#include <evented/actors/cluster.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace bench {

namespace {

constexpr const char* url_variable = "EVENTED_DATABASE_URL";

/// Where a node tells its port: it logs to its standard output.
constexpr int port_output = 3;

/// Returns them as C wants them.
std::vector<char*> pointers(std::vector<std::string>& xs) {
  std::vector<char*> result;
  for (auto& x : xs)
    result.push_back(x.data());
  result.push_back(nullptr);
  return result;
}

class plain : public caf::event_based_actor {
public:
  using caf::event_based_actor::event_based_actor;

  caf::behavior make_behavior() override {
    return {[](const evented::uuid&, const compute& query) {
      return computed(query, 0);
    }};
  }
};

} // namespace

node_process::node_process(const bench_journal& where,
                           const std::string& name) {
  std::vector<std::string> words{"evented_bench", "--node", where.schema(),
                                 name};
  // Others may see command lines.
  std::vector<std::string> variables{std::string{url_variable} + '='
                                     + where.url()};
  for (auto x = environ; *x != nullptr; ++x)
    if (!std::string_view{*x}.starts_with(std::string{url_variable} + '='))
      variables.emplace_back(*x);
  auto argv = pointers(words);
  auto envp = pointers(variables);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
    throw std::runtime_error("cannot make a pipe");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], port_output);
  auto failed = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr,
                              argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  unsigned port = 0;
  if (failed == 0)
    if (auto* in = ::fdopen(pipe[0], "r")) {
      if (std::fscanf(in, "port %u", &port) != 1)
        port = 0;
      std::fclose(in);
    }
  if (port == 0)
    throw std::runtime_error("a node does not start");
  port_ = static_cast<std::uint16_t>(port);
}

node_process::~node_process() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

int run_node(const std::vector<std::string>& args) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Before there are other threads, so that this one gets the signal.
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &end, nullptr);
  evented::config<caf::id_block::bench> cfg;
  environment env;
  env.threads = 1;
  set_scheduler(cfg, env);
  evented::use_nodes(cfg);
  caf::actor_system sys{cfg};
  evented::journal_options where;
  if (auto* url = std::getenv(url_variable))
    where.url = std::string{url};
  where.schema = args.at(0);
  evented::journal journal{sys, where};
  evented::cluster_options how;
  how.name = args.at(1);
  evented::cluster nodes{sys, journal, how};
  auto tallies = evented::spawn_entities<tally>(sys, journal, nodes);
  auto other = spawn_plain(sys);
  auto port = sys.middleman().publish(other, 0, "127.0.0.1");
  if (!port)
    throw std::runtime_error("a node cannot listen");
  ::dprintf(port_output, "port %u\n", *port);
  ::close(port_output);
  auto signal = 0;
  ::sigwait(&end, &signal);
  // The middleman would keep it.
  caf::anon_send_exit(other, caf::exit_reason::user_shutdown);
  return nodes.leave(30s) ? 0 : 1;
}

caf::actor spawn_plain(caf::actor_system& sys) {
  return sys.spawn<plain>();
}

} // namespace bench
