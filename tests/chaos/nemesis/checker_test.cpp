// Histories that the checker accepts, and such that contradict the journal or
// real time.

#include "chaos/nemesis/hand_made.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace evented::test::nemesis;

// -- good ones ----------------------------------------------------------------

TEST(checker, accepts_what_is_right) {
  EXPECT_EQ(verdict_on(good), std::vector<std::string>{});
}

TEST(checker, accepts_nothing_at_all) {
  EXPECT_EQ(verdict_on(""), std::vector<std::string>{});
}

TEST(checker, accepts_rejections_and_queries_that_can_be_explained) {
  EXPECT_EQ(verdict_on(and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"take_out","key":3,"amount":9}
{"line":"reply","call":3,"as":"rejected","version":2,"total":2}
{"line":"invoke","call":4,"entity":1,"verb":"ask_journal","key":4}
{"line":"reply","call":4,"as":"seen","version":2,"total":2}
{"line":"invoke","call":5,"entity":1,"verb":"add","key":5,"amount":1,"expect":1}
{"line":"reply","call":5,"as":"unexpected_version","version":2}
{"line":"invoke","call":6,"entity":1,"verb":"add","key":6,"amount":1,"parts":0}
{"line":"reply","call":6,"as":"accepted","version":2}
{"line":"snapshot","entity":1,"version":2,"total":2}
)")),
            std::vector<std::string>{});
}

TEST(checker, accepts_unknown_outcomes_with_an_effect_and_without) {
  for (std::string as : {"outcome_unknown", "lost"})
    for (std::string stored : {"", R"(
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
)"})
      EXPECT_EQ(verdict_on(R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":")"
                           + as + "\"}\n" + stored),
                std::vector<std::string>{});
}

TEST(checker, accepts_answers_of_calls_at_the_same_time_in_any_order) {
  EXPECT_EQ(verdict_on(R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":3}
{"line":"invoke","call":3,"entity":1,"verb":"ask_journal","key":3}
{"line":"reply","call":1,"as":"accepted","version":2,"seq_no":2}
{"line":"reply","call":3,"as":"seen","version":1,"total":3}
{"line":"reply","call":2,"as":"accepted","version":1,"seq_no":1}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":2,"amount":3}
{"line":"event","entity":1,"version":2,"seq_no":2,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"total","entity":1,"total":8}
)"),
            std::vector<std::string>{});
}

TEST(checker, accepts_a_command_with_an_id_that_was_sent_until_it_was_known) {
  EXPECT_EQ(verdict_on(R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5,"id":"p"}
{"line":"reply","call":1,"as":"lost"}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":1,"amount":5,"id":"p"}
{"line":"reply","call":2,"as":"unavailable"}
{"line":"invoke","call":3,"entity":1,"verb":"add","key":1,"amount":5,"id":"p"}
{"line":"reply","call":3,"as":"accepted","version":1,"seq_no":1}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"remembered","entity":1,"id":"p","outcome":"accepted","version":1,"seq_no":1}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
)"),
            std::vector<std::string>{});
}

TEST(checker, accepts_that_a_lossy_failover_takes_accepted_commands_back) {
  EXPECT_EQ(verdict_on(R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"accepted","version":1,"seq_no":1}
{"line":"checkpoint","range":"totals","seq_no":1,"epoch":2}
{"line":"failover","synchronous":false}
{"line":"checkpoint","range":"totals","seq_no":0,"epoch":1}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":3}
{"line":"reply","call":2,"as":"accepted","version":1,"seq_no":1}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":2,"amount":3}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":3}
)"),
            std::vector<std::string>{});
}

// -- the journal --------------------------------------------------------------

TEST(checker, refuses_a_hole_in_the_versions) {
  expect_refused("entity 1 has no version 2", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"lost"}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":5}
{"line":"reply","call":2,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"event","entity":1,"version":3,"seq_no":2,"key":2,"amount":5}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"total","entity":1,"total":10}
)");
}

TEST(checker, refuses_a_seq_no_that_does_not_grow_with_the_version) {
  expect_refused("seq_no 9 of entity 1 version 2 is not above 11",
                 R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"lost"}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":5}
{"line":"reply","call":2,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":11,"key":1,"amount":5}
{"line":"event","entity":1,"version":2,"seq_no":9,"key":2,"amount":5}
{"line":"handled","seq_no":11}
{"line":"handled","seq_no":9}
{"line":"total","entity":1,"total":10}
)");
}

