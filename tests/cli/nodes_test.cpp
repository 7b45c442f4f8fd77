// evented nodes

#include "cli/operator.hpp"

#include <evented/membership.hpp>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

/// A journal with a cluster of two nodes, of which one is gone.
class cli_nodes : public cli {
protected:
  void two_nodes() {
    auto join = [&](const char* name, std::uint16_t port,
                    std::vector<std::uint16_t> take) {
      node_description self;
      self.cluster = "shop";
      self.name = name;
      self.incarnation = uuid::v4();
      self.address = "127.0.0.1";
      self.port = port;
      self.protocol = "1";
      self.program = "host:1";
      self.shards = 4;
      self.lease = 1h;
      auto session = open()->connect_membership();
      session->join(self);
      cluster_picture known;
      membership_change change;
      change.take = std::move(take);
      ASSERT_TRUE(session->sync(self, change, known));
    };
    join("a", 4001, {0, 1});
    join("b", 4002, {2});
    // "a" runs a projection, whose owner has the name of its process.
    auto projections = open()->connect_projections();
    projections->declare("totals", 1, 2, from_beginning{});
    auto runner = uuid::v4();
    sql("insert into SCHEMA.runner values ('" + to_string(runner)
        + "', 'host:1', now(), now() + interval '1 hour')");
    EXPECT_TRUE(projections->acquire({"totals", 1, 0}, 1, runner));
    sql("update SCHEMA.node set program = 'host:2' where name = 'b'");
    sql("update SCHEMA.node set alive_until = clock_timestamp() - interval '1 "
        "minute' where name = 'b'");
  }
};

} // namespace

TEST_F(cli_nodes, are_listed_with_what_they_own) {
  two_nodes();
  auto found = run_json({"nodes"});
  EXPECT_EQ(found.code, 0) << found.err;
  auto clusters = found.parsed();
  ASSERT_EQ(clusters.size(), 1u);
  EXPECT_EQ(clusters[0]["cluster"], "shop");
  EXPECT_EQ(clusters[0]["shards"], 4);
  // One that nobody has ever owned, and one whose owner is gone.
  EXPECT_EQ(clusters[0]["free"], 2);
  auto& nodes = clusters[0]["nodes"];
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0]["name"], "a");
  EXPECT_EQ(nodes[0]["alive"], true);
  EXPECT_EQ(nodes[0]["shards"], 2);
  EXPECT_EQ(nodes[0]["port"], 4001);
  EXPECT_EQ(nodes[0]["projections"],
            json::parse(R"([{"name": "totals", "version": 1, "ranges": 1}])"));
  EXPECT_EQ(nodes[1]["projections"], json::array());
  EXPECT_EQ(nodes[1]["alive"], false);
  EXPECT_EQ(nodes[1]["shards"], 1);
  auto& leases = clusters[0]["leases"];
  ASSERT_EQ(leases.size(), 4u);
  EXPECT_EQ(leases[0]["node"], "a");
  EXPECT_EQ(leases[0]["epoch"], 1);
  EXPECT_EQ(leases[2]["alive"], false);
  EXPECT_EQ(leases[3]["node"], nullptr);
}

TEST_F(cli_nodes, are_shown_to_people) {
  two_nodes();
  auto found = run({"nodes", "--shards"});
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_NE(found.out.find("Cluster \"shop\": 4 shards, 2 of them owned by no "
                           "node that is alive"),
            std::string::npos)
    << found.out;
  EXPECT_NE(found.out.find("127.0.0.1:4001"), std::string::npos) << found.out;
  EXPECT_NE(found.out.find("totals (1)"), std::string::npos) << found.out;
  EXPECT_NE(found.out.find("gone"), std::string::npos) << found.out;
}

TEST_F(cli_nodes, are_none_where_none_has_joined) {
  open();
  auto found = run({"nodes"});
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_EQ(found.out, "No nodes yet.\n");
}
