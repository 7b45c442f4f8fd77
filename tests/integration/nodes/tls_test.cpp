// Nodes that prove who they are by certificates.

#include "integration/nodes/node.hpp"
#include "support/certificates.hpp"
#include "support/log_lines.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace {

/// Says something that is no TLS. Returns whether the other end hangs up.
bool is_sent_away(std::uint16_t port) {
  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  const std::string text(100, 'x');
  std::array<char, 256> answer{};
  auto result = ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0
                && ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0;
  while (result && ::recv(fd, answer.data(), answer.size(), 0) > 0) {
    // An alert.
  }
  ::close(fd);
  return result;
}

class node_certificates : public testing::Test {
protected:
  static cluster_options impatient(const std::string& name) {
    auto result = quick(name);
    result.routing_timeout = 1s;
    return result;
  }

  /// A server that is slow for a while is not what these tests are about.
  node_certificates() {
    where.statement_timeout = 30s;
    // Before there is any other thread.
    log_lines::instance();
  }

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

TEST_F(node_certificates, that_a_stranger_lacks_cost_nobody_else_a_link) {
  auto security = files.make("ours");
  node a{where, quick("a"), security};
  node b{where, quick("b"), security};
  a.accounts(patient());
  b.accounts(patient());
  ASSERT_TRUE(a.settled({"a", "b"})) << a.picture();
  auto id = a.id_owned_by("b");
  auto before = log_lines::instance().count("has lost node");
  for (std::uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(is_sent_away(a.nodes().port()));
    ASSERT_TRUE(is_sent_away(b.nodes().port()));
    // Without an ID: it is called unknown where its link breaks.
    EXPECT_EQ(render(a.ask(id, deposit{1})), "accepted@" + std::to_string(i));
  }
  EXPECT_EQ(log_lines::instance().count("has lost node"), before);
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
