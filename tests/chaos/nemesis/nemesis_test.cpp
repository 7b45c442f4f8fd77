// Everything that can go wrong goes wrong, one thing at a time and many at
// once, while clients work. What they were told has to agree with what the
// database holds afterwards.

#include "chaos/application.hpp"
#include "chaos/nemesis/plan.hpp"
#include "chaos/nemesis/verdict.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <map>

using namespace std::literals;

using namespace evented::test;
using namespace evented::test::nemesis;

namespace {

evented::dev::postgres_options settings(const small_volume* volume) {
  evented::dev::postgres_options result;
  result.fsync = false;
  result.settings = {{"max_connections", "40"},
                     {"max_prepared_transactions", "4"},
                     {"max_wal_size", "64MB"},
                     {"min_wal_size", "32MB"},
                     {"shared_buffers", "16MB"}};
  if (volume != nullptr)
    result.directory = volume->path() / "server";
  return result;
}

/// A server of these tests' own, on a volume of its own where that can be had.
class nemesis : public testing::Test {
protected:
  static void SetUpTestSuite() {
    volume_ = small_volume::make(400);
    server_.emplace(settings(volume_.get()));
  }

  static void TearDownTestSuite() {
    server_.reset();
    volume_.reset();
  }

  /// Runs rounds, each with faults by `f(bed, faults, seed)` and a judgement,
  /// one at least.
  template <class F>
  void run(const std::string& name, F f) {
    auto seed = first_seed();
    auto end = std::chrono::steady_clock::now() + more_rounds(0.4);
    do {
      std::cout << "seed " << seed << std::endl;
      recorder book{seed, name};
      std::string wrong;
      {
        bed all{{server_->socket_directory(), &*server_, volume_.get()}, book};
        std::cout << missing_faults(all);
        all.start_clients(seed);
        wrong = all.wait_for_progress();
        if (wrong.empty())
          wrong = f(all, all_faults(all), seed);
        wrong += all.settle();
      }
      EXPECT_EQ(verdict(book, wrong, "nemesis." + name, seed), "");
      ++seed;
    } while (std::chrono::steady_clock::now() < end && !HasFailure());
  }

private:
  static std::unique_ptr<small_volume> volume_;
  static std::optional<evented::dev::postgres> server_;
};

std::unique_ptr<small_volume> nemesis::volume_;
std::optional<evented::dev::postgres> nemesis::server_;

TEST(plan, is_the_same_for_the_same_seed) {
  faults some{{"a", 10ms, 400ms}, {"b", 10ms, 400ms}, {"c", 10ms, 400ms}};
  auto text = [](const std::vector<planned>& plan) {
    std::string result;
    for (auto& x : plan)
      result += std::to_string(x.at.count()) + ' '
                + std::to_string(x.lasts.count()) + ' '
                + std::to_string(x.which) + ' ' + std::to_string(x.seed) + '\n';
    return result;
  };
  EXPECT_EQ(text(plan_of_many(some, 7, 5s)), text(plan_of_many(some, 7, 5s)));
  EXPECT_NE(text(plan_of_many(some, 7, 5s)), text(plan_of_many(some, 8, 5s)));
  EXPECT_EQ(text(plan_of_each(some, 7)), text(plan_of_each(some, 7)));
}

TEST(plan, strikes_with_no_fault_that_is_at_work_already) {
  faults some{{"a", 1ms, 4000ms}, {"b", 1ms, 4000ms}};
  std::map<std::size_t, std::chrono::milliseconds> until;
  for (auto& x : plan_of_many(some, 7, 600s)) {
    EXPECT_GT(x.at, until[x.which] - 1ms);
    until[x.which] = x.at + x.lasts;
  }
  EXPECT_EQ(until.size(), 2u);
}

TEST_F(nemesis, one_fault_at_a_time) {
  run("one_fault_at_a_time", [](bed& at, const faults& of, auto seed) {
    return strike_each(at, of, plan_of_each(of, seed));
  });
}

TEST_F(nemesis, many_faults_at_once) {
  run("many_faults_at_once", [](bed& at, const faults& of, auto seed) {
    strike_many(at, of, plan_of_many(of, seed, 12s));
    return std::string{};
  });
}

} // namespace
