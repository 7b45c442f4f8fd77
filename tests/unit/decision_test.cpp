#include <evented/decision.hpp>
#include <evented/entity.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace shop {

struct increase {
  std::uint64_t inc;
};

struct fill {
  std::size_t times;
};

struct increased {
  std::uint64_t inc;
};

struct renamed {
  static constexpr std::string_view event_name = "got-a-name";
  static constexpr std::int32_t schema_version = 3;
  std::string name;
};

struct overflow {
  std::uint64_t value;
};

struct closed {};

struct request_info {
  std::string user;
};

struct counter {
  static constexpr std::string_view type_name = "counter";
  using id_type = evented::uuid;
  using commands = evented::commands<increase, fill>;
  using events = evented::events<increased, renamed>;
  using metadata = request_info;
  std::uint64_t value = 0;
  void apply(const increased& e) { value += e.inc; }
  void apply(const renamed&) {}
};

using counter_decision
  = evented::decision<counter, evented::replies<std::uint64_t>, overflow,
                      closed>;

counter_decision handle(const increase& cmd, const counter& state,
                        const evented::context<counter>& ctx) {
  if (ctx.version == 99)
    return evented::reject(closed{});
  if (cmd.inc > 100 - state.value)
    return evented::reject(overflow{state.value});
  return evented::accept(increased{cmd.inc})
    .with_metadata(request_info{"ada"})
    .reply([](const counter& x) { return x.value; });
}

evented::decision<counter> handle(const fill& cmd, const counter&) {
  std::vector<counter::events::variant> result(cmd.times, increased{1});
  return evented::accept(std::move(result));
}

static_assert(evented::check_entity<counter>());
static_assert(evented::entity<counter>);
static_assert(!evented::entity<overflow>);

} // namespace shop

using namespace shop;

using plain = evented::decision<counter, overflow>;

TEST(decision, accepts_one_event) {
  plain x = evented::accept(increased{5});
  ASSERT_TRUE(x.accepted());
  auto& part = x.acceptance_part();
  ASSERT_EQ(part.events.size(), 1u);
  EXPECT_EQ(std::get<increased>(part.events[0]).inc, 5u);
  EXPECT_FALSE(part.metadata);
  EXPECT_FALSE(part.effect);
  EXPECT_EQ(x.rejection<overflow>(), nullptr);
}

TEST(decision, accepts_several_events_in_order) {
  plain x = evented::accept(increased{1}, renamed{"b"}, increased{2});
  auto& events = x.acceptance_part().events;
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(std::get<increased>(events[0]).inc, 1u);
  EXPECT_EQ(std::get<renamed>(events[1]).name, "b");
  EXPECT_EQ(std::get<increased>(events[2]).inc, 2u);
}

TEST(decision, accepts_without_events) {
  plain x = evented::accept();
  EXPECT_TRUE(x.accepted());
  EXPECT_TRUE(x.acceptance_part().events.empty());
}

TEST(decision, accepts_a_vector_of_events) {
  std::vector<counter::events::variant> events{increased{1}, renamed{"b"}};
  plain copied = evented::accept(events);
  plain moved = evented::accept(std::move(events));
  EXPECT_EQ(copied.acceptance_part().events.size(), 2u);
  EXPECT_EQ(moved.acceptance_part().events.size(), 2u);
  plain none = evented::accept(std::vector<counter::events::variant>{});
  EXPECT_TRUE(none.acceptance_part().events.empty());
}

TEST(decision, accepts_events_that_the_handler_keeps) {
  increased e{5};
  plain x = evented::accept(e, e);
  EXPECT_EQ(x.acceptance_part().events.size(), 2u);
}

TEST(decision, carries_metadata) {
  plain x = evented::accept(increased{1}).with_metadata(request_info{"ada"});
  ASSERT_TRUE(x.acceptance_part().metadata);
  EXPECT_EQ(x.acceptance_part().metadata->user, "ada");
}

TEST(decision, replies_from_the_new_state) {
  evented::decision<counter, evented::replies<std::string>> x
    = evented::accept(increased{1}).reply([](const counter& state) {
        return std::to_string(state.value);
      });
  counter state;
  state.value = 7;
  EXPECT_EQ(x.acceptance_part().reply(state), "7");
}

TEST(decision, carries_an_effect) {
  std::uint64_t seen = 0;
  plain x = evented::accept(increased{1}).then([&seen](const counter& state) {
    seen = state.value;
  });
  EXPECT_EQ(seen, 0u);
  counter state;
  state.value = 7;
  x.acceptance_part().effect(state);
  EXPECT_EQ(seen, 7u);
}

TEST(decision, carries_all_parts_in_any_order) {
  auto check = [](counter_decision x) {
    auto& part = x.acceptance_part();
    EXPECT_EQ(part.events.size(), 1u);
    EXPECT_TRUE(part.metadata);
    EXPECT_TRUE(part.reply);
    EXPECT_TRUE(part.effect);
  };
  auto reply = [](const counter& x) { return x.value; };
  auto effect = [](const counter&) {};
  check(evented::accept(increased{1})
          .with_metadata(request_info{})
          .reply(reply)
          .then(effect));
  check(evented::accept(increased{1})
          .then(effect)
          .reply(reply)
          .with_metadata(request_info{}));
}

TEST(decision, rejects_with_a_listed_type) {
  plain x = evented::reject(overflow{7});
  EXPECT_FALSE(x.accepted());
  ASSERT_NE(x.rejection<overflow>(), nullptr);
  EXPECT_EQ(x.rejection<overflow>()->value, 7u);
}

