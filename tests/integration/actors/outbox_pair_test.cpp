// Two entity types that send to each other: neither can be named to the other
// before it is there, and neither may keep the other alive.

#include "support/journals.hpp"
#include "support/wallet.hpp"

#include <gtest/gtest.h>

using namespace std::literals;

namespace evented::test {

/// Stores how many returns are left, and returns the ball to the other side.
struct hit {
  std::uint64_t left = 0;
};

template <class Inspector>
auto inspect(Inspector& f, hit& x) {
  return inspect_object(f, x, "hit", field("left", x.left));
}

struct was_hit {
  std::uint64_t left = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(left));
  }
};

struct left_player {
  static constexpr std::string_view type_name = "left_player";

  using id_type = std::int64_t;
  using commands = evented::commands<hit>;
  using events = evented::events<was_hit>;
  using messages = evented::messages<hit>;

  void apply(const was_hit&) {}
};

struct right_player {
  static constexpr std::string_view type_name = "right_player";

  using id_type = std::int64_t;
  using commands = evented::commands<hit>;
  using events = evented::events<was_hit>;
  using messages = evented::messages<hit>;

  void apply(const was_hit&) {}
};

inline decision<left_player> handle(const hit& cmd, const left_player&,
                                    const context<left_player>& ctx) {
  auto result = accept(was_hit{cmd.left});
  if (cmd.left == 0)
    return result;
  return std::move(result).send_to<right_player>(ctx.id, hit{cmd.left - 1});
}

inline decision<right_player> handle(const hit& cmd, const right_player&,
                                     const context<right_player>& ctx) {
  auto result = accept(was_hit{cmd.left});
  if (cmd.left == 0)
    return result;
  return std::move(result).send_to<left_player>(ctx.id, hit{cmd.left - 1});
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(players, 340)

CAF_ADD_TYPE_ID(players, (evented::test::hit))

CAF_END_TYPE_ID_BLOCK(players)

using namespace evented;
using namespace evented::test;

namespace {

class outbox_pairs : public testing::TestWithParam<const char*> {
protected:
  using process = basic_wallet_process<caf::id_block::players>;

  outbox_pairs() {
    if (GetParam() == "postgres"s)
      options = fresh_journal();
    options.ids = id_kind::bigint;
    options.poll_interval = 50ms;
    store = GetParam() == "postgres"s ? open_store(options)
                                      : make_memory_store(options);
    here = std::make_unique<process>(store);
  }

  /// Starts one side. What finds nobody to take it is tried again soon.
  template <class E>
  caf::actor spawn() {
    entity_options<E> how;
    how.delivery.first_pause = 10ms;
    how.delivery.longest_pause = 100ms;
    return here->spawn<E>(how);
  }

  /// Returns what the entity 1 of a type has stored, as `5,3,1`.
  std::string hits(const std::string& type) {
    std::string result;
    load_request what{type, 1, 0};
    auto loaded = store->connect()->load({&what, 1}, 1000);
    for (auto& x : loaded[0].events)
      result += (result.empty() ? "" : ",")
                + std::to_string(decode<was_hit>(codec::json, x.payload).left);
    return result;
  }

  /// Waits until `hits` says so, and returns what it says.
  std::string hits(const std::string& type, const std::string& expected) {
    std::ignore = wait_until([&] { return hits(type) == expected; }, 1min);
    return hits(type);
  }

  /// Waits until nothing is left in the outbox of either.
  [[nodiscard]] bool all_is_delivered() {
    auto session = store->connect();
    return wait_until(
      [&] {
        return session->waiting_targets("left_player").empty()
               && session->waiting_targets("right_player").empty();
      },
      1min);
  }

  journal_options options;
  std::shared_ptr<evented::store> store;
  std::unique_ptr<process> here;
};

TEST_P(outbox_pairs, send_to_each_other_in_both_directions) {
  auto left = spawn<left_player>();
  auto right = spawn<right_player>();
  EXPECT_EQ(here->ask(left, 1, hit{7}), "ok@1");
  EXPECT_EQ(hits("right_player", "6,4,2,0"), "6,4,2,0");
  EXPECT_EQ(hits("left_player"), "7,5,3,1");
  EXPECT_TRUE(all_is_delivered());
}

TEST_P(outbox_pairs, the_side_that_starts_first_waits_for_the_other) {
  auto right = spawn<right_player>();
  EXPECT_EQ(here->ask(right, 1, hit{4}), "ok@1");
  EXPECT_EQ(hits("right_player"), "4");
  auto left = spawn<left_player>();
  EXPECT_EQ(hits("right_player", "4,2,0"), "4,2,0");
  EXPECT_EQ(hits("left_player"), "3,1");
  EXPECT_TRUE(all_is_delivered());
}

TEST_P(outbox_pairs, go_on_where_a_process_with_only_one_side_has_ended) {
  {
    auto left = spawn<left_player>();
    EXPECT_EQ(here->ask(left, 1, hit{3}), "ok@1");
  }
  here = std::make_unique<process>(store);
  auto right = spawn<right_player>();
  auto left = spawn<left_player>();
  EXPECT_EQ(hits("right_player", "2,0"), "2,0");
  EXPECT_EQ(hits("left_player"), "3,1");
  EXPECT_TRUE(all_is_delivered());
}

TEST_P(outbox_pairs, both_end_with_their_last_handles) {
  auto left = spawn<left_player>();
  auto right = spawn<right_player>();
  EXPECT_EQ(here->ask(left, 1, hit{3}), "ok@1");
  EXPECT_EQ(hits("right_player", "2,0"), "2,0");
  ASSERT_TRUE(all_is_delivered());
  std::vector<caf::actor_addr> both{left->address(), right->address()};
  left = nullptr;
  right = nullptr;
  for (auto& who : both)
    EXPECT_TRUE(wait_until(
      [&] { return caf::actor_cast<caf::actor>(who) == nullptr; }, 1min));
}

INSTANTIATE_TEST_SUITE_P(stores, outbox_pairs,
                         testing::Values("memory", "postgres"),
                         [](auto& x) { return x.param; });

} // namespace
