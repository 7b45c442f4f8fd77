// A process that is a node of a cluster of accounts.

#include "chaos/nodes/node_worker.hpp"

#include "chaos/worker.hpp"
#include "support/accounts.hpp"

#include <caf/actor_system.hpp>

#include <chrono>
#include <cstdio>
#include <map>
#include <signal.h>
#include <sys/prctl.h>

namespace evented::test {

namespace {

/// Runs its share of a view with the balance of each account and the number of
/// the events that it is made of.
caf::actor spawn_view(caf::actor_system& sys, const journal& entries,
                      const cluster& nodes, const std::string& schema) {
  projection_options options;
  options.ranges = 16;
  options.runs_here = nodes.runs_here();
  return spawn_projection<account>(
    sys, entries, "balances",
    [upsert = "insert into " + schema
              + ".balance as x select * from unnest($1::uuid[], $2::bigint[], "
                "$3::bigint[]) on conflict (id) do update set amount = "
                "x.amount + excluded.amount, events = x.events + "
                "excluded.events"](const batch<account>& events,
                                   transaction& tx) {
      std::map<std::string, std::pair<std::int64_t, int>> sums;
      for (auto& e : events) {
        auto& [amount, count] = sums[evented::to_string(e.id)];
        auto* in = e.as<deposited>();
        amount += in != nullptr ? in->amount : -e.as<withdrawn>()->amount;
        ++count;
      }
      std::string ids;
      std::string amounts;
      std::string counts;
      for (auto& [id, sum] : sums) {
        auto comma = ids.empty() ? "" : ",";
        ids += comma + id;
        amounts += comma + std::to_string(sum.first);
        counts += comma + std::to_string(sum.second);
      }
      tx.exec(upsert, '{' + ids + '}', '{' + amounts + '}', '{' + counts + '}');
    },
    options);
}

} // namespace

int run_node(const std::vector<std::string>& args) {
  // Never outlives the tests.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Before there is any other thread, so that all of them leave it to this one.
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  std::chrono::milliseconds take_over{std::stoi(args.at(4))};
  journal_options where;
  where.url = args.at(0);
  where.schema = args.at(1);
  cluster_options how;
  how.name = args.at(2);
  how.public_port = static_cast<std::uint16_t>(std::stoi(args.at(3)));
  how.take_over = take_over;
  node_security security;
  if (args.size() > 5)
    how.address = args.at(5);
  if (args.size() > 6)
    security = {args.at(6), args.at(7), args.at(8), {}};
  config<caf::id_block::accounts> cfg;
  use_nodes(cfg, security);
  caf::actor_system sys{cfg};
  journal entries{sys, where};
  cluster nodes{sys, entries, how};
  entity_options<account> awake;
  // Histories grow for minutes, and each change of owners has them read.
  awake.snapshots({.every = 100});
  auto accounts = spawn_entities<account>(sys, entries, nodes, awake);
  auto view = spawn_view(sys, entries, nodes, where.schema);
  parent{}.tell("port " + std::to_string(nodes.port()));
  auto signal = 0;
  sigwait(&end, &signal);
  if (!nodes.leave(std::chrono::seconds{30})) {
    std::fputs("worker: shards are left\n", stderr);
    return 1;
  }
  return 0;
}

} // namespace evented::test
