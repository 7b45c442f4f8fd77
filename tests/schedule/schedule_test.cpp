// Entities keep their promises in every order of steps.

#include "schedule/schedule.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>

using namespace evented;
using namespace evented::test;

namespace {

std::optional<std::uint64_t> number_from(const char* variable) {
  auto* text = std::getenv(variable);
  return text == nullptr ? std::nullopt
                         : std::optional<std::uint64_t>{std::stoull(text)};
}

class schedules : public testing::Test {
protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }
};

TEST_F(schedules, depend_on_their_seed_only) {
  schedule_runner one;
  schedule_runner other;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    one.run(seed, true);
    // Not the first one there.
    other.run(seed + 1000);
    other.run(seed, true);
    ASSERT_EQ(one.trace(), other.trace()) << "EVENTED_SEED=" << seed;
  }
}

// EVENTED_SEED=<n> repeats one schedule, EVENTED_SCHEDULES=<n> runs more.
TEST_F(schedules, leave_the_journal_as_it_was_answered) {
  auto seed = number_from("EVENTED_SEED");
  auto first = seed.value_or(std::random_device{}());
  auto count = seed ? 1 : number_from("EVENTED_SCHEDULES").value_or(10'000);
  std::cout << "first EVENTED_SEED=" << first << '\n';
  auto begin = std::chrono::steady_clock::now();
  schedule_runner runner;
  for (auto i = first; i < first + count; ++i) {
    auto wrong = runner.run(i, seed.has_value());
    if (seed)
      std::cout << runner.trace();
    ASSERT_EQ(wrong, "") << "EVENTED_SEED=" << i << " shows each step";
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  auto x = runner.counts();
  std::cout << count << " schedules in " << took.count() << " s: " << x.steps
            << " steps, " << x.commands << " commands, " << x.faults
            << " faults, " << x.crashes << " crashes, " << x.stops << " stops, "
            << x.interleaved << " calls between the steps of another commit\n";
  if (count < 1000)
    return;
  EXPECT_GT(x.faults, count / 10);
  EXPECT_GT(x.crashes, count / 100);
  EXPECT_GT(x.stops, count / 100);
  EXPECT_GT(x.interleaved, count / 10);
}

} // namespace
