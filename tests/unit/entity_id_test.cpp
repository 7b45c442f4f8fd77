#include <evented/entity_id.hpp>

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>

using namespace std::literals;

using evented::entity_id;
using evented::id_kind;
using evented::slice_of;
using evented::uuid;

namespace {

entity_id parse(const char* text) {
  return uuid::parse(text).value();
}

} // namespace

// The expected numbers come from an implementation in another language that was
// checked against the published test vectors of FNV-1a. Slices are stored with
// every event: where this test fails, the code is wrong, never the numbers.

TEST(slice_of, a_uuid_never_changes) {
  EXPECT_EQ(slice_of(parse("00000000-0000-0000-0000-000000000000")), 988);
  EXPECT_EQ(slice_of(parse("01890a5d-ac96-774b-bcce-b302099a8057")), 879);
  EXPECT_EQ(slice_of(parse("ffffffff-ffff-ffff-ffff-ffffffffffff")), 349);
}

TEST(slice_of, a_text_never_changes) {
  EXPECT_EQ(slice_of("a"s), 192);
  EXPECT_EQ(slice_of("foobar"s), 665);
  EXPECT_EQ(slice_of("Gr\u00fc\u00dfe"s), 681);
  EXPECT_EQ(slice_of(std::string(512, 'x')), 840);
}

TEST(slice_of, a_number_never_changes) {
  using limits = std::numeric_limits<std::int64_t>;
  EXPECT_EQ(slice_of(std::int64_t{0}), 503);
  EXPECT_EQ(slice_of(std::int64_t{1}), 800);
  EXPECT_EQ(slice_of(std::int64_t{-1}), 694);
  EXPECT_EQ(slice_of(std::int64_t{42}), 933);
  EXPECT_EQ(slice_of(limits::max()), 325);
  EXPECT_EQ(slice_of(limits::min()), 754);
}

TEST(slice_of, consecutive_ids_spreads_them_evenly) {
  constexpr int per_slice = 100;
  constexpr int count = evented::slice_count * per_slice;
  std::array<int, evented::slice_count> numbers{};
  std::array<int, evented::slice_count> texts{};
  for (std::int64_t i = 0; i < count; ++i) {
    ++numbers.at(slice_of(i));
    ++texts.at(slice_of("customer-" + std::to_string(i)));
  }
  // Six standard deviations of a fair throw.
  for (std::size_t i = 0; i < evented::slice_count; ++i) {
    EXPECT_NEAR(numbers[i], per_slice, 60) << i;
    EXPECT_NEAR(texts[i], per_slice, 60) << i;
  }
}

TEST(entity_id, knows_its_kind) {
  EXPECT_EQ(kind(entity_id{uuid{}}), id_kind::uuid);
  EXPECT_EQ(kind(entity_id{"x"s}), id_kind::text);
  EXPECT_EQ(kind(entity_id{std::int64_t{7}}), id_kind::bigint);
  EXPECT_EQ(evented::id_kind_of<uuid>, id_kind::uuid);
  EXPECT_EQ(evented::id_kind_of<std::string>, id_kind::text);
  EXPECT_EQ(evented::id_kind_of<std::int64_t>, id_kind::bigint);
}

TEST(entity_id, is_rendered_as_people_write_it) {
  EXPECT_EQ(to_string(parse("01890a5d-ac96-774b-bcce-b302099a8057")),
            "01890a5d-ac96-774b-bcce-b302099a8057");
  EXPECT_EQ(to_string(entity_id{"order-7"s}), "order-7");
  EXPECT_EQ(to_string(entity_id{std::int64_t{-7}}), "-7");
  EXPECT_EQ(to_string(id_kind::uuid), "uuid");
  EXPECT_EQ(to_string(id_kind::text), "text");
  EXPECT_EQ(to_string(id_kind::bigint), "bigint");
}

TEST(entity_id, of_text_is_valid_with_1_to_512_bytes_of_text) {
  EXPECT_FALSE(valid(entity_id{""s}));
  EXPECT_TRUE(valid(entity_id{"x"s}));
  EXPECT_TRUE(valid(entity_id{std::string(512, 'x')}));
  EXPECT_FALSE(valid(entity_id{std::string(513, 'x')}));
  EXPECT_FALSE(valid(entity_id{"a\0b"s}));
  EXPECT_FALSE(valid(entity_id{"\xff"s}));
  EXPECT_TRUE(valid(entity_id{" "s}));
}

TEST(entity_id, of_another_kind_is_always_valid) {
  EXPECT_TRUE(valid(entity_id{uuid{}}));
  EXPECT_TRUE(valid(entity_id{std::numeric_limits<std::int64_t>::min()}));
}
