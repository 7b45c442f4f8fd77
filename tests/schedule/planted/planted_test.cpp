// Schedules find the faults that they are for: a test of the tests.

#include "schedule/planted/lying_store.hpp"
#include "schedule/schedule.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <iostream>

using namespace evented;
using namespace evented::test;

namespace {

struct named_fault {
  const char* name;
  planted_fault what;
};

class planted_faults : public testing::TestWithParam<named_fault> {
protected:
  planted_faults()
    : runner([](std::shared_ptr<store> inner) {
        return std::make_shared<lying_store>(std::move(inner));
      }) {
    spdlog::set_level(spdlog::level::off);
    active_fault = GetParam().what;
  }

  ~planted_faults() override { active_fault = planted_fault::none; }

  schedule_runner runner;
};

TEST_P(planted_faults, are_found_within_1000_schedules) {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed)
    if (auto wrong = runner.run(seed); !wrong.empty()) {
      std::cout << GetParam().name << " is found by schedule " << seed << ": "
                << wrong << '\n';
      EXPECT_NE(GetParam().what, planted_fault::none);
      return;
    }
  EXPECT_EQ(GetParam().what, planted_fault::none) << "not found";
}

INSTANTIATE_TEST_SUITE_P(
  all, planted_faults,
  testing::Values(
    named_fault{"no_fault", planted_fault::none},
    named_fault{"reply_before_commit", planted_fault::reply_before_commit},
    named_fault{"outcome_looked_up", planted_fault::outcome_looked_up},
    named_fault{"batch_blamed", planted_fault::batch_blamed},
    named_fault{"queue_lost_by_region", planted_fault::queue_lost_by_region},
    named_fault{"queue_lost_by_entity", planted_fault::queue_lost_by_entity},
    named_fault{"outcome_guessed", planted_fault::outcome_guessed},
    named_fault{"command_id_forgotten", planted_fault::command_id_forgotten},
    named_fault{"snapshot_of_any_shape", planted_fault::snapshot_of_any_shape},
    named_fault{"snapshot_without_version",
                planted_fault::snapshot_without_version}),
  [](auto& x) { return std::string{x.param.name}; });

} // namespace
