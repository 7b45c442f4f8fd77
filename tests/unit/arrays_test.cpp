#include "detail/arrays.hpp"

#include <evented/error.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented::detail;

using strings = std::vector<std::string>;

// -- binary form --------------------------------------------------------------

TEST(array_builder, writes_an_array_without_elements) {
  EXPECT_EQ(array_builder{text_oid}.finish(), "\0\0\0\0\0\0\0\0\0\0\0\x19"s);
}

TEST(array_builder, writes_texts) {
  array_builder x{text_oid};
  x.add("ab");
  x.add("");
  EXPECT_EQ(std::move(x).finish(), "\0\0\0\1" // dimensions
                                   "\0\0\0\0" // no null
                                   "\0\0\0\x19"
                                   "\0\0\0\2" // elements
                                   "\0\0\0\1" // lower bound
                                   "\0\0\0\2ab"
                                   "\0\0\0\0"s);
}

TEST(array_builder, writes_numbers_big_endian) {
  array_builder shorts{int2_oid};
  shorts.add_int16(-2);
  EXPECT_EQ(std::move(shorts).finish().substr(20), "\0\0\0\2\xff\xfe"s);
  array_builder ints{int4_oid};
  ints.add_int32(0x01020304);
  EXPECT_EQ(std::move(ints).finish().substr(20), "\0\0\0\4\1\2\3\4"s);
  array_builder longs{int8_oid};
  longs.add_int64(0x0102030405060708);
  longs.add_int64(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(std::move(longs).finish().substr(20),
            "\0\0\0\x08\1\2\3\4\5\6\7\x08"
            "\0\0\0\x08\x80\0\0\0\0\0\0\0"s);
}

TEST(array_builder, writes_booleans) {
  array_builder x{bool_oid};
  x.add_bool(true);
  x.add_bool(false);
  EXPECT_EQ(std::move(x).finish().substr(20), "\0\0\0\1\1\0\0\0\1\0"s);
}

TEST(array_builder, writes_ids_of_every_kind) {
  auto id = evented::uuid::parse("01020304-0506-0708-090a-0b0c0d0e0f10");
  array_builder uuids{uuid_oid};
  uuids.add_id(*id);
  EXPECT_EQ(std::move(uuids).finish().substr(20),
            "\0\0\0\x10\x01\x02\x03\x04\x05\x06\x07\x08"
            "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"s);
  array_builder texts{text_oid};
  texts.add_id("x"s);
  EXPECT_EQ(std::move(texts).finish().substr(20), "\0\0\0\1x"s);
  array_builder numbers{int8_oid};
  numbers.add_id(std::int64_t{-1});
  EXPECT_EQ(std::move(numbers).finish().substr(20),
            "\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff"s);
}

TEST(array_builder, marks_an_array_with_nulls) {
  array_builder x{text_oid};
  x.add("a");
  x.add_null();
  EXPECT_EQ(std::move(x).finish(), "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
                                   "\0\0\0\1a\xff\xff\xff\xff"s);
}

TEST(array_builder, knows_the_types_of_ids) {
  EXPECT_EQ(oid_of(evented::id_kind::uuid), uuid_oid);
  EXPECT_EQ(oid_of(evented::id_kind::text), text_oid);
  EXPECT_EQ(oid_of(evented::id_kind::bigint), int8_oid);
}

// -- text form ----------------------------------------------------------------

TEST(parse_array, splits_elements) {
  EXPECT_EQ(parse_array("{}"), strings{});
  EXPECT_EQ(parse_array("{1}"), strings{"1"});
  EXPECT_EQ(parse_array("{1,-2,30}"), (strings{"1", "-2", "30"}));
  EXPECT_EQ(parse_array("{t,f}"), (strings{"t", "f"}));
  EXPECT_EQ(parse_array("{stored,22P02}"), (strings{"stored", "22P02"}));
}

TEST(parse_array, understands_quotes) {
  EXPECT_EQ(parse_array(R"({"a,b",c})"), (strings{"a,b", "c"}));
  EXPECT_EQ(parse_array(R"({"","a \"b\" \\ {c}"})"),
            (strings{"", R"(a "b" \ {c})"}));
}

TEST(parse_array, refuses_what_is_no_array) {
  for (auto* text : {"", "{", "}", "1,2", "{1", "1}", R"({"a)", R"({"a})",
                     R"({"a\"})", R"({"a"b})", "[1]"})
    EXPECT_THROW(parse_array(text), evented::error) << text;
}

TEST(parse_bytea, reads_hexadecimal_digits) {
  EXPECT_EQ(parse_bytea("\\x"), "");
  EXPECT_EQ(parse_bytea("\\x00ff10"), "\0\xff\x10"s);
}

TEST(parse_bytea, refuses_anything_else) {
  for (auto* text : {"", "x00", "\\", "\\x0", "\\x0g", "00ff", "\\000abc"})
    EXPECT_THROW(parse_bytea(text), evented::error) << text;
}
