// evented bench

#include "cli/operator.hpp"

#include <csignal>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class cli_bench : public cli {
protected:
  std::string trials() {
    return sql("select coalesce(string_agg(nspname, ' '), '') from "
               "pg_namespace where nspname like 'evented\\_bench\\_%'");
  }
};

} // namespace

TEST_F(cli_bench, measures_a_server_and_leaves_nothing) {
  append("account", "a"s, 3);
  auto before = sql("select string_agg(relname || ' ' || reltuples, ' ' order "
                    "by relname) from pg_class where relnamespace = "
                    "'SCHEMA'::regnamespace");
  auto found = run_json({"bench", "--seconds", "1", "--yes"});
  ASSERT_EQ(found.code, 0) << found.err;
  auto x = found.parsed();
  EXPECT_EQ(x["fsync"], "off");
  ASSERT_EQ(x["figures"].size(), 5U);
  for (auto& figure : x["figures"]) {
    EXPECT_GT(figure["per_second"], 0) << figure;
    EXPECT_GT(figure["median_ms"], 0) << figure;
    EXPECT_LE(figure["median_ms"], figure["p99_ms"]) << figure;
  }
  // Many commands a commit are what makes appends fast.
  EXPECT_GT(x["figures"][2]["per_second"], x["figures"][1]["per_second"]);
  EXPECT_EQ(trials(), "");
  EXPECT_EQ(sql("select string_agg(relname || ' ' || reltuples, ' ' order by "
                "relname) from pg_class where relnamespace = "
                "'SCHEMA'::regnamespace"),
            before);
  EXPECT_EQ(sql("select count(*) from SCHEMA.event"), "3");
}

TEST_F(cli_bench, is_readable_where_there_is_no_journal_yet) {
  auto found = run({"bench", "--seconds", "1", "--yes"});
  EXPECT_EQ(found.code, 0) << found.err;
  for (auto* text : {"round trip", "append, one command a commit",
                     "append, 256 commands a commit", "load of an entity",
                     "read in order", "per second", "median"})
    EXPECT_NE(found.out.find(text), std::string::npos) << found.out;
  EXPECT_EQ(trials(), "");
}

TEST_F(cli_bench, asks_first) {
  auto found = run({"bench"});
  EXPECT_EQ(found.code, 5) << found.out;
  EXPECT_NE(found.err.find("--yes"), std::string::npos) << found.err;
  EXPECT_EQ(trials(), "");
  EXPECT_EQ(run({"bench", "--seconds", "0"}).code, 2);
  EXPECT_EQ(run({"bench", "--seconds", "601"}).code, 2);
  EXPECT_EQ(run({"bench", "--seconds", "x"}).code, 2);
}

TEST_F(cli_bench, drops_its_schema_when_it_is_interrupted) {
  program x{here({"bench", "--seconds", "600", "--yes"})};
  ASSERT_TRUE(wait_until([&] { return !trials().empty(); }));
  x.signal(SIGINT);
  EXPECT_EQ(x.finish(), 130) << x.err();
  EXPECT_EQ(trials(), "");
}

TEST_F(cli_bench, tells_of_one_that_was_killed) {
  program x{here({"bench", "--seconds", "600", "--yes"})};
  ASSERT_TRUE(wait_until([&] { return !trials().empty(); }));
  x.signal(SIGKILL);
  x.finish();
  auto left = trials();
  auto found = run({"bench", "--seconds", "1", "--yes"});
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_NE(found.err.find("drop schema " + left + " cascade"),
            std::string::npos)
    << found.err;
  // It may be at work: it is not ours to drop.
  EXPECT_EQ(trials(), left);
  sql("drop schema " + left + " cascade");
}

TEST_F(cli_bench, says_who_may_not_make_a_schema) {
  sql("create role nobody_here login");
  program x{{"--database", server().url(), "bench", "--seconds", "1", "--yes"},
            {{"PGOPTIONS", "-c role=nobody_here"}}};
  EXPECT_EQ(x.finish(), 8) << x.out();
  EXPECT_NE(x.err().find("permission denied"), std::string::npos) << x.err();
  sql("drop role nobody_here");
}
