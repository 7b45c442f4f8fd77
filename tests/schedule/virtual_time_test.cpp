// A test can lead all actors of a journal in memory, and their time.

#include "support/vault.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <gtest/gtest.h>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

TEST(virtual_time, puts_entities_to_sleep) {
  config<caf::id_block::vaults> cfg;
  cfg.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system sys{cfg};
  auto& scheduler
    = dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  {
    caf::scoped_actor self{sys};
    journal_options options;
    options.ids = id_kind::bigint;
    options.wake_up = wake_up::poll;
    journal where{sys, make_memory_store(options)};
    entity_options<basic_vault<1>> how;
    how.idle_timeout = 2min;
    auto vaults = spawn_entities(sys, where, how);
    auto awake = [&] {
      std::uint64_t result = 0;
      auto answer = self->request(vaults, caf::infinite, control::get_state{});
      scheduler.run();
      answer.receive([&](const region_state& x) { result = x.awake; },
                     [](const caf::error&) { ADD_FAILURE(); });
      return result;
    };
    auto answer
      = self->request(vaults, caf::infinite, std::int64_t{1}, add{1, 5, 1});
    scheduler.run();
    answer.receive([](const accepted& x) { EXPECT_EQ(x.version, 1u); },
                   [](const caf::error&) { ADD_FAILURE(); });
    EXPECT_EQ(awake(), 1u);
    auto pass = [&](std::chrono::seconds time) {
      for (; time > 0s; time -= 1s) {
        scheduler.advance_time(1s);
        scheduler.run();
      }
    };
    pass(110s);
    EXPECT_EQ(awake(), 1u);
    pass(15s);
    EXPECT_EQ(awake(), 0u);
    caf::anon_send_exit(vaults, caf::exit_reason::user_shutdown);
  }
  while (scheduler.has_job() || scheduler.trigger_timeout())
    scheduler.run();
}

} // namespace