TEST(decision, visits_the_rejection_that_it_holds) {
  counter_decision x = evented::reject(closed{});
  auto seen = std::string{};
  x.visit_rejection([&seen](auto& r) {
    seen += std::is_same_v<std::decay_t<decltype(r)>, closed> ? "closed"
                                                              : "overflow";
  });
  EXPECT_EQ(seen, "closed");
}

TEST(handler, gets_the_context_where_it_asks_for_it) {
  evented::uuid id;
  counter state;
  auto accepted = evented::detail::call_handle(
    increase{1}, state, evented::context<counter>{id, 1});
  EXPECT_TRUE(accepted.accepted());
  auto rejected = evented::detail::call_handle(
    increase{1}, state, evented::context<counter>{id, 99});
  EXPECT_NE(rejected.rejection<closed>(), nullptr);
}

TEST(handler, may_do_without_the_context) {
  evented::uuid id;
  auto x = evented::detail::call_handle(fill{3}, counter{},
                                        evented::context<counter>{id, 0});
  EXPECT_EQ(x.acceptance_part().events.size(), 3u);
}

TEST(event_name, is_the_name_of_the_struct_unless_it_has_its_own) {
  static_assert(evented::event_name<increased>() == "increased");
  static_assert(evented::event_name<renamed>() == "got-a-name");
  static_assert(evented::schema_version<increased>() == 1);
  static_assert(evented::schema_version<renamed>() == 3);
}

// -- messages -----------------------------------------------------------------

namespace post {

struct hello {
  std::string text;
};

struct wake {};

struct stirred {};

struct sleeper {
  static constexpr std::string_view type_name = "sleeper";
  using id_type = std::int64_t;
  using commands = evented::commands<wake>;
  using events = evented::events<stirred>;
  using messages = evented::messages<hello, wake>;
  void apply(const stirred&) {}
};

evented::decision<sleeper> handle(const wake&, const sleeper&) {
  return evented::accept(stirred{});
}

static_assert(evented::check_entity<sleeper>());
static_assert(evented::messages_of<shop::counter>::empty);

} // namespace post

TEST(decision, carries_messages_in_order) {
  using namespace post;
  auto time = std::chrono::system_clock::now();
  evented::decision<sleeper> x = evented::accept(stirred{})
                                   .send("mailer", hello{"a"})
                                   .then([](const sleeper&) {})
                                   .send_to<sleeper>(7, wake{})
                                   .at(time, wake{})
                                   .send("mailer", hello{"b"});
  auto& part = x.acceptance_part();
  ASSERT_EQ(part.messages.size(), 4u);
  auto& m = part.messages;
  EXPECT_EQ(m[0].target, "mailer");
  EXPECT_EQ(m[0].as<hello>()->text, "a");
  EXPECT_FALSE(m[0].id);
  EXPECT_FALSE(m[0].due);
  EXPECT_EQ(m[1].target, "sleeper");
  EXPECT_EQ(m[1].id, evented::entity_id{std::int64_t{7}});
  EXPECT_NE(m[1].as<wake>(), nullptr);
  EXPECT_EQ(m[2].target, "");
  EXPECT_EQ(m[2].due,
            std::chrono::time_point_cast<evented::timestamp::duration>(time));
  EXPECT_EQ(m[3].as<hello>()->text, "b");
  EXPECT_EQ(m[3].as<wake>(), nullptr);
  EXPECT_TRUE(part.effect);
}

TEST(decision, a_timer_counts_from_now) {
  using namespace post;
  evented::decision<sleeper> x
    = evented::accept(stirred{}).after(std::chrono::hours{1}, wake{});
  auto due = *x.acceptance_part().messages.at(0).due;
  EXPECT_GT(due, std::chrono::system_clock::now() + std::chrono::minutes{59});
  EXPECT_LE(due, std::chrono::system_clock::now() + std::chrono::hours{1});
}

TEST(decision, carries_timers_with_names) {
  using namespace post;
  evented::decision<sleeper> x
    = evented::accept(stirred{})
        .at("a", std::chrono::system_clock::now(), wake{})
        .cancel("b")
        .after("c", std::chrono::hours{1}, wake{})
        .after(std::chrono::hours{1}, wake{});
  auto& m = x.acceptance_part().messages;
  ASSERT_EQ(m.size(), 4u);
  EXPECT_EQ(m[0].timer, "a");
  EXPECT_NE(m[0].as<wake>(), nullptr);
  EXPECT_FALSE(m[0].cancels());
  EXPECT_LE(m[0].due, std::chrono::system_clock::now());
  EXPECT_EQ(m[1].timer, "b");
  EXPECT_TRUE(m[1].cancels());
  EXPECT_FALSE(m[1].due);
  EXPECT_EQ(m[2].timer, "c");
  EXPECT_GT(m[2].due,
            std::chrono::system_clock::now() + std::chrono::minutes{59});
  EXPECT_EQ(m[3].timer, "");
  EXPECT_FALSE(m[3].cancels());
}

TEST(decision, a_timer_has_a_name_that_can_be_stored) {
  using namespace post;
  for (auto& name : {std::string{}, std::string(201, 'x'), std::string{"\xff"},
                     std::string(1, '\0')}) {
    auto set = [&] { return evented::accept(stirred{}); };
    EXPECT_THROW((void)set().cancel(name), std::invalid_argument);
    EXPECT_THROW((void)set().after(name, std::chrono::hours{1}, wake{}),
                 std::invalid_argument);
  }
}

TEST(decision, a_receiver_has_a_name) {
  EXPECT_THROW((void)evented::accept(post::stirred{}).send("", post::hello{}),
               std::invalid_argument);
}
