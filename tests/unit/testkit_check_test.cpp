// What the test kit finds that the test has not asked for.

#include "support/order.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

using namespace shop;

using evented::codec;
using evented::testkit::check_codecs;
using evented::testkit::given;

namespace {

std::string misbehaving(const std::string& how) {
  times_asked = 0;
  auto text = report_of([&] { (void)given<order>().when(misbehave{how}); });
  auto begin = "what the handler decides will not work in production\n"
               "  when      misbehave [\""
               + how + "\"]\n  got       ";
  return text.starts_with(begin) ? text.substr(begin.size()) : text;
}

} // namespace

TEST(testkit_check, finds_members_that_serialize_leaves_out) {
  EXPECT_EQ(misbehaving("leaky"),
            "leaky does not survive json: [1,2] comes back as [1,0]\n"
            "            leaky does not survive binary: [1,2] comes back as "
            "[1,0]");
}

TEST(testkit_check, finds_events_that_mean_something_else_afterwards) {
  EXPECT_EQ(misbehaving("opaque"),
            "the events that were read from json lead to another state: "
            "[[],false,7] comes back as [[],false,0]\n"
            "            the events that were read from binary lead to another "
            "state: [[],false,7] comes back as [[],false,0]");
}

TEST(testkit_check, finds_keys_that_jsonb_does_not_keep) {
  EXPECT_NE(misbehaving("twice").find("twice does not survive json: "
                                      "{\"x\":1,\"x\":2} comes back as"),
            std::string::npos)
    << misbehaving("twice");
}

TEST(testkit_check, finds_what_cannot_be_stored) {
  EXPECT_EQ(misbehaving("NaN"),
            "measured cannot be written as json: a number is NaN or infinite; "
            "JSON has neither");
  EXPECT_EQ(misbehaving("tag"),
            "labelled {\"label\":\"a\\nb\"} has a tag that cannot be stored: "
            "\"a\\nb\"");
  EXPECT_EQ(misbehaving("metadata"),
            "the metadata cannot be written as json: a text is not valid "
            "UTF-8; PostgreSQL stores no other");
}

TEST(testkit_check, finds_handlers_that_are_not_pure) {
  auto begin = std::string{"the handler decides differently when it is asked "
                           "again: "};
  EXPECT_EQ(misbehaving("impure events"),
            begin
              + "line_added {\"article\":\"tea\",\"count\":1}, then line_added "
                "{\"article\":\"tea\",\"count\":2}");
  EXPECT_EQ(misbehaving("impure rejection"),
            begin
              + "rejected with too_many [1], then rejected with too_many "
                "[2]");
  EXPECT_EQ(misbehaving("impure metadata"),
            begin
              + "order-closed {}; metadata {\"name\":\"1\"}, then "
                "order-closed {}; metadata {\"name\":\"2\"}");
}

TEST(testkit_codecs, pass_when_every_sample_survives) {
  check_codecs<order>(line_added{"tea", 1}, leaky{1, 0}, opaque{}, twice{},
                      measured{1.5}, labelled{"a"});
  check_codecs<order>(codec::binary, line_added{"tea", 1}, leaky{1, 0},
                      opaque{}, twice{1, 2}, measured{std::nan("")},
                      labelled{"a"});
}

TEST(testkit_codecs, report_all_that_is_wrong_at_once) {
  EXPECT_EQ(report_of([] {
              check_codecs<order>(leaky{1, 2}, measured{INFINITY}, opaque{},
                                  twice{}, labelled{""});
            }),
            "the codecs of order do not do what the journal needs\n"
            "  got       there is no sample of line_added\n"
            "            leaky does not survive json: [1,2] comes back as "
            "[1,0]\n"
            "            leaky does not survive binary: [1,2] comes back as "
            "[1,0]\n"
            "            measured cannot be written as json: a number is NaN "
            "or infinite; JSON has neither\n"
            "            labelled {\"label\":\"\"} has a tag that cannot be "
            "stored: \"\"");
}
