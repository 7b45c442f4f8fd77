// evented serve: what the dashboard shows and does.

#include "cli/dashboard.hpp"

#include <optional>
#include <thread>

using namespace evented;
using namespace evented::test;

// -- looking ------------------------------------------------------------------

TEST_F(cli_serve, shows_the_state_of_the_journal) {
  serve();
  auto x = get("/api/overview");
  EXPECT_EQ(x["frontier"], 6);
  ASSERT_EQ(x["projections"].size(), 1U);
  EXPECT_EQ(x["projections"][0]["lag_events"], 6);
  auto types = get("/api/types")["types"];
  ASSERT_EQ(types.size(), 2U);
  EXPECT_EQ(types[0]["entities"], 2);
  EXPECT_EQ(types[0]["events"], 5);
  EXPECT_EQ(stop(), "");
}

TEST_F(cli_serve, pages_through_entities_in_the_order_of_their_ids) {
  for (auto i = 10; i < 20; ++i)
    append("thing", "t" + std::to_string(i), 2);
  serve();
  std::string seen;
  std::string after;
  for (;;) {
    auto page
      = get("/api/entities?type=thing&limit=3&after=" + after)["entities"];
    for (auto& e : page) {
      EXPECT_EQ(e["version"], 2);
      after = e["id"];
      seen += after + " ";
    }
    if (page.size() < 3)
      break;
  }
  EXPECT_EQ(seen, "t10 t11 t12 t13 t14 t15 t16 t17 t18 t19 ");
  auto from = get("/api/entities?type=thing&limit=1&from=t15")["entities"];
  EXPECT_EQ(from[0]["id"], "t15");
}

TEST_F(cli_serve, pages_through_events_both_ways) {
  serve();
  auto numbers = [this](const std::string& query) {
    std::string result;
    auto found = get("/api/events?limit=2" + query)["events"];
    for (auto& e : found)
      result += std::to_string(e["seq_no"].get<int>()) + " ";
    return result;
  };
  EXPECT_EQ(numbers(""), "5 6 ");
  EXPECT_EQ(numbers("&up_to=4"), "3 4 ");
  EXPECT_EQ(numbers("&after=0"), "1 2 ");
  EXPECT_EQ(numbers("&type=order"), "6 ");
  EXPECT_EQ(numbers("&type=account&id=a"), "2 3 ");
  EXPECT_EQ(numbers("&name=never"), "");
}

TEST_F(cli_serve, shows_an_entity_at_each_of_its_versions) {
  serve();
  EXPECT_EQ(get("/api/entity?type=account&id=a")["version"], 3);
  auto found = get("/api/history?type=account&id=a&from=2&limit=1")["events"];
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]["version"], 2);
  EXPECT_EQ(json::parse(found[0]["payload"].get<std::string>())["n"], 2);
  EXPECT_TRUE(
    get("/api/history?type=account&id=a&from=9223372036854775807")["events"]
      .empty());
  get("/api/entity?type=account&id=nobody", 404);
  EXPECT_EQ(get("/api/event?type=order&seq_no=6")["id"], "c");
  get("/api/event?type=order&seq_no=1", 404);
}

TEST_F(cli_serve, leaves_large_numbers_as_they_are) {
  sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
      "event_name, schema_version, append_id, event) values ('big', 'x', 1, "
      + std::to_string(slice_of("x"s))
      + ", 'happened', 1, gen_random_uuid(), '{\"n\": 9007199254740993}')");
  serve();
  auto found = get("/api/history?type=big&id=x")["events"];
  EXPECT_EQ(found[0]["payload"], R"({"n": 9007199254740993})");
}

TEST_F(cli_serve, tells_prometheus_what_the_journal_knows) {
  park();
  serve();
  auto found = client_->Get("/metrics");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->status, 200);
  for (auto* line : {"\nevented_journal_frontier_seq_no 6\n",
                     "\nevented_journal_projection_dead_letters{projection="
                     "\"totals\"} 2\n",
                     "\nevented_journal_projection_lag_events{projection="
                     "\"totals\"} 4\n"})
    EXPECT_NE(found->body.find(line), std::string::npos) << found->body;
}

// -- changing -----------------------------------------------------------------

