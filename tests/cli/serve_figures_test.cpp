// evented serve: nodes, and figures that the journal or applications tell.

#include "cli/dashboard.hpp"
#include "cli/teller.hpp"

#include <evented/membership.hpp>

#include <atomic>

using namespace evented;
using namespace evented::test;

namespace {

auto tells(const std::string& text) {
  return [text](const httplib::Request&, httplib::Response& to) {
    to.set_content(text, "text/plain");
  };
}

} // namespace

TEST_F(cli_serve, shows_nodes_and_their_leases) {
  node_description self;
  self.cluster = "shop";
  self.name = "a";
  self.incarnation = uuid::v4();
  self.address = "127.0.0.1";
  self.port = 4001;
  self.protocol = "1";
  self.program = "host:1";
  self.shards = 4;
  self.lease = 1h;
  auto session = open()->connect_membership();
  session->join(self);
  cluster_picture known;
  membership_change change;
  change.take = {0, 3};
  ASSERT_TRUE(session->sync(self, change, known));
  serve();
  auto clusters = get("/api/nodes")["clusters"];
  ASSERT_EQ(clusters.size(), 1U);
  EXPECT_EQ(clusters[0]["free"], 2);
  EXPECT_EQ(clusters[0]["nodes"][0]["shards"], 2);
  EXPECT_GT(clusters[0]["nodes"][0]["lease_seconds"], 3000);
  EXPECT_EQ(clusters[0]["leases"][3]["node"], "a");
  EXPECT_EQ(clusters[0]["leases"][3]["epoch"], 1);
  EXPECT_EQ(clusters[0]["leases"][1]["node"], nullptr);
}

TEST_F(cli_serve, tells_how_many_commands_a_commit_stores) {
  // Two appends in one transaction, after the three of the fixture.
  sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
      "event_name, schema_version, append_id, event) select 'order', 'd', i, "
      + std::to_string(slice_of("d"s))
      + ", 'happened', 1, gen_random_uuid(), '{}' from generate_series(1, 2) "
        "as i");
  serve();
  EXPECT_EQ(get("/api/overview")["recent"],
            json::parse(R"({"events": 8, "appends": 5, "commits": 4})"));
  // What is long ago does not count.
  sql("alter table SCHEMA.event disable trigger user");
  sql("update SCHEMA.event set created_at = created_at - interval '1 minute'");
  EXPECT_TRUE(wait_until([&] {
    return get("/api/overview")["recent"]
           == json::parse(R"({"events": 0, "appends": 0, "commits": 0})");
  }));
}

TEST_F(cli_serve, asks_applications_how_long_their_commits_take) {
  teller good{tells("# TYPE evented_commit_duration_seconds histogram\n"
                    "evented_commit_duration_seconds_count 4\n"
                    "evented_commit_duration_seconds_sum{a=\"} 9\"} 0.5\n"
                    "evented_commit_duration_seconds_bucket{le=\"1\"} 7\n"
                    "evented_commit_duration_seconds_count{x=\"1\"} NaN\n"
                    "evented_commit_duration_seconds_countless 8\n"
                    "evented_commit_duration_seconds_sum -3\n"
                    "evented_commit_duration_seconds_sum")};
  teller none{[](auto&, httplib::Response& to) { to.status = 503; }};
  serve({"--application", good.url(), "--application", none.url() + "/metrics",
         "--application", "http://127.0.0.1:1/x"});
  auto found = get("/api/applications")["applications"];
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0], (json{{"url", good.url() + "/metrics"},
                            {"commits", 4.0},
                            {"seconds", 0.5}}));
  EXPECT_EQ(found[1]["error"], "it answers with status 503");
  EXPECT_EQ(found[2]["error"], "it does not answer");
  EXPECT_EQ(stop(), "");
}

TEST_F(cli_serve, does_not_wait_for_an_application_that_never_ends) {
  // A byte now and then, for ever.
  std::atomic<bool> over{false};
  teller endless{[&](auto&, httplib::Response& to) {
    to.set_chunked_content_provider(
      "text/plain", [&](std::size_t, httplib::DataSink& sink) {
        if (over || !sink.write("x", 1))
          return false;
        return !wait_until([&] { return over.load(); }, 10ms);
      });
  }};
  serve({"--application", endless.url()});
  auto found = get("/api/applications")["applications"];
  EXPECT_EQ(found[0]["error"], "it does not answer");
  get("/api/overview");
  over = true;
}

TEST_F(cli_serve, asks_nobody_but_whom_it_was_told) {
  for (auto* url :
       {"", "127.0.0.1:9464", "https://127.0.0.1", "file:///etc/passwd",
        "http://", "http://:80", "http://a:0", "http://a:65536", "http://a:b",
        "http://user:secret@a/", "http://a/\r\nX: y", "http://a b/",
        "http://[::1/metrics"}) {
    auto x = run({"serve", "--listen", "127.0.0.1:0", "--application", url});
    EXPECT_EQ(x.code, 2) << url << x.out << x.err;
  }
  serve();
  EXPECT_EQ(get("/api/applications?url=http://127.0.0.1:1/")["applications"],
            json::array());
}
