// Commands for an entity that is being loaded: the region holds them back.

#include "support/gated_store.hpp"
#include "support/wallet.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

class loading : public testing::Test {
protected:
  loading() {
    journal_options options;
    options.ids = id_kind::bigint;
    at = std::make_shared<load_gate>();
    auto store = make_memory_store(options);
    wallet_process before{store};
    before.ask(before.spawn(), 1, put{5});
    here = std::make_unique<wallet_process>(
      std::make_shared<gated_store>(store, at));
  }

  ~loading() override { at->closed = false; }

  /// Holds back what is loaded from now on.
  void close() {
    at->closed = true;
    at->held_back = 0;
  }

  [[nodiscard]] bool is_held_back() {
    return wait_until([this] { return at->held_back == 1; });
  }

  std::shared_ptr<load_gate> at;
  std::unique_ptr<wallet_process> here;
};

TEST_F(loading, keeps_the_order) {
  auto region = here->spawn();
  close();
  auto first = here->send(region, 1, put{1});
  ASSERT_TRUE(is_held_back());
  auto second = here->send(region, 1, put{1}, expect{2});
  auto third = here->send(region, 1, put{1}, expect{3});
  at->closed = false;
  EXPECT_EQ(here->receive(std::move(first)), "ok@2");
  EXPECT_EQ(here->receive(std::move(second)), "ok@3");
  EXPECT_EQ(here->receive(std::move(third)), "ok@4");
  EXPECT_EQ(here->query(region, 1), "8");
}

TEST_F(loading, is_told) {
  auto region = here->spawn();
  close();
  auto first = here->send(region, 1, put{1});
  ASSERT_TRUE(is_held_back());
  auto x = here->state(region);
  EXPECT_EQ(x.loading, 1u);
  EXPECT_EQ(x.awake, 0u);
  EXPECT_EQ(x.falling_asleep, 0u);
  at->closed = false;
  EXPECT_EQ(here->receive(std::move(first)), "ok@2");
  x = here->state(region);
  EXPECT_EQ(x.loading, 0u);
  EXPECT_EQ(x.awake, 1u);
}

TEST_F(loading, holds_back_no_more_than_a_queue_takes) {
  entity_options<wallet> how;
  how.max_queue = 2;
  auto region = here->spawn(how);
  close();
  auto first = here->send(region, 1, put{1});
  ASSERT_TRUE(is_held_back());
  auto second = here->send(region, 1, put{1});
  EXPECT_EQ(here->ask(region, 1, put{1}), "overloaded");
  at->closed = false;
  EXPECT_EQ(here->receive(std::move(first)), "ok@2");
  EXPECT_EQ(here->receive(std::move(second)), "ok@3");
}

TEST_F(loading, holds_back_no_more_than_may_be_in_progress) {
  entity_options<wallet> how;
  how.max_in_progress = 2;
  auto region = here->spawn(how);
  close();
  auto first = here->send(region, 1, put{1});
  ASSERT_TRUE(is_held_back());
  auto second = here->send(region, 2, put{1});
  EXPECT_EQ(here->ask(region, 3, put{1}), "overloaded");
  EXPECT_EQ(here->query(region, 3), "overloaded");
  at->closed = false;
  EXPECT_EQ(here->receive(std::move(first)), "ok@2");
  EXPECT_EQ(here->receive(std::move(second)), "ok@1");
  // Each answer makes room, whatever it says.
  for (auto i = 0; i < 5; ++i) {
    EXPECT_EQ(here->ask(region, 1, trip{}), "handler_failed");
    EXPECT_EQ(here->query(region, 1), "6");
  }
  EXPECT_EQ(here->ask(region, 3, put{1}), "ok@1");
}

TEST_F(loading, takes_no_longer_than_a_command_has_time) {
  entity_options<wallet> how;
  how.command_timeout = 50ms;
  auto region = here->spawn(how);
  close();
  EXPECT_EQ(here->ask(region, 1, put{1}), "unavailable");
  EXPECT_EQ(here->actors(region), 0u);
  // What comes late is for nobody.
  at->closed = false;
  ASSERT_TRUE(wait_until([&] { return here->query(region, 1) == "5"; }));
  EXPECT_EQ(here->actors(region), 1u);
}

TEST_F(loading, outlives_the_region_that_has_ordered_it) {
  auto region = here->spawn();
  close();
  auto first = here->send(region, 1, put{1});
  ASSERT_TRUE(is_held_back());
  auto second = here->send(region, 1, put{1});
  caf::anon_send_exit(region, caf::exit_reason::user_shutdown);
  here->self()->wait_for(region);
  region = nullptr;
  at->closed = false;
  // What it had taken is carried out.
  EXPECT_EQ(here->receive(std::move(first)), "ok@2");
  EXPECT_EQ(here->receive(std::move(second)), "ok@3");
}

} // namespace
