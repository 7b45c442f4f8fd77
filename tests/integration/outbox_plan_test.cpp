// What a claim costs: pages by what it claims, not by what waits. Ten times as
// many messages that cannot go out yet make it no dearer, whatever keeps them.

#include "support/journals.hpp"

#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <regex>
#include <string>

using namespace std::literals;

using namespace evented;
using evented::test::raw_connection;

namespace {

constexpr auto limit = 64;

/// A crowd of messages.
struct crowd {
  std::string name;
  /// What makes the n-th of them: its entity, when it is due, and until when
  /// nobody is to take it.
  std::string entity, due_at, claimed_until;
  /// Whether they may be claimed at once, one after the other.
  bool free = false;
};

/// What claims have cost, in pages of the server's memory.
struct cost {
  /// The dearest one, until none has found anything more to do.
  std::uint64_t worst = 0;
  /// One that finds nothing.
  std::uint64_t nothing = 0;
  /// One that finds a message of another entity, behind the crowd.
  std::uint64_t one = 0;
  /// To ask for the next timer and for the targets.
  std::uint64_t next = 0, targets = 0;
};

class outbox_plan : public testing::TestWithParam<crowd> {
protected:
  outbox_plan() : options(test::fresh_journal()) {
    options.ids = id_kind::bigint;
    open_store(options);
    db.exec("set client_min_messages = warning");
    // Nobody shall tidy up in between, or know more than we say.
    db.exec("alter table " + table() + " set (autovacuum_enabled = off)");
  }

  ~outbox_plan() override {
    db.try_exec("drop schema " + options.schema + " cascade");
  }

  [[nodiscard]] std::string table() const { return options.schema + ".outbox"; }

  /// Puts messages into the outbox, from the n-th of a crowd to the m-th.
  void fill(const crowd& how, std::uint64_t from, std::uint64_t to) {
    db.exec("insert into " + table()
            + " (type_name, entity_id, slice, version, append_id, target, "
              "message, due_at, claimed_until) select 'thing', "
            + how.entity + ", 0, n, gen_random_uuid(), 'a', 'x', " + how.due_at
            + ", " + how.claimed_until + " from generate_series("
            + std::to_string(from) + "::bigint, " + std::to_string(to)
            + ") as n");
  }

  /// Runs a query and returns how many pages it has touched.
  std::uint64_t pages(const std::string& from) {
    auto plan = db.exec("explain (analyze, buffers, format json) select * from "
                        + options.schema + "." + from);
    std::uint64_t result = 0;
    for (auto* key : {"Hit", "Read"}) {
      std::smatch found;
      std::regex form{"\"Shared "s + key + " Blocks\": ([0-9]+)"};
      // The first one is that of the whole plan.
      if (std::regex_search(plan, found, form))
        result += std::stoull(found[1]);
    }
    return result;
  }

  /// Claims once and returns how many pages that took.
  std::uint64_t claim() {
    return pages("claim_messages('thing', array['a', 'b'], gen_random_uuid(), "
                 "'1 hour', "
                 + std::to_string(limit) + ")");
  }

  /// Removes what was claimed.
  void complete() {
    db.exec("delete from " + table() + " where claim is not null");
  }

  cost measure(const crowd& how, std::uint64_t count) {
    db.exec("truncate " + table());
    fill(how, 1, count);
    cost result;
    // Each message is looked at once, of which each claim does its share.
    for (std::uint64_t i = 0; i <= count / limit; ++i) {
      result.worst = std::max(result.worst, claim());
      complete();
    }
    EXPECT_EQ(db.exec("select count(*) from " + table()),
              how.free ? "0" : std::to_string(count));
    // As the server does by itself, some time later.
    db.exec("vacuum " + table());
    result.nothing = claim();
    fill({"", "-1", "'-infinity'", "'-infinity'"}, 1, 1);
    result.one = claim();
    EXPECT_EQ(
      db.exec("select entity_id from " + table() + " where claim is not null"),
      "-1");
    result.next = pages("next_message('thing', array['a', 'b'])");
    result.targets = pages("waiting_targets('thing')");
    return result;
  }

  journal_options options;
  raw_connection db;
};

TEST_P(outbox_plan, a_claim_costs_what_it_claims) {
  // Both are more than one claim puts in order.
  auto small = measure(GetParam(), 2500);
  auto large = measure(GetParam(), 25'000);
  auto compare = [](const char* what, std::uint64_t x, std::uint64_t y) {
    // Another level of an index.
    EXPECT_LE(y, 2 * x + 50) << what << ": with a tenth " << x;
  };
  compare("the dearest claim", small.worst, large.worst);
  compare("a claim of nothing", small.nothing, large.nothing);
  compare("a claim of one", small.one, large.one);
  compare("the next timer", small.next, large.next);
  compare("the targets", small.targets, large.targets);
}

const crowd crowds[] = {
  {"behind_one_that_waits", "1", "'-infinity'",
   "case when n = 1 then now() + interval '1 hour' else '-infinity' end"},
  {"all_wait", "n", "'-infinity'", "now() + interval '1 hour'"},
  {"timers", "n", "now() + interval '1 hour'", "'-infinity'"},
  {"timers_behind_one_that_waits", "1", "now() - interval '1 hour'",
   "case when n = 1 then now() + interval '1 hour' else '-infinity' end"},
  {"free", "n", "'-infinity'", "'-infinity'", true},
};

INSTANTIATE_TEST_SUITE_P(crowds, outbox_plan, testing::ValuesIn(crowds),
                         [](auto& x) { return x.param.name; });

} // namespace