TEST_F(cli_serve, does_what_the_verbs_do_and_writes_it_down) {
  park();
  serve();
  post("/api/projection/pause", {{"projection", "totals"}});
  EXPECT_TRUE(session_->status("totals").paused);
  post("/api/projection/resume", {{"projection", "totals"}});
  EXPECT_FALSE(session_->status("totals").paused);
  EXPECT_EQ(get("/api/letters")["letters"].size(), 2U);
  post("/api/letters/drop",
       {{"projection", "totals"}, {"seq_no", 2}, {"confirm", "totals"}});
  EXPECT_EQ(get("/api/letters")["letters"].size(), 1U);
  EXPECT_EQ(operations(), "projection pause done, projection resume done, "
                          "dead-letters drop done");
  auto found = get("/api/operations")["operations"];
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0]["verb"], "dead-letters drop");
  // From where, as whom.
  EXPECT_NE(found[0]["client"].get<std::string>().find("127.0.0.1 by "),
            std::string::npos);
}

TEST_F(cli_serve, takes_no_number_for_an_event_that_none_can_have) {
  park();
  serve();
  for (json number : {json(0), json(-2), json("2"), json(2.5), json(),
                      json(9'223'372'036'854'775'808U)})
    post("/api/letters/drop",
         {{"projection", "totals"}, {"seq_no", number}, {"confirm", "totals"}},
         400);
  EXPECT_EQ(get("/api/letters")["letters"].size(), 2U);
}

TEST_F(cli_serve, asks_the_program_that_runs_the_projection) {
  serve();
  std::thread program{[this] {
    auto mine = open()->connect_projections();
    std::optional<projection_request> found;
    EXPECT_TRUE(
      wait_until([&] { return (found = mine->take_request("totals")); }));
    if (found)
      mine->end_request(found->id, "no, not now", 0);
  }};
  auto answer = post("/api/projection/reset",
                     {{"projection", "totals"}, {"confirm", "totals"}}, 409);
  program.join();
  EXPECT_NE(answer["error"].get<std::string>().find("no, not now"),
            std::string::npos);
  EXPECT_EQ(operations(), "projection reset failed");
}

TEST_F(cli_serve, wants_the_name_once_more_before_what_is_for_good) {
  park();
  serve();
  auto before = journal_hash();
  for (auto* path : {"/api/projection/reset", "/api/projection/rebuild",
                     "/api/projection/skip", "/api/letters/drop"})
    for (auto& confirm : {json(), json("other"), json(true)})
      post(path,
           {{"projection", "totals"}, {"seq_no", 1}, {"confirm", confirm}},
           409);
  EXPECT_EQ(journal_hash(), before);
}

TEST_F(cli_serve, changes_nothing_where_it_may_only_look) {
  park();
  serve({"--read-only"});
  auto before = journal_hash();
  post("/api/projection/pause", {{"projection", "totals"}}, 409);
  post("/api/letters/drop",
       {{"projection", "totals"}, {"seq_no", 2}, {"confirm", "totals"}}, 409);
  EXPECT_TRUE(get("/api/session")["read_only"].get<bool>());
  EXPECT_EQ(journal_hash(), before);
}

TEST_F(cli_serve, gives_up_on_what_takes_the_database_too_long) {
  serve();
  get("/api/types");
  raw_connection other;
  other.exec("begin");
  other.exec("lock table " + options.schema + ".event");
  std::thread asking{[this] {
    EXPECT_NE(get("/api/types", 504)["error"].get<std::string>().find(
                "the database has given up"),
              std::string::npos);
  }};
  // As its own time limit would, but at once.
  EXPECT_TRUE(wait_until([&] {
    return sql("select count(pg_cancel_backend(pid)) from pg_stat_activity "
               "where wait_event_type = 'Lock' and query like '%"
               + options.schema + "%' and pid <> pg_backend_pid()")
           != "0";
  }));
  asking.join();
  other.exec("rollback");
  get("/api/types");
}

TEST_F(cli_serve, ends_however_early_it_is_told_to) {
  for (auto i = 0; i < 20; ++i) {
    serve();
    stop();
  }
}

TEST_F(cli_serve, answers_again_once_the_database_is_back) {
  serve();
  get("/api/types");
  sql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> "
      "pg_backend_pid() and backend_type = 'client backend'");
  EXPECT_TRUE(wait_until([&] {
    auto found = client_->Get("/api/types");
    return found && found->status == 200;
  }));
}
