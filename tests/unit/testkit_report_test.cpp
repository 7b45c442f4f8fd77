// What the reports of the test kit say.

#include "support/order.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace shop;

using evented::testkit::check_failed;
using evented::testkit::given;

TEST(testkit_report, shows_other_events) {
  EXPECT_EQ(report_of([] {
              given<order>(line_added{"tea", 2})
                .when(close_order{})
                .then(order_closed{}, line_added{"milk", 1});
            }),
            "the command has another outcome\n"
            "  given     line_added {\"article\":\"tea\",\"count\":2}\n"
            "  when      close_order [false]\n"
            "  expected  order-closed {}\n"
            "            line_added {\"article\":\"milk\",\"count\":1}\n"
            "  got       line_added {\"article\":\"some-order\",\"count\":1}\n"
            "            order-closed {}");
}

TEST(testkit_report, names_file_and_line_of_the_command) {
  try {
    given<order>().when(clear{}).then(order_closed{});
    FAIL();
  } catch (const check_failed& e) {
    EXPECT_EQ(std::string{e.what()}.find(
                __FILE__ + (":" + std::to_string(__LINE__ - 4)) + ": "),
              0u)
      << e.what();
  }
}

TEST(testkit_report, shows_earlier_commands) {
  EXPECT_EQ(report_of([] {
              given<order>(line_added{"tea", 1})
                .when(add_line{"tea", 2})
                .then_accepted()
                .when(clear{})
                .then(order_closed{});
            }),
            "the command has another outcome\n"
            "  given     line_added {\"article\":\"tea\",\"count\":1}\n"
            "            -> add_line [\"tea\",2]\n"
            "            line_added {\"article\":\"tea\",\"count\":2}\n"
            "  when      clear {}\n"
            "  expected  order-closed {}\n"
            "  got       accepted, no events");
}

TEST(testkit_report, shows_rejections) {
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 11}).then_nothing();
            }),
            "the command has another outcome\n"
            "  when      add_line [\"tea\",11]\n"
            "  expected  accepted, no events\n"
            "  got       rejected with too_many [10]");
  EXPECT_EQ(
    report_of([] {
      given<order>().when(add_line{"tea", 11}).then_rejected(too_many{9});
    }),
    "the command has another outcome\n"
    "  when      add_line [\"tea\",11]\n"
    "  expected  rejected with too_many [9]\n"
    "  got       rejected with too_many [10]");
  EXPECT_EQ(report_of([] {
              given<order>().when(close_order{}).then_rejected<closed>();
            }),
            "the command has another outcome\n"
            "  when      close_order [false]\n"
            "  expected  rejected with closed\n"
            "  got       line_added {\"article\":\"some-order\",\"count\":1}\n"
            "            order-closed {}");
  EXPECT_EQ(report_of([] {
              given<order>()
                .when(add_line{"tea", 11})
                .then_rejected<too_many>([](auto& x) { return x.left == 0; });
            }),
            "the command has another outcome\n"
            "  when      add_line [\"tea\",11]\n"
            "  expected  rejected with too_many that meets the condition\n"
            "  got       rejected with too_many [10]");
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 11}).then_accepted();
            }),
            "the command is not accepted\n"
            "  when      add_line [\"tea\",11]\n"
            "  expected  accepted\n"
            "  got       rejected with too_many [10]");
}

TEST(testkit_report, shows_another_state) {
  EXPECT_EQ(
    report_of([] {
      given<order>(line_added{"tea", 1}).when(clear{}).then_state(order{});
    }),
    "the state is another one\n"
    "  given     line_added {\"article\":\"tea\",\"count\":1}\n"
    "  when      clear {}\n"
    "  expected  [[],false,0]\n"
    "  got       [[[\"tea\",1]],false,0]");
  EXPECT_EQ(report_of([] {
              given<order>().when(clear{}).then_state(
                [](const order& x) { return x.is_closed; });
            }),
            "the state is another one\n"
            "  when      clear {}\n"
            "  expected  the state meets the condition\n"
            "  got       [[],false,0]");
}

