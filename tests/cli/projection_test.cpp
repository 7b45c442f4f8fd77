// evented projection, evented dead-letters

#include "cli/operator.hpp"

#include <thread>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class cli_projection : public cli {
protected:
  cli_projection() {
    append("account", "a"s, 3);
    append("account", "b"s, 3);
    append("order", "c"s, 1);
    session_ = open()->connect_projections();
    session_->declare("totals", 1, 2, from_beginning{});
  }

  projection_status status() { return session_->status("totals"); }

  /// Takes a range, as a program does that runs the projection.
  range_lease take(std::uint16_t first = 0) {
    auto lease = session_->acquire({"totals", 1, first}, 1, uuid::v4());
    EXPECT_TRUE(lease);
    return *lease;
  }

  /// Stores dead letters of "a" (slice known) at the events 1 and 2.
  void park() {
    auto slice = slice_of("a"s);
    auto lease = take(slice < 512 ? 0 : 512);
    projection_step step;
    step.up_to = 2;
    step.letters = {{"account", "a"s, 1, letter_kind::parked, "the beast"},
                    {"account", "a"s, 2, letter_kind::behind, "one before it"}};
    session_->commit(lease, step);
  }

  /// Answers the next request, as a program does, and returns what it was.
  std::optional<projection_request> serve(const std::string& error,
                                          std::uint64_t count = 0) {
    auto mine = open()->connect_projections();
    std::optional<projection_request> found;
    EXPECT_TRUE(
      wait_until([&] { return (found = mine->take_request("totals")); }));
    if (found)
      mine->end_request(found->id, error, count);
    return found;
  }

  std::string operations() {
    return sql("select string_agg(verb || ' ' || outcome, ', ' order by id) "
               "from SCHEMA.operation");
  }

  std::unique_ptr<projection_session> session_;
};

} // namespace

TEST_F(cli_projection, is_listed_with_its_ranges) {
  auto x = run_json({"projection", "list"});
  ASSERT_EQ(x.code, 0) << x.err;
  auto found = x.parsed();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]["ranges"].size(), 2U);
  EXPECT_EQ(found[0]["lag_events"], 7);
  EXPECT_EQ(run({"projection", "list", "totals"}).code, 0);
  EXPECT_EQ(run({"projection", "list", "others"}).code, 6);
}

TEST_F(cli_projection, is_paused_under_its_runner) {
  auto lease = take();
  ASSERT_EQ(run({"projection", "pause", "totals"}).code, 0);
  EXPECT_TRUE(status().paused);
  projection_step step;
  step.up_to = 1;
  EXPECT_THROW(session_->commit(lease, step), fenced);
  EXPECT_FALSE(session_->acquire({"totals", 1, 0}, 1, uuid::v4()));
  ASSERT_EQ(run({"projection", "resume", "totals"}).code, 0);
  take();
  EXPECT_EQ(operations(), "projection pause done, projection resume done");
}

TEST_F(cli_projection, runs_again_after_an_error_where_it_is_resumed) {
  session_->report(take(), "the beast", 1, true);
  EXPECT_EQ(run_json({"projection", "list"}).parsed()[0]["state"], "halted");
  EXPECT_NE(run({"status"}).out.find("event 1: the beast"), std::string::npos);
  ASSERT_EQ(run({"projection", "resume", "totals"}).code, 0);
  take();
}

