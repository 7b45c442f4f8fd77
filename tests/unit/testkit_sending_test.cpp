// What the test kit says of messages and timers.

#include "support/order.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace std::literals;

using evented::testkit::given;
using shop::report_of;

namespace {

struct borrow {
  std::string book;
};

struct give_back {};

struct remind {
  std::uint32_t times = 0;
};

/// Sends without an event.
struct ask_around {};

/// Decides differently when it is asked again.
struct waver {
  std::string how;
};

struct letter {
  std::string text;
};

struct lent {
  std::string book;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(book));
  }
};

struct returned {};

struct out {};

const auto end_of_term
  = std::chrono::system_clock::time_point{std::chrono::hours{1'000'000}};

struct shelf {
  static constexpr std::string_view type_name = "shelf";
  using id_type = std::int64_t;
  using commands
    = evented::commands<borrow, give_back, remind, ask_around, waver>;
  using events = evented::events<lent, returned>;
  using messages = evented::messages<letter, remind, give_back>;

  std::string book;

  void apply(const lent& e) { book = e.book; }
  void apply(const returned&) { book.clear(); }
};

evented::decision<shelf, out> handle(const borrow& cmd, const shelf& state) {
  if (!state.book.empty())
    return evented::reject(out{});
  return evented::accept(lent{cmd.book})
    .send("reader", letter{"enjoy"})
    .send("reader", letter{"take care"})
    .send_to<shelf>(7, give_back{})
    .after("remind", 24h, remind{1})
    .at(end_of_term, give_back{});
}

evented::decision<shelf> handle(const give_back&, const shelf&) {
  return evented::accept(returned{}).cancel("remind");
}

evented::decision<shelf> handle(const remind&, const shelf& state) {
  return evented::accept(lent{state.book});
}

evented::decision<shelf> handle(const ask_around&, const shelf&) {
  return evented::accept(std::vector<shelf::events::variant>{})
    .send("reader", letter{"who has it?"});
}

int times_asked = 0;

evented::decision<shelf> handle(const waver& cmd, const shelf&) {
  ++times_asked;
  if (cmd.how == "text")
    return evented::accept(returned{})
      .send("reader", letter{std::to_string(times_asked)});
  return evented::accept(returned{}).cancel(std::to_string(times_asked));
}

auto lending() {
  return given<shelf>().when(borrow{"emma"});
}

} // namespace

TEST(testkit_sending, passes_what_is_sent) {
  lending()
    .then(lent{"emma"})
    .then_sends("reader", letter{"enjoy"})
    .then_sends("reader", letter{"take care"})
    .then_sends_to<shelf>(7, give_back{})
    .then_sets_timer("remind", 24h, remind{1})
    .then_sets_timer(end_of_term, give_back{})
    .then_sends_nothing_else()
    .when(give_back{})
    .then_cancels_timer("remind")
    .then_sends_nothing_else()
    .when(remind{})
    .then_sends_nothing()
    .then_sends_nothing_else();
}

TEST(testkit_sending, passes_conditions_and_any_order_of_receivers) {
  auto x = lending();
  x.then_sets_timer(end_of_term, give_back{})
    .then_sends_to<shelf, give_back>(7, [](const give_back&) {})
    .then_sends<letter>("reader",
                        [](const letter& m) { return m.text == "enjoy"; });
  EXPECT_EQ(x.messages().size(), 5u);
  given<shelf>(lent{"emma"})
    .when(borrow{"emma"})
    .then_rejected(out{})
    .then_sends_nothing();
}

