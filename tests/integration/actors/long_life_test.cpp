// An entity with a long history: a million events with EVENTED_LARGE=1 in the
// environment, fewer else.

#include "support/journals.hpp"
#include "support/wallet.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <fstream>
#include <limits>
#include <string>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

/// Returns a line of /proc/self/status in bytes.
std::size_t status(const std::string& name) {
  std::ifstream in{"/proc/self/status"};
  for (std::string key; in >> key;) {
    std::size_t kilobytes = 0;
    if (key == name + ":" && in >> kilobytes)
      return kilobytes * 1024;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

/// Makes the peak of this process's memory what it is now, see proc(5).
void forget_peak() {
  std::ofstream{"/proc/self/clear_refs"} << "5";
}

/// AddressSanitizer keeps for a while what was freed, so that memory in use says
/// nothing.
constexpr bool keeps_what_is_freed =
#ifdef __SANITIZE_ADDRESS__
  true;
#else
  false;
#endif

class long_life : public testing::Test {
protected:
  long_life() {
    options.ids = id_kind::bigint;
    how.command_timeout = 5min;
    open_store(options);
    raw_connection db;
    db.exec("insert into " + options.schema
            + ".event (type_name, entity_id, version, slice, event_name, "
              "schema_version, append_id, event, metadata) select 'wallet', 1, "
              "n, 0, 'was_put', 1, gen_random_uuid(), '{\"amount\": 1}', "
              "jsonb_build_object('filler', repeat('x', 100)) from "
              "generate_series(1, "
            + std::to_string(count) + ") as n");
  }

  const std::uint64_t count
    = std::getenv("EVENTED_LARGE") != nullptr ? 1'000'000 : 100'000;
  journal_options options = fresh_journal();
  entity_options<wallet> how;
};

TEST_F(long_life, is_replayed_in_bounded_memory) {
  wallet_process here{options};
  auto region = here.spawn(how);
  // The connection and its buffers.
  EXPECT_EQ(here.query(region, 2), "0");
  forget_peak();
  auto before = status("VmRSS");
  EXPECT_EQ(here.query(region, 1), std::to_string(count));
  auto more = status("VmHWM") - std::min(before, status("VmHWM"));
  std::cout << count << " events took " << more / 1024 << " kB\n";
  if (keeps_what_is_freed)
    GTEST_SKIP() << "how much memory this takes is not known";
  EXPECT_LT(more, 64u * 1024 * 1024);
}

TEST_F(long_life, goes_on_from_a_snapshot) {
  how.snapshots({.every = 1000});
  {
    wallet_process first{options};
    EXPECT_EQ(first.query(first.spawn(how), 1), std::to_string(count));
    // Waking up was reason enough.
    raw_connection db;
    EXPECT_TRUE(wait_until([&] {
      return db.exec("select max(version) from " + options.schema + ".snapshot")
             == std::to_string(count);
    }));
  }
  wallet_process here{options};
  auto before = wallet::all_applied.load();
  EXPECT_EQ(here.ask(here.spawn(how), 1, put{1}),
            "ok@" + std::to_string(count + 1));
  EXPECT_LE(wallet::all_applied.load() - before, 2u);
}

TEST(many_lives, leave_no_memory_behind) {
  const auto large = std::getenv("EVENTED_LARGE") != nullptr;
  const std::int64_t ids = large ? 1'000'000 : 30'000;
  auto options = fresh_journal();
  options.ids = id_kind::bigint;
  entity_options<wallet> how;
  how.max_awake = large ? 10'000 : 1'000;
  how.command_timeout = 1min;
  wallet_process here{options};
  auto region = here.spawn(how);
  // Without a time limit: CAF delivers those of requests that were answered
  // long ago too, and a blocking actor looks through all of them.
  auto send = [&](std::int64_t id) {
    return here.self()->request(region, caf::infinite, id, put{1});
  };
  std::deque<decltype(send(1))> open;
  auto receive = [&] {
    ASSERT_EQ(here.receive(std::move(open.front())), "ok@1");
    open.pop_front();
  };
  std::size_t before = 0;
  for (std::int64_t id = 0; id < ids && !testing::Test::HasFatalFailure();
       ++id) {
    open.push_back(send(id));
    if (open.size() == 256)
      receive();
    // All that are ever awake at once have been.
    if (id == ids / 3)
      before = status("VmRSS");
  }
  while (!open.empty())
    receive();
  auto after = status("VmRSS");
  auto more = after - std::min(before, after);
  std::cout << "the last two thirds of " << ids << " IDs took " << more / 1024
            << " kB, of " << after / 1024 << " kB in all\n";
  EXPECT_TRUE(wait_until([&] { return here.actors(region) <= how.max_awake; }));
  if (keeps_what_is_freed)
    GTEST_SKIP() << "how much memory this takes is not known";
  EXPECT_LT(more, 32u * 1024 * 1024);
}

} // namespace
