// The primary is gone for good and a standby takes over, while clients work. It
// has not got the last commits; what that means depends on whether these had
// waited for it.

#include "chaos/application.hpp"
#include "chaos/nemesis/bed.hpp"
#include "chaos/nemesis/replica.hpp"
#include "chaos/nemesis/verdict.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <sstream>

using namespace std::literals;

using namespace evented::test;
using namespace evented::test::nemesis;

namespace {

/// How many commands each process accepts before and after.
constexpr auto enough = 50;

/// Returns how many commands that were accepted are not in the journal.
std::size_t count_lost(const recorder& book) {
  std::stringstream text;
  for (auto& x : book.lines())
    text << x << '\n';
  auto told = read(text);
  std::set<std::uint64_t> stored;
  for (auto& x : told.events)
    stored.insert(x.key);
  return static_cast<std::size_t>(
    std::count_if(told.calls.begin(), told.calls.end(), [&](auto& x) {
      return x.answer && x.answer->as == "accepted" && x.answer->seq_no != 0
             && !stored.contains(x.key);
    }));
}

/// Lets a standby take over, and returns what is wrong afterwards.
std::string fail_over(bool synchronous, recorder& book, std::uint64_t seed) {
  replicated_server server;
  bed all{{server.sockets()}, book};
  if (synchronous)
    server.make_synchronous();
  all.start_clients(seed);
  auto wrong = all.wait_for_progress(enough);
  server.stop_replication();
  if (synchronous)
    // Until commits that are sent wait for it.
    pass_time(1s);
  else
    wrong += all.wait_for_progress(enough);
  all.fail_over(synchronous, [&] { server.fail_over(); });
  wrong += all.wait_for_progress(enough);
  return wrong + all.settle();
}

/// Runs a round, and more of them where there is time.
template <class F>
void run(const std::string& name, bool synchronous, F check_loss) {
  auto seed = first_seed();
  auto end = std::chrono::steady_clock::now() + more_rounds(0.1);
  do {
    std::cout << "seed " << seed << std::endl;
    recorder book{seed, name};
    auto wrong = fail_over(synchronous, book, seed);
    EXPECT_EQ(verdict(book, wrong, "failover." + name, seed), "");
    auto lost = count_lost(book);
    std::cout << lost << " accepted commands are lost\n";
    check_loss(lost);
    ++seed;
  } while (std::chrono::steady_clock::now() < end
           && !testing::Test::HasFailure());
}

} // namespace

TEST(failover, to_a_synchronous_standby_loses_nothing) {
  run("to_a_synchronous_standby_loses_nothing", true,
      [](std::size_t lost) { EXPECT_EQ(lost, 0u); });
}

TEST(failover, to_an_asynchronous_standby_takes_back_the_last_commands_only) {
  run("to_an_asynchronous_standby_takes_back_the_last_commands_only", false,
      // Else it has not shown anything.
      [](std::size_t lost) { EXPECT_GT(lost, 0u); });
}
