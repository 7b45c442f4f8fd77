// What the test kit lets pass.

#include "support/order.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

using namespace shop;

using evented::codec;
using evented::testkit::given;
using evented::testkit::scenario;

TEST(testkit, passes_the_events_that_come) {
  given<order>().when(add_line{"tea", 2}).then(line_added{"tea", 2});
  given<order>(line_added{"tea", 2})
    .when(close_order{})
    .then(line_added{"some-order", 1}, order_closed{});
  std::vector<order::events::variant> list{line_added{"some-order", 1},
                                           order_closed{}};
  given<order>(list).when(clear{}).then_nothing();
  given<order>().when(close_order{}).then(list);
}

TEST(testkit, passes_the_rejection_that_comes) {
  auto full = given<order>(line_added{"tea", 9});
  full.when(add_line{"tea", 2})
    .then_rejected(too_many{1})
    .then_rejected<too_many>()
    .then_rejected<too_many>([](const too_many& x) { return x.left == 1; })
    .then_no_effect()
    .then_no_metadata()
    .then_version(1);
  given<order>(order_closed{}).when(add_line{}).then_rejected(closed{});
}

TEST(testkit, passes_state_reply_metadata_and_version) {
  given<order>(line_added{"tea", 2})
    .id("o-1")
    .when(close_order{})
    .then_accepted()
    .then_reply(123)
    .then_reply([](std::uint64_t x) { return x == 123; })
    .then_state([](const order& x) { return x.is_closed; })
    .then_state([](const order& x) { EXPECT_EQ(x.total(), 3u); })
    .then_state(order{{{"tea", 2}, {"o-1", 1}}, true, 0})
    .then_version(3)
    .then_no_metadata();
  given<order>().when(add_line{"tea", 1}).then_metadata(author{"ada"});
  given<order>()
    .when(get_total{})
    .then_reply(std::vector<too_many>{{10}})
    .then_reply([](auto& x) { return x.size() == 1; });
}

TEST(testkit, goes_on_from_the_state_so_far) {
  given<order>()
    .when(add_line{"tea", 2})
    .then(line_added{"tea", 2})
    .when(add_line{"tea", 9})
    .then_rejected(too_many{8})
    .given(line_added{"milk", 8})
    .when(add_line{"tea", 1})
    .then_rejected(too_many{0})
    .then_version(2);
}

TEST(testkit, tries_several_commands_on_the_same_scenario) {
  const auto base = given<order>(line_added{"tea", 9});
  base.when(add_line{"tea", 1}).then_accepted().then_version(2);
  base.when(add_line{"tea", 1}).then_accepted().then_version(2);
  EXPECT_EQ(base.version(), 1u);
}

TEST(testkit, takes_any_number_of_commands_in_a_loop) {
  scenario<order> x;
  for (auto i = 0; i < 10; ++i)
    x = x.when(add_line{"tea", 1}).then_accepted();
  x.when(add_line{"tea", 1}).then_rejected(too_many{0});
  EXPECT_EQ(x.state().total(), 10u);
}

TEST(testkit, takes_long_histories) {
  auto x = given<order>(order_closed{});
  for (auto i = 0; i < 100000; ++i)
    x = std::move(x).given(line_added{});
  EXPECT_EQ(x.version(), 100001u);
  auto copy = x;
  x = given<order>();
  copy.when(add_line{}).then_rejected(closed{});
}

TEST(testkit, tells_handlers_the_version_that_it_was_given) {
  given<order>().at(7).when(close_order{}).then_reply(701).then_version(9);
}

TEST(testkit, runs_effects_only_when_asked) {
  effects_run = 0;
  auto x = given<order>().when(add_line{"tea", 1});
  x.then_effect();
  EXPECT_EQ(effects_run, 0);
  x.run_effect();
  EXPECT_EQ(effects_run, 1);
  EXPECT_EQ(x.when(add_line{"tea", 1}).effects(), 2u);
  given<order>().when(clear{}).then_no_effect();
}

TEST(testkit, passes_exceptions_that_are_expected) {
  given<order>()
    .when(misbehave{"throw"})
    .then_throws()
    .then_throws("idea")
    .then_state(order{})
    .when(clear{})
    .then_nothing();
  given<order>().when(misbehave{"throw later"}).then_throws("bad event");
}

TEST(testkit, lets_handlers_be_impure_when_told_so) {
  given<order>().impure().when(misbehave{"impure events"}).then_accepted();
}

TEST(testkit, checks_only_the_codec_that_it_was_told) {
  given<order>()
    .payloads(codec::binary)
    .when(misbehave{"NaN"})
    .then(measured{std::nan("")});
}