TEST(testkit_report, shows_another_reply) {
  EXPECT_EQ(report_of([] { given<order>().when(close_order{}).then_reply(2); }),
            "the reply is another one\n"
            "  when      close_order [false]\n"
            "  expected  2\n"
            "  got       1");
  EXPECT_EQ(
    report_of([] { given<order>().when(close_order{true}).then_reply(2); }),
    "the command is not accepted\n"
    "  when      close_order [true]\n"
    "  expected  2\n"
    "  got       rejected with closed {}");
}

TEST(testkit_report, shows_other_metadata_and_versions) {
  EXPECT_EQ(
    report_of([] {
      given<order>().when(add_line{"tea", 1}).then_metadata(author{"bob"});
    }),
    "the metadata is another one\n"
    "  when      add_line [\"tea\",1]\n"
    "  expected  {\"name\":\"bob\"}\n"
    "  got       {\"name\":\"ada\"}");
  EXPECT_EQ(report_of([] {
              given<order>().when(clear{}).then_metadata(author{"bob"});
            }),
            "the metadata is another one\n"
            "  when      clear {}\n"
            "  expected  {\"name\":\"bob\"}\n"
            "  got       none");
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 1}).then_no_metadata();
            }),
            "there is metadata\n"
            "  when      add_line [\"tea\",1]\n"
            "  expected  no metadata\n"
            "  got       {\"name\":\"ada\"}");
  EXPECT_EQ(report_of([] { given<order>().when(clear{}).then_version(1); }),
            "the version is another one\n"
            "  when      clear {}\n"
            "  expected  1\n"
            "  got       0");
}

TEST(testkit_report, tells_of_missing_and_unwanted_effects) {
  EXPECT_EQ(report_of([] { given<order>().when(clear{}).run_effect(); }),
            "there is no effect\n"
            "  when      clear {}\n"
            "  expected  an effect\n"
            "  got       accepted, no events");
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 1}).then_no_effect();
            }),
            "there is an effect\n"
            "  when      add_line [\"tea\",1]\n"
            "  expected  no effect\n"
            "  got       line_added {\"article\":\"tea\",\"count\":1}");
}

TEST(testkit_report, tells_of_exceptions) {
  auto expected = [](const std::string& summary, const std::string& rest) {
    return summary + "\n  when      misbehave [\"throw\"]\n" + rest
           + "  got       the handler threw: no idea";
  };
  EXPECT_EQ(report_of([] {
              given<order>().when(misbehave{"throw"}).then(order_closed{});
            }),
            expected("the command has another outcome",
                     "  expected  order-closed {}\n"));
  // Also where the test looks at something else, or goes on without looking.
  EXPECT_EQ(report_of([] {
              given<order>().when(misbehave{"throw"}).then_state(order{});
            }),
            expected("the command failed", ""));
  EXPECT_EQ(
    report_of([] {
      given<order>().when(misbehave{"throw"}).when(clear{}).then_accepted();
    }),
    expected("the command failed", ""));
  EXPECT_EQ(
    report_of([] { given<order>().when(misbehave{"throw"}).then_throws("x"); }),
    expected("the command has another outcome",
             "  expected  an exception with the text \"x\"\n"));
  EXPECT_EQ(report_of([] {
              given<order>().when(misbehave{"throw later"}).then_nothing();
            }),
            "the command has another outcome\n"
            "  when      misbehave [\"throw later\"]\n"
            "  expected  accepted, no events\n"
            "  got       apply(bad {}) threw: bad event");
  EXPECT_EQ(report_of([] { given<order>().when(clear{}).then_throws(); }),
            "the command has another outcome\n"
            "  when      clear {}\n"
            "  expected  an exception\n"
            "  got       accepted, no events");
}

TEST(testkit_report, tells_of_given_events_that_cannot_be_applied) {
  EXPECT_EQ(report_of([] { (void)given<order>(order_closed{}, bad{}); }),
            "an event that was given cannot be applied\n"
            "  given     order-closed {}\n"
            "            bad {}\n"
            "  got       exception bad event");
}
