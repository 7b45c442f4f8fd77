#include <evented/codec.hpp>
#include <evented/trace.hpp>

#include <gtest/gtest.h>

using namespace evented;

namespace {

struct origin {
  std::string who;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(who));
  }
};

const trace sample{"order \"17\"", "click",
                   "00-0af7651916cd43dd8448eb211c8-01"};

} // namespace

TEST(trace, stands_alone_in_metadata) {
  auto metadata = add_trace("", sample);
  EXPECT_EQ(trace_of(metadata), sample);
  EXPECT_TRUE(only_trace(metadata));
}

TEST(trace, stands_beside_the_metadata_of_an_entity) {
  auto metadata = add_trace(to_json(origin{"me"}), sample);
  EXPECT_EQ(trace_of(metadata), sample);
  EXPECT_EQ(from_json<origin>(metadata).who, "me");
  EXPECT_FALSE(only_trace(metadata));
}

TEST(trace, stands_in_an_empty_object) {
  EXPECT_EQ(trace_of(add_trace("{}", sample)), sample);
}

TEST(trace, is_nothing_where_there_is_none) {
  EXPECT_EQ(add_trace("", {}), "");
  EXPECT_EQ(add_trace(R"({"who":"me"})", {}), R"({"who":"me"})");
  EXPECT_TRUE(trace_of("").empty());
  EXPECT_TRUE(trace_of(R"({"who":"me"})").empty());
  EXPECT_TRUE(only_trace(""));
  EXPECT_FALSE(only_trace(R"({"who":"me"})"));
}

TEST(trace, is_not_mistaken) {
  auto metadata = to_json(origin{R"("$trace")"});
  EXPECT_TRUE(trace_of(metadata).empty());
  EXPECT_FALSE(only_trace(metadata));
  EXPECT_TRUE(trace_of(R"({"$trace": 7})").empty());
}

TEST(trace, refuses_what_cannot_be_stored) {
  EXPECT_THROW(add_trace("", {"\xff", "", ""}), error);
}
