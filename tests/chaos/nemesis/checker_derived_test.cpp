// Histories that contradict what is remembered and what is derived from the
// journal, and the format in which histories are kept.

#include "chaos/nemesis/hand_made.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

using namespace evented::test::nemesis;

// -- commands with an ID ------------------------------------------------------

TEST(checker, refuses_two_answers_to_one_command_id) {
  expect_refused("was answered with accepted at version 2, seq_no 14, total 2 "
                 "before",
                 and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"take_out","key":2,"amount":3,"id":"p"}
{"line":"reply","call":3,"as":"rejected","version":2,"total":2}
)"));
}

TEST(checker, refuses_an_answer_that_was_forgotten) {
  auto text = std::string{two_calls} + two_events + the_view;
  expect_refused("call 2 (take_out #2 on entity 1, id p) is not remembered",
                 text);
}

TEST(checker, refuses_another_answer_to_be_remembered) {
  expect_refused("remembered as accepted at version 1, seq_no 14",
                 with(R"("outcome":"accepted","version":2)",
                      R"("outcome":"accepted","version":1)"));
}

TEST(checker, refuses_what_is_remembered_of_nobody) {
  expect_refused("nobody sent the command ID q to entity 1", and_also(R"(
{"line":"remembered","entity":1,"id":"q","outcome":"accepted","version":2,"seq_no":14}
)"));
}

TEST(checker, refuses_two_commands_with_one_id) {
  expect_refused("call 3 (add #3 on entity 1, id p) took effect besides call 2",
                 R"(
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":3,"id":"p"}
{"line":"reply","call":2,"as":"lost"}
{"line":"invoke","call":3,"entity":1,"verb":"add","key":3,"amount":3,"id":"p"}
{"line":"reply","call":3,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":2,"amount":3}
{"line":"event","entity":1,"version":2,"seq_no":2,"key":3,"amount":3}
{"line":"remembered","entity":1,"id":"p","outcome":"accepted","version":1,"seq_no":1}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"total","entity":1,"total":6}
)");
}

// -- what is derived ----------------------------------------------------------

TEST(checker, refuses_a_view_that_has_missed_an_event) {
  expect_refused("the view has not got seq_no 14",
                 with(R"({"line":"handled","seq_no":14})", ""));
}

TEST(checker, refuses_a_view_that_has_got_an_event_twice) {
  expect_refused("the view has got seq_no 14 twice", and_also(R"(
{"line":"handled","seq_no":14}
)"));
}

TEST(checker, refuses_a_view_that_has_got_events_in_a_wrong_order) {
  expect_refused("the view has got version 1 of entity 1 after version 2",
                 std::string{two_calls} + two_events + one_remembered + R"(
{"line":"handled","seq_no":14}
{"line":"handled","seq_no":11}
{"line":"total","entity":1,"total":2}
)");
}

TEST(checker, refuses_a_view_of_an_event_that_was_rolled_back) {
  expect_refused("the view has got seq_no 20, which is no event", and_also(R"(
{"line":"handled","seq_no":20}
)"));
}

TEST(checker, refuses_a_view_that_adds_up_wrongly) {
  expect_refused("the view says 3 of entity 1 instead of 2",
                 with(R"({"line":"total","entity":1,"total":2})",
                      R"({"line":"total","entity":1,"total":3})"));
}

TEST(checker, refuses_a_checkpoint_that_moves_back) {
  expect_refused("the checkpoint of totals moved from 14 to 11", and_also(R"(
{"line":"checkpoint","range":"totals","seq_no":14,"epoch":2}
{"line":"checkpoint","range":"totals","seq_no":11,"epoch":3}
)"));
}

TEST(checker, refuses_an_epoch_that_moves_back) {
  expect_refused("the epoch of totals moved from 2 to 1", and_also(R"(
{"line":"checkpoint","range":"totals","seq_no":11,"epoch":2}
{"line":"checkpoint","range":"totals","seq_no":14,"epoch":1}
)"));
}

TEST(checker, refuses_a_snapshot_that_says_something_else) {
  expect_refused("the snapshot of entity 1 at version 2 says 5 instead of 2",
                 and_also(R"(
{"line":"snapshot","entity":1,"version":2,"total":5}
)"));
}

TEST(checker, refuses_a_snapshot_that_is_ahead_of_the_journal) {
  expect_refused("the snapshot of entity 1 at version 9", and_also(R"(
{"line":"snapshot","entity":1,"version":9,"total":2}
)"));
}

// -- failover -----------------------------------------------------------------

TEST(checker, refuses_a_loss_in_a_synchronous_failover) {
  expect_refused("but it has 0 events", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"accepted","version":1,"seq_no":1}
{"line":"failover","synchronous":true}
)");
}

TEST(checker, refuses_a_loss_after_a_lossy_failover) {
  expect_refused("but it has 0 events", R"(
{"line":"failover","synchronous":false}
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"accepted","version":1,"seq_no":1}
)");
}

// -- the format ---------------------------------------------------------------

TEST(history, says_which_line_is_garbled) {
  std::istringstream in{R"({"line":"run","seed":1}
{"line":"invoke","call":)"};
  try {
    read(in);
    FAIL();
  } catch (const std::exception& e) {
    EXPECT_EQ(std::string{e.what()}.substr(0, 7), "line 2:") << e.what();
  }
}

TEST(history, reads_what_it_writes) {
  call one;
  one.number = 4;
  one.client = "c";
  one.process = "a1";
  one.entity = 3;
  one.verb = "take_out";
  one.key = 9;
  one.amount = 2;
  one.id = "p";
  one.expected = 7;
  reply told{"rejected", 7, 0, -1, "too \"little\"\n"};
  auto text = run_line(5, "test") + '\n' + stamped(to_line(one)) + '\n'
              + stamped(to_line(4, told)) + '\n' + failover_line(false) + '\n'
              + to_line(event{3, 1, 2, 9, -2}) + '\n'
              + to_line(remembered{3, "p", "rejected", 7, 0}) + '\n'
              + to_line(snapshot{3, 1, -2}) + '\n' + handled_line(2) + '\n'
              + to_line(view_total{3, -2}) + '\n'
              + to_line(checkpoint{"totals", 2, 1, 0}) + '\n'
              + fault_line("one") + '\n';
  std::istringstream in{text};
  auto found = read(in);
  EXPECT_EQ(found.seed, 5u);
  ASSERT_EQ(found.calls.size(), 1u);
  EXPECT_EQ(to_string(found.calls[0]), to_string(one));
  EXPECT_EQ(found.calls[0].answer, told);
  EXPECT_EQ(found.lossy_failover, moment{3});
  EXPECT_EQ(summary(found), "1 calls (rejected 1), 1 events, 1 remembered "
                            "commands, 1 snapshots, 1 checkpoints seen");
  EXPECT_EQ(found.faults, std::vector<std::string>{"one"});
}
