// Nodes are killed, stopped, ended and cut off under load: every command is
// answered or can be repeated, and takes effect once.

#include "chaos/nemesis/dice.hpp"
#include "chaos/nodes/bed.hpp"
#include "chaos/nodes/node_process.hpp"
#include "support/proxy.hpp"
#include "support/relay.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace evented::test;

namespace {

/// A node whose links to the database and to the other nodes can be cut.
class proxied_node : public node_process {
public:
  proxied_node(std::string name, std::string schema)
    : node_process(std::move(name)),
      schema_(std::move(schema)),
      database_(common_server().socket_directory() / ".s.PGSQL.5432") {
    // nop
  }

  void start() {
    link_.lead_to(
      run({database_.url(common_server().user()), schema_, name(),
           std::to_string(link_.port()), std::to_string(take_over.count())}));
  }

  proxy& database() { return database_; }
  relay& link() { return link_; }

private:
  std::string schema_;
  proxy database_;
  relay link_;
};

class node_processes : public node_bed {
protected:
  node_processes() {
    auto url = common_server().url();
    join({.server = url, .url = url});
    for (auto* name : {"n1", "n2", "n3"})
      nodes_.push_back(std::make_unique<proxied_node>(name, schema()));
  }

  /// Returns what can happen to a node.
  static std::vector<node_fault> faults_of(proxied_node& x) {
    auto start = [&x] { x.start(); };
    auto mend_link = [&x] { x.link().heal(); };
    auto& name = x.name();
    return {
      {"kill " + name, [&x] { x.kill(); }, start},
      {"stop " + name, [&x] { x.stop(); }, [&x] { x.resume(); }},
      {"end " + name, [&x] { x.end(); }, start},
      {"cut database " + name, [&x] { x.database().refuse(); },
       [&x] { x.database().heal(); }},
      {"cut link " + name, [&x] { x.link().refuse(); }, mend_link, false},
      {"hold link " + name, [&x] { x.link().hold(); }, mend_link, false},
    };
  }

  std::vector<std::unique_ptr<proxied_node>> nodes_;
};

} // namespace

TEST_F(node_processes, lose_nothing_whatever_happens_to_them) {
  nemesis::dice dice{chosen_seed()};
  for (auto& x : nodes_)
    x->start();
  ASSERT_TRUE(settled(3)) << picture();
  begin_load();
  const auto end
    = std::chrono::steady_clock::now() + load_time(std::chrono::seconds{20});
  // Each of them at least once.
  const auto kinds = faults_of(*nodes_[0]).size();
  for (std::size_t round = 0;
       round < kinds || std::chrono::steady_clock::now() < end; ++round) {
    auto what = round < kinds ? round : dice.below(kinds);
    go_through(faults_of(*nodes_[dice.below(nodes_.size())])[what]);
    if (HasFatalFailure())
      return;
  }
  check();
  for (auto& x : nodes_)
    x->end();
}