TEST_F(cli_projection, leaves_out_the_event_that_has_failed) {
  auto slice = slice_of("c"s);
  auto lease = take(slice < 512 ? 0 : 512);
  projection_step step;
  step.up_to = 2;
  session_->commit(lease, step);
  // Events of accounts come before it, and this projection reads orders only.
  session_->report(lease, "the beast", 7, true);
  auto x = run({"projection", "skip", "totals", "7"});
  EXPECT_EQ(x.code, 5) << x.err;
  x = run({"projection", "skip", "totals", "7", "--yes"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(session_->fate({"totals", 1, 0}, 7), letter_kind::skipped);
  EXPECT_EQ(run({"projection", "skip", "totals", "7", "--yes"}).code, 5);
  EXPECT_EQ(operations(), "projection skip done, projection skip failed");
}

TEST_F(cli_projection, leaves_out_the_next_event_only) {
  EXPECT_EQ(run({"projection", "skip", "totals", "2", "--yes"}).code, 5);
  EXPECT_EQ(run({"projection", "skip", "totals", "7", "--yes"}).code, 5);
  EXPECT_EQ(
    run({"projection", "skip", "totals", "7", "--type", "order", "--yes"}).code,
    0);
}

TEST_F(cli_projection, is_rescaled) {
  ASSERT_EQ(run({"projection", "rescale", "totals", "4"}).code, 0);
  EXPECT_EQ(status().rescale_to, 4);
  EXPECT_EQ(run({"projection", "rescale", "totals", "2"}).code, 5);
  EXPECT_EQ(run({"projection", "rescale", "totals", "1025"}).code, 2);
}

TEST_F(cli_projection, is_reset_by_the_program_that_runs_it) {
  std::optional<projection_request> got;
  std::thread other{[&] { got = serve(""); }};
  auto x = run({"projection", "reset", "totals", "--after", "4", "--yes"});
  other.join();
  ASSERT_EQ(x.code, 0) << x.err;
  ASSERT_TRUE(got);
  EXPECT_EQ(got->kind, request_kind::reset);
  ASSERT_TRUE(got->start);
  EXPECT_EQ(std::get<from_seq_no>(*got->start).after, 4U);
}

TEST_F(cli_projection, passes_on_what_its_program_says) {
  std::thread other{[&] { serve("a rebuild needs on_rebuild"); }};
  auto x = run({"projection", "rebuild", "totals"});
  other.join();
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("a rebuild needs on_rebuild"), std::string::npos);
  EXPECT_EQ(operations(), "projection rebuild failed");
}

TEST_F(cli_projection, leaves_no_request_behind_that_nobody_has_taken) {
  auto x = run({"projection", "reset", "totals", "--yes", "--timeout", "1"});
  EXPECT_EQ(x.code, 7) << x.err;
  EXPECT_FALSE(session_->take_request("totals"));
}

TEST_F(cli_projection, is_waited_for) {
  EXPECT_EQ(run({"projection", "wait", "totals", "--timeout", "0"}).code, 7);
  program waiting{here({"projection", "wait", "totals", "--json"})};
  for (std::uint16_t first : {0, 512}) {
    auto lease = take(first);
    projection_step step;
    step.up_to = 7;
    session_->commit(lease, step);
  }
  EXPECT_EQ(waiting.finish(), 0);
  EXPECT_EQ(json::parse(waiting.out())["seq_no"], 7);
  EXPECT_EQ(run({"projection", "wait", "totals", "--seq-no", "7"}).code, 0);
  EXPECT_EQ(run({"projection", "wait", "others"}).code, 6);
}

TEST_F(cli_projection, is_waited_for_in_one_slice) {
  park();
  auto x
    = run_json({"projection", "wait", "totals", "--seq-no", "1", "--id", "a"});
  EXPECT_EQ(x.code, 1) << x.err;
  EXPECT_EQ(x.parsed()["fate"], "parked");
}

TEST_F(cli_projection, takes_no_harm_from_hostile_names) {
  for (auto name : {"'; drop table x; --", "{schema}", "\x1b[2J", "a b"})
    for (auto verb : {"pause", "resume", "reset", "rebuild", "wait"}) {
      std::vector<std::string> arguments{"projection", verb, name};
      if (verb == "reset"s)
        arguments.emplace_back("--yes");
      auto x = run(arguments);
      EXPECT_EQ(x.code, 6) << x.err;
      EXPECT_EQ(x.err.find('\x1b'), std::string::npos);
    }
  EXPECT_EQ(operations(), "");
}

// -- dead letters -------------------------------------------------------------

TEST_F(cli_projection, has_dead_letters_to_look_at) {
  park();
  auto x = run_json({"dead-letters", "list"});
  ASSERT_EQ(x.code, 0) << x.err;
  auto lines = x.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["kind"], "parked");
  EXPECT_EQ(lines[0]["error"], "the beast");
  EXPECT_EQ(
    run_json({"dead-letters", "list", "totals", "--after", "1"}).lines().size(),
    1U);
  EXPECT_EQ(run({"dead-letters", "list", "others"}).code, 6);
  x = run_json({"dead-letters", "show", "totals", "2"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.lines().at(1)["event"]["n"], 2);
  EXPECT_EQ(run({"dead-letters", "show", "totals", "3"}).code, 6);
}

TEST_F(cli_projection, has_dead_letters_replayed_by_its_program) {
  park();
  std::optional<projection_request> got;
  std::thread other{[&] { got = serve("", 2); }};
  auto x = run_json({"dead-letters", "replay", "totals", "2"});
  other.join();
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["replayed"], 2);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->kind, request_kind::replay);
  EXPECT_EQ(got->type_name, "account");
  EXPECT_EQ(got->entity, entity_id{"a"s});
  EXPECT_EQ(operations(), "dead-letters replay done");
}

TEST_F(cli_projection, has_all_dead_letters_replayed_entity_by_entity) {
  park();
  std::thread other{[&] { serve("", 2); }};
  auto x = run_json({"dead-letters", "replay", "totals", "--all"});
  other.join();
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["replayed"], 2);
  EXPECT_EQ(run({"dead-letters", "replay", "totals"}).code, 2);
}

TEST_F(cli_projection, forgets_a_dead_letter_only_when_it_is_told_so) {
  park();
  EXPECT_EQ(run({"dead-letters", "drop", "totals", "1"}).code, 5);
  EXPECT_EQ(session_->letters("totals", 0, 10).size(), 2U);
  EXPECT_EQ(run({"dead-letters", "drop", "totals", "1", "--yes"}).code, 0);
  EXPECT_EQ(session_->letters("totals", 0, 10).size(), 1U);
  EXPECT_EQ(run({"dead-letters", "drop", "totals", "1", "--yes"}).code, 6);
  EXPECT_EQ(operations(), "dead-letters drop done");
}
