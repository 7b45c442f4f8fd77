#include <evented/codec.hpp>
#include <evented/uuid.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>
#include <vector>

using evented::uuid;

namespace {

constexpr const char* sample = "01890a5d-ac96-774b-bcce-b302099a8057";

} // namespace

TEST(uuid, is_parsed_from_its_canonical_form_and_back) {
  auto id = uuid::parse(sample);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->bytes[0], 0x01);
  EXPECT_EQ(id->bytes[1], 0x89);
  EXPECT_EQ(id->bytes[15], 0x57);
  EXPECT_EQ(to_string(*id), sample);
}

TEST(uuid, is_parsed_in_upper_case) {
  EXPECT_EQ(uuid::parse("01890A5D-AC96-774B-BCCE-B302099A8057"),
            uuid::parse(sample));
}

TEST(uuid, is_not_parsed_from_anything_else) {
  for (auto* text : {"", "01890a5d", "01890a5dac96774bbcceb302099a8057",
                     "{01890a5d-ac96-774b-bcce-b302099a8057}",
                     "01890a5d-ac96-774b-bcce-b302099a805",
                     "01890a5d-ac96-774b-bcce-b302099a80577",
                     "01890a5d-ac96-774b-bcce-b302099a805g",
                     "01890a5da-c96-774b-bcce-b302099a8057",
                     "01890a5d-ac96-774b-bcce_b302099a8057",
                     "01890a5d-ac96-774b-bcce-b302099a805 "})
    EXPECT_FALSE(uuid::parse(text)) << text;
}

TEST(uuid, is_nil_by_default) {
  EXPECT_EQ(to_string(uuid{}), "00000000-0000-0000-0000-000000000000");
}

TEST(uuid, has_version_and_variant_of_its_maker) {
  for (int i = 0; i < 1000; ++i) {
    auto random = uuid::v4();
    auto ordered = uuid::v7();
    ASSERT_EQ(random.bytes[6] >> 4, 4);
    ASSERT_EQ(ordered.bytes[6] >> 4, 7);
    ASSERT_EQ(random.bytes[8] >> 6, 2);
    ASSERT_EQ(ordered.bytes[8] >> 6, 2);
  }
}

TEST(uuid, v7_begins_with_the_time_in_milliseconds) {
  auto now = [] {
    return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch())
        .count());
  };
  auto before = now();
  auto id = uuid::v7();
  auto after = now();
  std::uint64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i)
    ms = ms << 8 | id.bytes[i];
  EXPECT_GE(ms, before);
  EXPECT_LE(ms, after);
}

TEST(uuid, is_unique_over_threads) {
  constexpr std::size_t count = 20'000;
  std::vector<std::vector<uuid>> made(4);
  std::vector<std::thread> threads;
  for (auto& list : made)
    threads.emplace_back([&list] {
      for (std::size_t i = 0; i < count; ++i)
        list.push_back(i % 2 == 0 ? uuid::v4() : uuid::v7());
    });
  for (auto& thread : threads)
    thread.join();
  std::unordered_set<uuid> seen;
  for (auto& list : made)
    seen.insert(list.begin(), list.end());
  EXPECT_EQ(seen.size(), made.size() * count);
}

TEST(uuid, of_a_forked_child_is_not_one_of_its_parent) {
  // Fills the block of random bytes that parent and child then share.
  uuid::v4();
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  auto child = ::fork();
  if (child == 0) {
    auto id = uuid::v4();
    auto written = ::write(fds[1], id.bytes.data(), id.bytes.size());
    ::_exit(written == 16 ? 0 : 1);
  }
  auto own = uuid::v4();
  uuid other;
  EXPECT_EQ(::read(fds[0], other.bytes.data(), 16), 16);
  EXPECT_NE(own, other);
  ::waitpid(child, nullptr, 0);
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST(uuid, is_ordered_by_its_bytes) {
  auto low = uuid::parse("00000000-0000-0000-0000-0000000000ff");
  auto high = uuid::parse("01000000-0000-0000-0000-000000000000");
  EXPECT_LT(*low, *high);
}

TEST(uuid, is_stored_as_text) {
  auto id = *uuid::parse(sample);
  EXPECT_EQ(evented::to_json(id),
            std::string{"{\"value\":\""} + sample + "\"}");
  EXPECT_EQ(evented::from_json<uuid>(evented::to_json(id)), id);
  EXPECT_EQ(evented::from_binary<uuid>(evented::to_binary(id)), id);
  EXPECT_THROW(evented::from_json<uuid>("{\"value\":\"no\"}"), std::exception);
}