TEST(checker, refuses_a_seq_no_that_stands_twice) {
  expect_refused("seq_no 1 stands twice", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"lost"}
{"line":"invoke","call":2,"entity":2,"verb":"add","key":2,"amount":5}
{"line":"reply","call":2,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"event","entity":2,"version":1,"seq_no":1,"key":2,"amount":5}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
{"line":"total","entity":2,"total":5}
)");
}

TEST(checker, refuses_an_event_that_nobody_asked_for) {
  expect_refused("nobody asked for entity 2 version 1", and_also(R"(
{"line":"event","entity":2,"version":1,"seq_no":20,"key":99,"amount":1}
{"line":"handled","seq_no":20}
{"line":"total","entity":2,"total":1}
)"));
}

TEST(checker, refuses_an_event_with_another_content_than_its_command) {
  expect_refused("entity 1 version 2 is not what call 2",
                 R"(
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":7}
{"line":"reply","call":2,"as":"lost"}
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":11,"key":1,"amount":5}
{"line":"event","entity":1,"version":2,"seq_no":14,"key":2,"amount":-3}
{"line":"handled","seq_no":11}
{"line":"handled","seq_no":14}
{"line":"total","entity":1,"total":2}
)");
}

// -- effects ------------------------------------------------------------------

TEST(checker, refuses_an_accepted_command_that_is_lost) {
  expect_refused("accepted at version 3, seq_no 15, but it has 0 events",
                 and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"add","key":3,"amount":1}
{"line":"reply","call":3,"as":"accepted","version":3,"seq_no":15}
)"));
}

TEST(checker, refuses_a_command_that_took_effect_twice) {
  expect_refused("call 1 (add #1 on entity 1) has 2 events instead of 1",
                 R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"outcome_unknown"}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"event","entity":1,"version":2,"seq_no":2,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"total","entity":1,"total":10}
)");
}

TEST(checker, refuses_half_a_command) {
  expect_refused("has 1 events instead of 2", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5,"parts":2}
{"line":"reply","call":1,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
)");
}

TEST(checker, refuses_a_command_that_is_torn_apart) {
  expect_refused("the events of call 1 (add #1 on entity 1) are torn apart", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5,"parts":2}
{"line":"reply","call":1,"as":"lost"}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":5}
{"line":"reply","call":2,"as":"lost"}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"event","entity":1,"version":2,"seq_no":2,"key":2,"amount":5}
{"line":"event","entity":1,"version":3,"seq_no":3,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"handled","seq_no":3}
{"line":"total","entity":1,"total":15}
)");
}

TEST(checker, refuses_an_effect_of_a_command_that_was_not_accepted) {
  for (std::string as :
       {"unavailable", "conflict", "overloaded", "shutting_down"})
    expect_refused("is stored, but was answered with " + as,
                   R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":")"
                     + as + R"("}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
)");
}

TEST(checker, refuses_a_rejected_command_that_is_stored) {
  expect_refused("is stored, but was answered with rejected",
                 and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"take_out","key":3,"amount":9}
{"line":"reply","call":3,"as":"rejected","version":2,"total":2}
{"line":"event","entity":1,"version":3,"seq_no":15,"key":3,"amount":-9}
{"line":"handled","seq_no":15}
)")
                   .replace(good.rfind("\"total\":2"), 9, "\"total\":-7"));
}

TEST(checker, refuses_a_call_without_an_answer) {
  expect_refused("call 3 (add #3 on entity 1) was never answered", and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"add","key":3,"amount":1}
)"));
}

// -- answers ------------------------------------------------------------------

TEST(checker, refuses_an_answer_with_another_version) {
  expect_refused(
    "but its last event has version 1, seq_no 11",
    with(R"("version":1,"seq_no":11})", R"("version":2,"seq_no":11})"));
}

TEST(checker, refuses_an_answer_with_another_seq_no) {
  expect_refused(
    "but its last event has version 1, seq_no 11",
    with(R"("version":1,"seq_no":11})", R"("version":1,"seq_no":12})"));
}

TEST(checker, refuses_a_reply_with_a_wrong_total) {
  expect_refused("but the total is 2 there",
                 with(R"("total":2})", R"("total":4})"));
}

TEST(checker, refuses_a_rejection_without_a_reason) {
  expect_refused("rejected without a reason", and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"take_out","key":3,"amount":2}
{"line":"reply","call":3,"as":"rejected","version":2,"total":2}
)"));
}

