// How the test kit compares and shows values of types that do nothing for it.

#include <evented/testkit/compare.hpp>
#include <evented/testkit/show.hpp>
#include <evented/uuid.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

using evented::testkit::comparable;
using evented::testkit::same;
using evented::testkit::show;

namespace {

enum class color : std::uint8_t { red, green };

struct point {
  int x = 0;
  int y = 0;
};

struct flags {
  unsigned a : 3 = 0;
  unsigned b : 5 = 0;
};

struct buffer {
  char text[4] = {};
  int numbers[2] = {};
};

struct empty {};

struct all {
  point where;
  std::vector<point> path;
  std::map<std::string, point> named;
  std::unordered_map<int, point> by_number;
  std::unordered_set<int> numbers;
  std::optional<point> maybe;
  std::variant<point, std::string> either;
  std::pair<point, color> both;
  std::unique_ptr<point> owned;
  std::chrono::milliseconds time{0};
  evented::uuid id;
  bool yes = false;
  double number = 0;
  flags bits;
  buffer bytes;
  empty nothing;
};

all sample() {
  return {.where = {1, 2},
          .path = {{3, 4}, {5, 6}},
          .named = {{"a", {7, 8}}},
          .by_number = {{1, {9, 10}}, {2, {11, 12}}},
          .numbers = {1, 2, 3},
          .maybe = point{13, 14},
          .either = point{15, 16},
          .both = {{17, 18}, color::green},
          .owned = std::make_unique<point>(point{19, 20}),
          .time = std::chrono::milliseconds{21},
          .id = *evented::uuid::parse("00000000-0000-0000-0000-000000000001"),
          .yes = true,
          .number = 1.5,
          .bits = {3, 17},
          .bytes = {{'a', 'b', 'c', 'd'}, {1, 2}},
          .nothing = {}};
}

/// Checks whether `change` makes a difference to the sample.
template <class F>
bool notices(F change) {
  auto other = sample();
  change(other);
  return !same(sample(), other) && !same(other, sample());
}

struct weak : point {
  int z = 0;
};

class closed {
public:
  explicit closed(int x) : x_(x) {}

private:
  [[maybe_unused]] int x_;
};

class own {
public:
  own(int x, int y) : x_(x), y_(y) {}

  bool operator==(const own& other) const { return x_ == other.x_; }

private:
  int x_;
  [[maybe_unused]] int y_;
};

} // namespace

TEST(testkit_same, looks_at_every_member_of_a_plain_struct) {
  EXPECT_TRUE(same(sample(), sample()));
  EXPECT_TRUE(notices([](all& x) { x.where.y = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.path[1].x = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.path.pop_back(); }));
  EXPECT_TRUE(notices([](all& x) { x.named["a"].x = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.named["b"].x = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.by_number[1].x = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.by_number.erase(1); }));
  EXPECT_TRUE(notices([](all& x) { x.numbers = {1, 2, 4}; }));
  EXPECT_TRUE(notices([](all& x) { x.maybe.reset(); }));
  EXPECT_TRUE(notices([](all& x) { x.maybe->x = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.either = ""; }));
  EXPECT_TRUE(notices([](all& x) { x.either = point{}; }));
  EXPECT_TRUE(notices([](all& x) { x.both.second = color::red; }));
  EXPECT_TRUE(notices([](all& x) { x.owned->y = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.owned.reset(); }));
  EXPECT_TRUE(notices([](all& x) { x.time = {}; }));
  EXPECT_TRUE(notices([](all& x) { x.id = {}; }));
  EXPECT_TRUE(notices([](all& x) { x.yes = false; }));
  EXPECT_TRUE(notices([](all& x) { x.number = 2; }));
  EXPECT_TRUE(notices([](all& x) { x.bits.b = 1; }));
  EXPECT_TRUE(notices([](all& x) { x.bytes.text[3] = 0; }));
  EXPECT_TRUE(notices([](all& x) { x.bytes.numbers[1] = 0; }));
}

TEST(testkit_same, prefers_the_operator_of_the_type) {
  EXPECT_TRUE(same(own(1, 2), own(1, 3)));
  EXPECT_FALSE(same(own(1, 2), own(2, 2)));
  EXPECT_FALSE(same(std::vector{own(1, 2)}, std::vector{own(2, 2)}));
}

TEST(testkit_same, holds_that_nan_is_nan) {
  EXPECT_TRUE(same(std::nan(""), std::nan("")));
  EXPECT_FALSE(same(std::nan(""), 0.0));
}

TEST(testkit_same, knows_what_it_cannot_compare) {
  static_assert(comparable<all>);
  static_assert(!comparable<closed>);
  static_assert(!comparable<std::vector<closed>>);
  static_assert(!comparable<std::optional<closed>>);
  static_assert(!comparable<std::tuple<int, closed>>);
  static_assert(!comparable<weak>, "bases are out of reach");
}

TEST(testkit_show, shows_every_member_of_a_plain_struct) {
  auto x = sample();
  x.by_number.erase(2);
  x.numbers = {1};
  EXPECT_EQ(show(x),
            "[[1,2],[[3,4],[5,6]],[[\"a\",[7,8]]],[[1,[9,10]]],[1],"
            "[13,14],[15,16],[[17,18],1],[19,20],{\"value\":{\"count\":21}},"
            "\"00000000-0000-0000-0000-000000000001\",true,1.5,[3,17],"
            "[[97,98,99,100],[1,2]],{}]");
  EXPECT_EQ(show(all{}.maybe), "null");
  EXPECT_EQ(show(closed{1}), "(cannot be shown)");
  EXPECT_EQ(show(std::string{"a\"b\n"}), "\"a\\\"b\\n\"");
}
