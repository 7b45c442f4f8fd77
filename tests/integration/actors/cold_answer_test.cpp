// What an answer costs that stores nothing: an entity that has read the journal
// since the command arrived need not ask it again.

#include "support/gated_store.hpp"
#include "support/wallet.hpp"

#include <evented/testkit/faulty_store.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

using namespace evented;
using namespace evented::test;
using testkit::store_call;

namespace {

class cold_answer : public testing::Test {
protected:
  cold_answer() {
    journal_options options;
    options.ids = id_kind::bigint;
    store = std::make_shared<testkit::faulty_store>(make_memory_store(options));
    wallet_process before{store};
    before.ask(before.spawn(), 1, put{5});
    here = std::make_unique<wallet_process>(store);
    region = here->spawn();
    forget();
  }

  ~cold_answer() override { region = nullptr; }

  void forget() {
    loads = store->count(store_call::load);
    appends = store->count(store_call::append);
  }

  /// Returns what was asked of the journal, for example `1 load, 0 appends`.
  std::string calls() {
    auto result = std::to_string(store->count(store_call::load) - loads)
                  + " loads, "
                  + std::to_string(store->count(store_call::append) - appends)
                  + " appends";
    forget();
    return result;
  }

  std::shared_ptr<testkit::faulty_store> store;
  std::unique_ptr<wallet_process> here;
  caf::actor region;
  std::size_t loads = 0;
  std::size_t appends = 0;
};

TEST_F(cold_answer, a_rejection_rests_on_the_load_alone) {
  EXPECT_EQ(here->ask_back(region, 1, take{6}), "short_of:5");
  EXPECT_EQ(calls(), "1 loads, 0 appends");
}

TEST_F(cold_answer, so_does_a_query_that_wants_the_truth) {
  EXPECT_EQ(here->query<get_true_total>(region, 1), "5");
  EXPECT_EQ(calls(), "1 loads, 0 appends");
}

TEST_F(cold_answer, so_does_the_answer_to_an_unexpected_version) {
  EXPECT_EQ(here->ask(region, 1, put{1}, expect{3}), "unexpected_version");
  EXPECT_EQ(calls(), "1 loads, 0 appends");
}

TEST_F(cold_answer, one_that_is_awake_asks_the_journal) {
  here->query(region, 1);
  forget();
  EXPECT_EQ(here->ask_back(region, 1, take{6}), "short_of:5");
  EXPECT_EQ(calls(), "0 loads, 1 appends");
}

TEST_F(cold_answer, an_answer_to_a_command_with_an_id_is_stored) {
  EXPECT_EQ(here->ask_back(region, 1, take{6}, command_id{"a"}), "short_of:5");
  EXPECT_EQ(calls(), "1 loads, 1 appends");
  EXPECT_EQ(here->ask_back(region, 1, take{6}, command_id{"a"}), "short_of:5");
}

TEST_F(cold_answer, what_was_read_before_a_command_came_proves_nothing_to_it) {
  auto at = std::make_shared<load_gate>();
  wallet_process slow{std::make_shared<gated_store>(store, at)};
  auto cold = slow.spawn();
  // So that it can be told when what follows has arrived, too.
  slow.query(cold, 2);
  at->closed = true;
  auto first = slow.send(cold, 1, take{6});
  ASSERT_TRUE(wait_until([&] { return at->held_back == 1; }));
  // Another process is faster, and its client asks the slow one.
  EXPECT_EQ(here->ask(region, 1, put{1}), "ok@2");
  auto second = slow.send(cold, 1, get_true_total{});
  // The region handles what it gets in order.
  EXPECT_EQ(slow.query(cold, 2), "0");
  at->closed = false;
  EXPECT_EQ(slow.receive(std::move(first)), "short_of:5");
  std::string answer;
  second.receive([&](std::uint64_t x) { answer = std::to_string(x); },
                 [&](const caf::error& err) { answer = text_of(err); });
  EXPECT_EQ(answer, "6");
}

} // namespace
