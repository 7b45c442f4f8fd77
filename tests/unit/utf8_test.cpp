#include <evented/utf8.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

using evented::valid_text;

namespace {

std::string encode(std::uint32_t c) {
  auto byte = [](std::uint32_t x) { return static_cast<char>(x); };
  if (c < 0x80)
    return {byte(c)};
  if (c < 0x800)
    return {byte(0xc0 | c >> 6), byte(0x80 | (c & 0x3f))};
  if (c < 0x10000)
    return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 0x3f)),
            byte(0x80 | (c & 0x3f))};
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 0x3f)),
          byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
}

} // namespace

TEST(valid_text, takes_every_character_but_nul_and_surrogates) {
  for (std::uint32_t c = 0; c < 0x120000; ++c) {
    auto expected = c != 0 && !(c >= 0xd800 && c < 0xe000) && c < 0x110000;
    ASSERT_EQ(valid_text(encode(c)), expected) << std::hex << c;
  }
}

TEST(valid_text, takes_the_empty_text) {
  EXPECT_TRUE(valid_text(""));
  EXPECT_TRUE(valid_text({}));
}

TEST(valid_text, refuses_overlong_forms) {
  for (auto text : {"\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf",
                    "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf"})
    EXPECT_FALSE(valid_text(text));
  EXPECT_FALSE(valid_text(std::string_view{"\xc0\x80", 2}));
}

TEST(valid_text, refuses_what_ends_too_early) {
  for (std::string_view text :
       {"\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xe2", "\xf0", "\xf0\x9f"}) {
    EXPECT_FALSE(valid_text(text));
    EXPECT_FALSE(valid_text(std::string{text} + "abcdefgh"));
    EXPECT_FALSE(valid_text("abcdefgh" + std::string{text}));
  }
}

TEST(valid_text, refuses_bytes_that_begin_no_character) {
  for (int c = 0x80; c < 0xc2; ++c)
    EXPECT_FALSE(valid_text(std::string{static_cast<char>(c)} + "\x80"));
  for (int c = 0xf5; c < 0x100; ++c)
    EXPECT_FALSE(
      valid_text(std::string{static_cast<char>(c)} + "\x80\x80\x80"));
}

TEST(valid_text, finds_a_fault_at_every_place_of_a_long_text) {
  // Eight bytes at a time are looked at where they are all ASCII.
  for (std::size_t size = 1; size < 40; ++size) {
    std::string text(size, 'x');
    ASSERT_TRUE(valid_text(text));
    for (std::size_t at = 0; at < size; ++at) {
      for (auto bad : {'\0', '\x80', '\xff'}) {
        auto broken = text;
        broken[at] = bad;
        ASSERT_FALSE(valid_text(broken)) << size << ", " << at;
      }
      auto fine = text;
      fine.replace(at, 1, "\xe2\x82\xac");
      ASSERT_TRUE(valid_text(fine)) << size << ", " << at;
      fine[at] = '\x01';
      ASSERT_FALSE(valid_text(fine)) << size << ", " << at;
    }
  }
}

TEST(valid_text, takes_control_characters_other_than_nul) {
  std::string all;
  for (char c = 1; c < 127; ++c)
    all += c;
  EXPECT_TRUE(valid_text(all + "\x7f"));
}