TEST(testkit_sending, reports_what_is_not_sent) {
  const auto all = "  got       to \"reader\": letter [\"enjoy\"]\n"
                   "            to \"reader\": letter [\"take care\"]\n"
                   "            to shelf 7: give_back {}\n"
                   "            timer \"remind\" in 86400000 ms: remind [1]\n"
                   "            timer in "s;
  auto expect = [&](const std::string& wanted, auto f) {
    auto text = report_of(f);
    auto begin = "this is not sent\n"
                 "  when      borrow [\"emma\"]\n"
                 "  expected  "
                 + wanted + "\n" + all;
    EXPECT_EQ(text.substr(0, begin.size()), begin);
  };
  // Each in its order, and once.
  expect("to \"reader\": letter [\"take care\"]",
         [] { lending().then_sends("reader", letter{"take care"}); });
  expect("to \"reader\": letter [\"enjoy\"]", [] {
    lending()
      .then_sends("reader", letter{"enjoy"})
      .then_sends("reader", letter{"enjoy"});
  });
  expect("to \"writer\": letter [\"enjoy\"]",
         [] { lending().then_sends("writer", letter{"enjoy"}); });
  expect("to \"reader\": letter that meets the condition", [] {
    lending().then_sends<letter>("reader", [](auto&) { return false; });
  });
  expect("to shelf 8: give_back {}",
         [] { lending().then_sends_to<shelf>(8, give_back{}); });
  // A timer is no message, and the other way round.
  expect("to \"\": remind [1]", [] { lending().then_sends("", remind{1}); });
  expect("timer in 0 ms: give_back {}",
         [] { lending().then_sets_timer(0ms, give_back{}); });
  expect("timer \"remind\" in 86400001 ms: remind [1]",
         [] { lending().then_sets_timer("remind", 24h + 1ms, remind{1}); });
  expect("timer \"remind\" in 86400000 ms: remind [2]",
         [] { lending().then_sets_timer("remind", 24h, remind{2}); });
  expect("timer in 86400000 ms: remind [1]",
         [] { lending().then_sets_timer(24h, remind{1}); });
  expect("no timer \"remind\"", [] { lending().then_cancels_timer("remind"); });
}

TEST(testkit_sending, reports_what_else_is_sent) {
  EXPECT_EQ(
    report_of([] { given<shelf>().when(give_back{}).then_sends_nothing(); }),
    "something is sent\n"
    "  when      give_back {}\n"
    "  expected  nothing\n"
    "  got       no timer \"remind\"");
  EXPECT_EQ(report_of([] {
              lending()
                .then_sends("reader", letter{"enjoy"})
                .then_sends_to<shelf>(7, give_back{})
                .then_sets_timer("remind", 24h, remind{1})
                .then_sets_timer(end_of_term, give_back{})
                .then_sends_nothing_else();
            }),
            "something else is sent\n"
            "  when      borrow [\"emma\"]\n"
            "  expected  nothing else\n"
            "  got       to \"reader\": letter [\"take care\"]");
  EXPECT_EQ(report_of([] {
              given<shelf>().when(remind{}).then_sends("reader", letter{"a"});
            }),
            "this is not sent\n"
            "  when      remind [0]\n"
            "  expected  to \"reader\": letter [\"a\"]\n"
            "  got       nothing");
  EXPECT_EQ(report_of([] {
              given<shelf>(lent{"emma"})
                .when(borrow{"emma"})
                .then_sends("reader", letter{"a"});
            }),
            "the command is not accepted\n"
            "  given     lent {\"book\":\"emma\"}\n"
            "  when      borrow [\"emma\"]\n"
            "  expected  to \"reader\": letter [\"a\"]\n"
            "  got       rejected with out {}");
}

TEST(testkit_sending, finds_what_will_not_work_in_production) {
  EXPECT_EQ(report_of([] { (void)given<shelf>().when(ask_around{}); }),
            "what the handler decides will not work in production\n"
            "  when      ask_around {}\n"
            "  got       messages and timers go out with events, and this "
            "command stores none");
  times_asked = 0;
  auto begin = "what the handler decides will not work in production\n"
               "  when      waver [\"text\"]\n"
               "  got       the handler decides differently when it is asked "
               "again: "s;
  EXPECT_EQ(report_of([] { (void)given<shelf>().when(waver{"text"}); }),
            begin
              + "returned {}; to \"reader\": letter [\"1\"], then returned {}; "
                "to \"reader\": letter [\"2\"]");
  EXPECT_NE(report_of([] { (void)given<shelf>().when(waver{"timer"}); }),
            "nothing");
}
