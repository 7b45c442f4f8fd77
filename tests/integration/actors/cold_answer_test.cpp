// What an answer costs that stores nothing: an entity that has read the journal
// since the command arrived need not ask it again.

#include "support/wallet.hpp"

#include <evented/testkit/faulty_store.hpp>

#include <gtest/gtest.h>

#include <atomic>
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

/// Holds back what was loaded as long as a gate is closed.
class gated_session : public store_session {
public:
  struct gate {
    std::atomic<bool> closed{false};
    std::atomic<int> held_back{0};
  };

  gated_session(std::unique_ptr<store_session> inner, std::shared_ptr<gate> at)
    : inner_(std::move(inner)), gate_(std::move(at)) {
    // nop
  }

  bool append(std::span<append_request* const> batch) override {
    return inner_->append(batch);
  }

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    auto result = inner_->load(batch, max_events);
    if (gate_->closed) {
      ++gate_->held_back;
      EXPECT_TRUE(wait_until([&] { return !gate_->closed; }));
    }
    return result;
  }

  std::uint64_t frontier() override { return inner_->frontier(); }

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    return inner_->read(filter, after, up_to, limit);
  }

  void save_snapshots(std::span<const new_snapshot> batch,
                      unsigned keep) override {
    inner_->save_snapshots(batch, keep);
  }

  std::vector<std::int32_t> snapshot_shapes(std::string_view type) override {
    return inner_->snapshot_shapes(type);
  }

  std::size_t forget_commands(std::string_view type, std::chrono::seconds age,
                              std::size_t limit) override {
    return inner_->forget_commands(type, age, limit);
  }

  claimed_messages claim_messages(const message_claim& what) override {
    return inner_->claim_messages(what);
  }

  void settle_messages(std::span<const settled_message> batch) override {
    inner_->settle_messages(batch);
  }

  std::vector<std::string> waiting_targets(std::string_view type) override {
    return inner_->waiting_targets(type);
  }

  std::vector<event_shape> shapes(std::string_view type) override {
    return inner_->shapes(type);
  }

  bool holds(std::string_view type, const event_shape& shape) override {
    return inner_->holds(type, shape);
  }

  rows query(std::string_view sql,
             const std::vector<parameter>& params) override {
    return inner_->query(sql, params);
  }

private:
  std::unique_ptr<store_session> inner_;
  std::shared_ptr<gate> gate_;
};

class gated_store : public store {
public:
  explicit gated_store(std::shared_ptr<store> inner)
    : inner_(std::move(inner)) {
    // nop
  }

  std::unique_ptr<store_session> connect() override {
    return std::make_unique<gated_session>(inner_->connect(), gate);
  }

  std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds limit) override {
    return inner_->connect_projections(limit);
  }

  std::unique_ptr<watch_session> connect_watch() override {
    return inner_->connect_watch();
  }

  [[nodiscard]] const journal_options& options() const noexcept override {
    return inner_->options();
  }

  std::shared_ptr<gated_session::gate> gate
    = std::make_shared<gated_session::gate>();

private:
  std::shared_ptr<store> inner_;
};

TEST_F(cold_answer, what_was_read_before_a_command_came_proves_nothing_to_it) {
  auto gated = std::make_shared<gated_store>(store);
  wallet_process slow{gated};
  auto cold = slow.spawn();
  // So that it can be told when what follows has arrived, too.
  slow.query(cold, 2);
  gated->gate->closed = true;
  auto first = slow.send(cold, 1, take{6});
  ASSERT_TRUE(wait_until([&] { return gated->gate->held_back == 1; }));
  // Another process is faster, and its client asks the slow one.
  EXPECT_EQ(here->ask(region, 1, put{1}), "ok@2");
  auto second = slow.send(cold, 1, get_true_total{});
  // The region handles what it gets in order.
  EXPECT_EQ(slow.query(cold, 2), "0");
  gated->gate->closed = false;
  EXPECT_EQ(slow.receive(std::move(first)), "short_of:5");
  std::string answer;
  second.receive([&](std::uint64_t x) { answer = std::to_string(x); },
                 [&](const caf::error& err) { answer = text_of(err); });
  EXPECT_EQ(answer, "6");
}

} // namespace