TEST(checker, refuses_an_error_without_a_reason) {
  for (auto [verb, as] :
       {std::pair{"add", "rejected"}, std::pair{"add", "handler_failed"},
        std::pair{"stumble", "invalid_event"}, std::pair{"add", "refused"},
        std::pair{"ask_memory", "outcome_unknown"},
        std::pair{"add", "unexpected_version"},
        std::pair{"ask_journal", "corrupt_event"},
        std::pair{"add", "an error that nobody knows"}})
    expect_refused("for no reason", and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":")"
                                             + std::string{verb}
                                             + R"(","key":3,"amount":9}
{"line":"reply","call":3,"as":")" + as + R"(","version":2,"total":2}
)"));
}

TEST(checker, refuses_a_rejection_on_a_state_that_never_existed) {
  expect_refused("but the total is 2 there", and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"take_out","key":3,"amount":9}
{"line":"reply","call":3,"as":"rejected","version":2,"total":1}
)"));
}

TEST(checker, refuses_a_version_that_the_journal_does_not_have) {
  expect_refused("there is no version 7", and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"ask_journal","key":3}
{"line":"reply","call":3,"as":"seen","version":7,"total":2}
)"));
}

TEST(checker, refuses_a_look_at_half_a_command) {
  expect_refused("in the middle of a command", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5,"parts":2}
{"line":"invoke","call":2,"entity":1,"verb":"ask_memory","key":2}
{"line":"reply","call":2,"as":"seen","version":1,"total":5}
{"line":"reply","call":1,"as":"accepted","version":2,"seq_no":2}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"event","entity":1,"version":2,"seq_no":2,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"total","entity":1,"total":10}
)");
}

TEST(checker, refuses_a_command_accepted_at_a_version_it_did_not_expect) {
  expect_refused("but expected version 0",
                 with(R"("id":"p"})", R"("id":"p","expect":0})"));
}

TEST(checker, refuses_an_unexpected_version_that_was_expected) {
  expect_refused("unexpected_version at version 2, which it expected",
                 and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"add","key":3,"amount":1,"expect":2}
{"line":"reply","call":3,"as":"unexpected_version","version":2}
)"));
}

// -- real time ----------------------------------------------------------------

TEST(checker, refuses_a_rejection_on_a_state_that_was_overtaken) {
  expect_refused("is at version 1, but version 2 had been answered before",
                 and_also(R"(
{"line":"invoke","call":3,"entity":1,"verb":"take_out","key":3,"amount":9}
{"line":"reply","call":3,"as":"rejected","version":1,"total":5}
)"));
}

TEST(checker, refuses_a_confirmed_query_that_goes_behind_another) {
  // Neither is wrong by itself: the command between them was never answered.
  expect_refused("is at version 0, but version 1 had been answered before", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"lost"}
{"line":"invoke","call":2,"entity":1,"verb":"ask_journal","key":2}
{"line":"reply","call":2,"as":"seen","version":1,"total":5}
{"line":"invoke","call":3,"entity":1,"verb":"ask_journal","key":3}
{"line":"reply","call":3,"as":"seen","version":0,"total":0}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
)");
}

TEST(checker, refuses_accepted_commands_in_an_order_that_time_forbids) {
  expect_refused("is at version 1, but version 2 had been answered before", R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"accepted","version":2,"seq_no":2}
{"line":"invoke","call":2,"entity":1,"verb":"add","key":2,"amount":3}
{"line":"reply","call":2,"as":"accepted","version":1,"seq_no":1}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":2,"amount":3}
{"line":"event","entity":1,"version":2,"seq_no":2,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"handled","seq_no":2}
{"line":"total","entity":1,"total":8}
)");
}

TEST(checker, refuses_an_answer_from_the_future) {
  expect_refused("version 1 was told by call 2", R"(
{"line":"invoke","call":2,"entity":1,"verb":"ask_journal","key":2}
{"line":"reply","call":2,"as":"seen","version":1,"total":5}
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"accepted","version":1,"seq_no":1}
{"line":"event","entity":1,"version":1,"seq_no":1,"key":1,"amount":5}
{"line":"handled","seq_no":1}
{"line":"total","entity":1,"total":5}
)");
}

TEST(checker, refuses_a_query_that_goes_behind_its_own_process) {
  expect_refused("its process had answered version 2 before", and_also(R"(
{"line":"invoke","call":3,"process":"b1","entity":1,"verb":"ask_memory","key":3}
{"line":"reply","call":3,"as":"seen","version":1,"total":5}
{"line":"invoke","call":4,"process":"a1","entity":1,"verb":"ask_memory","key":4}
{"line":"reply","call":4,"as":"seen","version":2,"total":2}
{"line":"invoke","call":5,"process":"a1","entity":1,"verb":"ask_memory","key":5}
{"line":"reply","call":5,"as":"seen","version":1,"total":5}
)"));
}
