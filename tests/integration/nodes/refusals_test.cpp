// Whom a node refuses, and in which words.

#include "integration/nodes/node.hpp"

#include <evented/actors/wire.hpp>

#include <caf/io/middleman.hpp>
#include <gtest/gtest.h>

#include <string>

using namespace std::literals;
using namespace evented;
using namespace evented::test;

namespace wire = evented::detail::wire;

namespace {

class node_refusals : public testing::Test {
protected:
  /// Returns why a node with these options cannot be.
  std::string refused(const cluster_options& how) {
    try {
      node x{where, how};
      return "it can";
    } catch (const error& e) {
      return std::string{to_string(e.code())} + ": " + e.what();
    }
  }

  /// A process that is no node, and can speak to nodes.
  struct stranger_process {
    stranger_process() : sys(with_middleman(cfg)), self(sys) {
      // nop
    }

    static config<caf::id_block::bank>&
    with_middleman(config<caf::id_block::bank>& cfg) {
      use_nodes(cfg);
      return cfg;
    }

    /// Sends something to a node and returns what came back.
    template <class T>
    std::string say(std::uint16_t port, const T& what) {
      auto to = sys.middleman().remote_actor("127.0.0.1", port);
      if (!to)
        return "no connection";
      std::string result;
      self->send(*to, what);
      self->receive([&](const wire::hello& y) { result = "hello " + y.name; },
                    [&](const wire::not_here&) { result = "not here"; },
                    [&](const accepted& y) {
                      result = "accepted@" + std::to_string(y.version);
                    },
                    [&](const caf::error& err) {
                      result = std::string{to_string(code_of(err))} + ": "
                               + text_of(err);
                    },
                    caf::after(30s) >> [&] { result = "no answer"; });
      return result;
    }

    config<caf::id_block::bank> cfg;
    caf::actor_system sys;
    caf::scoped_actor self;
  };

  journal_options where = fresh_journal();
};

} // namespace

TEST_F(node_refusals, name_what_is_wrong_with_the_options) {
  auto how = quick("a");
  how.address = "0.0.0.0";
  EXPECT_EQ(refused(how),
            "invalid_options: the address 0.0.0.0 can be reached by other "
            "machines, and without TLS everybody there can send commands: give "
            "use_nodes(cfg, ..) the certificates of the cluster, or say "
            "allow_plain");
  how.allow_plain = true;
  EXPECT_EQ(refused(how), "it can");
  how = quick("");
  EXPECT_TRUE(refused(how).starts_with("invalid_options: the name of a node"))
    << refused(how);
  how = quick("a");
  how.take_over = 1ms;
  EXPECT_EQ(refused(how),
            "invalid_options: cluster_options::take_over: at least 500 ms");
  bank without;
  journal entries{without.sys(), where};
  EXPECT_THROW((cluster{without.sys(), entries, quick("a")}), error);
}

TEST_F(node_refusals, keep_a_port_that_is_taken) {
  node a{where, quick("a")};
  auto how = quick("b");
  how.port = a.nodes().port();
  EXPECT_TRUE(refused(how).starts_with("invalid_options: cannot listen on "
                                       "127.0.0.1:"))
    << refused(how);
}

TEST_F(node_refusals, another_number_of_shards) {
  node a{where, quick("a")};
  auto how = quick("b");
  how.shards = 128;
  EXPECT_EQ(refused(how),
            "incompatible: the cluster \"evented\" has 64 shards, "
            "and this node asks for 128");
}

TEST_F(node_refusals, greetings_of_another_cluster_or_version) {
  node a{where, "a"};
  ASSERT_TRUE(a.settled({"a"}));
  stranger_process x;
  auto port = a.nodes().port();
  EXPECT_EQ(x.say(port, wire::hello{}),
            "incompatible: not a greeting of a node");
  EXPECT_TRUE(x.say(port, wire::hello{"other", "1", "x", uuid::v4()})
                .starts_with("incompatible: this is node \"a\" of cluster "
                             "\"evented\", which speaks evented 1, CAF "));
  EXPECT_TRUE(x.say(port, wire::hello{"evented", "evented 99", "x", uuid::v4()})
                .starts_with("incompatible: this is node \"a\""));
}

TEST_F(node_refusals, what_is_no_message_to_an_entity) {
  node a{where, "a"};
  ASSERT_TRUE(a.settled({"a"}));
  stranger_process x;
  auto port = a.nodes().port();
  using bytes = seam::wire_bytes;
  auto message = [&](auto... xs) {
    bytes result;
    EXPECT_EQ(seam::to_wire(x.sys, caf::make_message(xs...), result),
              caf::none);
    return result;
  };
  EXPECT_EQ(x.say(port, wire::forward{"nothing", {}}), "not here");
  EXPECT_EQ(x.say(port, wire::forward{"account", bytes(7, 'x')}),
            "unknown_command: account: a node cannot read this message of 7 "
            "bytes; let all nodes run the same program with the same options");
  EXPECT_TRUE(x.say(port, wire::forward{"account", {}})
                .starts_with("unknown_command: account: a node cannot read"));
  EXPECT_TRUE(x.say(port, wire::forward{"account", message(7)})
                .starts_with("unknown_command: account: no command"));
  auto whole = message(uuid::v4(), deposit{1});
  EXPECT_EQ(x.say(port, wire::forward{"account", whole}), "accepted@1");
  while (!whole.empty()) {
    whole.pop_back();
    EXPECT_EQ(x.say(port, wire::forward{"account", whole}).substr(0, 15),
              "unknown_command")
      << whole.size();
  }
  // Still there.
  EXPECT_EQ(render(a.ask(uuid::v4(), deposit{1})), "accepted@1");
}

TEST_F(node_refusals, a_message_that_is_too_large_for_the_way) {
  auto how = quick("a");
  how.max_message_bytes = 2000;
  node a{where, how};
  a.accounts();
  node b{where, "b"};
  ASSERT_TRUE(a.settled({"a", "b"}));
  ASSERT_TRUE(b.settled({"a", "b"}));
  auto id = a.id_owned_by("b");
  const write_note note{std::string(3000, 'x')};
  auto refused = a.ask(id, note);
  EXPECT_EQ(refused.code(), errc::unreachable);
  EXPECT_NE(text_of(refused.err).find("max_message_bytes is 2000"),
            std::string::npos)
    << text_of(refused.err);
  // The way back has room, and so has an entity of this node.
  EXPECT_EQ(render(b.ask(id, note)), "accepted@1");
  EXPECT_EQ(render(a.ask(a.id_owned_by("a"), note)), "accepted@1");
}
