// Nodes that prove who they are by certificates.

#include "integration/nodes/node.hpp"
#include "support/certificates.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace {

class node_certificates : public testing::Test {
protected:
  static cluster_options impatient(const std::string& name) {
    auto result = quick(name);
    result.routing_timeout = 1s;
    return result;
  }

  /// A server that is slow for a while is not what these tests are about.
  node_certificates() { where.statement_timeout = 30s; }

  static entity_options<account> patient() {
    entity_options<account> result;
    result.command_timeout = 60s;
    return result;
  }

  /// Waits until `who` knows that there are two nodes with shards, and returns how
  /// it sees them.
  static std::string pair_seen_by(node& who) {
    EXPECT_TRUE(wait_until(
      [&] {
        auto seen = who.nodes().state();
        return seen.nodes.size() == 2 && seen.nodes[0].shards > 0
               && seen.nodes[1].shards > 0;
      },
      30s));
    return who.picture();
  }

  /// Returns how the answers to commands for many entities begin: each kind once.
  static std::string kinds_of_answers(node& who) {
    std::set<std::string> kinds;
    for (auto i = 0; i < 40 && kinds.size() < 2; ++i)
      kinds.insert(render(who.ask(uuid::v4(), deposit{1})));
    std::string result;
    for (auto& x : kinds)
      result += (result.empty() ? "" : " ") + x;
    return result;
  }

  journal_options where = fresh_journal();
  certificates files;
};

} // namespace

TEST_F(node_certificates, of_one_authority_let_nodes_talk) {
  auto security = files.make("ours");
  node a{where, quick("a"), security};
  node b{where, quick("b"), security};
  a.accounts(patient());
  b.accounts(patient());
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  ASSERT_TRUE(b.settled({"a", "b"})) << b.picture();
  EXPECT_EQ(kinds_of_answers(a), "accepted@1");
  EXPECT_EQ(kinds_of_answers(b), "accepted@1");
}

TEST_F(node_certificates, of_another_authority_open_nothing) {
  node a{where, impatient("a"), files.make("ours")};
  node b{where, impatient("b"), files.make("theirs")};
  a.accounts(patient());
  b.accounts(patient());
  EXPECT_NE(pair_seen_by(a).find("(b:"), std::string::npos) << a.picture();
  EXPECT_NE(pair_seen_by(b).find("(a:"), std::string::npos) << b.picture();
  EXPECT_EQ(kinds_of_answers(a), "accepted@1 unreachable");
  EXPECT_EQ(kinds_of_answers(b), "accepted@1 unreachable");
}

TEST_F(node_certificates, are_asked_of_those_who_have_none) {
  node a{where, impatient("a"), files.make("ours")};
  node b{where, impatient("b")};
  a.accounts(patient());
  b.accounts(patient());
  EXPECT_NE(pair_seen_by(a).find("(b:"), std::string::npos) << a.picture();
  EXPECT_NE(pair_seen_by(b).find("(a:"), std::string::npos) << b.picture();
  EXPECT_EQ(kinds_of_answers(a), "accepted@1 unreachable");
  EXPECT_EQ(kinds_of_answers(b), "accepted@1 unreachable");
}

TEST_F(node_certificates, must_be_there) {
  caf::actor_system_config cfg;
  EXPECT_THROW(
    use_nodes(cfg, {"/nowhere.pem", "/nowhere.key", "/nowhere.ca", {}}), error);
}

TEST_F(node_certificates, make_other_addresses_possible) {
  auto how = impatient("a");
  how.address = "0.0.0.0";
  how.public_address = "127.0.0.1";
  node a{where, how, files.make("ours")};
  a.accounts();
  EXPECT_TRUE(a.settled({"a"}));
}
