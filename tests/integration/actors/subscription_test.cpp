// What a subscription promises to its consumer.

#include "support/bank.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

/// What a consumer has got, and how it is to behave.
struct inbox {
  std::mutex mutex;
  std::vector<event_batch> batches;
  bool acknowledges = true;

  std::vector<std::uint64_t> seq_nos() {
    std::lock_guard guard{mutex};
    std::vector<std::uint64_t> result;
    for (auto& batch : batches)
      for (auto& x : batch.events)
        result.push_back(x.seq_no);
    return result;
  }

  std::size_t size() { return seq_nos().size(); }

  void set(bool acknowledging) {
    std::lock_guard guard{mutex};
    acknowledges = acknowledging;
  }
};

class consumer : public caf::event_based_actor {
public:
  consumer(caf::actor_config& cfg, std::shared_ptr<inbox> box)
    : caf::event_based_actor(cfg), box_(std::move(box)) {
    // nop
  }

  caf::behavior make_behavior() override {
    return {[this](const event_batch& batch) {
      std::lock_guard guard{box_->mutex};
      box_->batches.push_back(batch);
      if (box_->acknowledges)
        seam::send(this, caf::actor_cast<caf::actor>(current_sender()),
                   ack{batch.up_to});
    }};
  }

private:
  std::shared_ptr<inbox> box_;
};

class subscription_on_postgres : public ::testing::Test {
protected:
  caf::actor consume(const std::shared_ptr<inbox>& box) {
    return bank_.sys().spawn<consumer>(box);
  }

  caf::actor subscribe(const std::string& name,
                       const std::shared_ptr<inbox>& box,
                       const subscription_options& options = {}) {
    return spawn_subscription<account>(bank_.sys(), journal_, name,
                                       consume(box), options);
  }

  /// Stores some events and returns their numbers.
  std::vector<std::uint64_t> deposit_some(int count) {
    std::vector<std::uint64_t> result;
    for (int i = 0; i < count; ++i)
      result.push_back(
        bank_.ask(region_, id_, deposit{std::uint64_t(i + 1)}).where.seq_no);
    return result;
  }

  std::string checkpoint(const std::string& name) {
    auto found = sql(journal_,
                     "select seq_no from " + options_.schema
                       + ".projection_range where name = $1",
                     name);
    return *found[0][0];
  }

  bank bank_;
  journal_options options_ = fresh_journal();
  journal journal_{bank_.sys(), options_};
  caf::actor region_ = spawn_entities<account>(bank_.sys(), journal_);
  uuid id_ = uuid::v4();
};

} // namespace

TEST_F(subscription_on_postgres, pushes_events_with_all_that_is_known) {
  auto box = std::make_shared<inbox>();
  auto all = deposit_some(3);
  auto handle = subscribe("", box);
  ASSERT_TRUE(wait_until([&] { return box->size() == 3; }));
  EXPECT_EQ(box->seq_nos(), all);
  auto list = decode<account>(box->batches[0].events[0]);
  ASSERT_EQ(list.size(), 1u);
  auto& x = list[0];
  EXPECT_EQ(x.id, id_);
  EXPECT_EQ(x.version, 1u);
  EXPECT_EQ(x.name, "deposited");
  EXPECT_EQ(x.metadata, R"({"who": "test"})");
  ASSERT_NE(x.as<deposited>(), nullptr);
  EXPECT_EQ(x.as<deposited>()->amount, 1u);
  // And what comes later.
  auto more = deposit_some(2);
  ASSERT_TRUE(wait_until([&] { return box->size() == 5; }));
  EXPECT_EQ(box->seq_nos().back(), more.back());
}

TEST_F(subscription_on_postgres, sends_no_more_than_it_was_asked_for) {
  auto box = std::make_shared<inbox>();
  box->acknowledges = false;
  deposit_some(20);
  subscription_options options;
  options.max_in_flight = 5;
  auto handle = subscribe("", box, options);
  ASSERT_TRUE(wait_until([&] { return box->size() == 5; }));
  // Acknowledging two makes room for two.
  auto seen = box->seq_nos();
  bank_.self()->send(handle, ack{seen[1]});
  ASSERT_TRUE(wait_until([&] { return box->size() == 7; }));
  box->set(true);
  bank_.self()->send(handle, ack{box->seq_nos().back()});
  ASSERT_TRUE(wait_until([&] { return box->size() == 20; }));
  auto got = box->seq_nos();
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
  EXPECT_EQ(std::set<std::uint64_t>(got.begin(), got.end()).size(), 20u);
}

TEST_F(subscription_on_postgres, goes_on_behind_what_was_acknowledged) {
  auto all = deposit_some(4);
  {
    auto box = std::make_shared<inbox>();
    box->acknowledges = false;
    auto handle = subscribe("mail", box);
    ASSERT_TRUE(wait_until([&] { return box->size() == 4; }));
    bank_.self()->send(handle, ack{all[1]});
    ASSERT_TRUE(
      wait_until([&] { return checkpoint("mail") == std::to_string(all[1]); }));
  }
  auto box = std::make_shared<inbox>();
  auto handle = subscribe("mail", box);
  ASSERT_TRUE(wait_until([&] { return box->size() == 2; }));
  EXPECT_EQ(box->seq_nos(), (std::vector{all[2], all[3]}));
  EXPECT_TRUE(
    wait_until([&] { return checkpoint("mail") == std::to_string(all[3]); }));
}

TEST_F(subscription_on_postgres, sends_again_what_is_not_acknowledged) {
  auto box = std::make_shared<inbox>();
  box->acknowledges = false;
  auto all = deposit_some(2);
  subscription_options options;
  options.ack_timeout = 100ms;
  auto handle = subscribe("", box, options);
  ASSERT_TRUE(wait_until([&] { return box->size() >= 4; }));
  auto got = box->seq_nos();
  EXPECT_EQ((std::vector{got[0], got[1]}), all);
  EXPECT_EQ((std::vector{got[2], got[3]}), all);
}

TEST_F(subscription_on_postgres, serves_one_of_two_under_a_name) {
  auto first = std::make_shared<inbox>();
  auto second = std::make_shared<inbox>();
  auto one = subscribe("mail", first);
  deposit_some(1);
  ASSERT_TRUE(wait_until([&] { return first->size() == 1; }));
  auto other = subscribe("mail", second);
  auto all = deposit_some(5);
  ASSERT_TRUE(wait_until([&] { return first->size() == 6; }));
  EXPECT_EQ(second->size(), 0u);
  ASSERT_TRUE(wait_until(
    [&] { return checkpoint("mail") == std::to_string(all.back()); }));
  // The other one takes over, and gets what is new only.
  one = nullptr;
  auto next = deposit_some(1);
  ASSERT_TRUE(wait_until([&] { return second->size() > 0; }, 30s));
  EXPECT_EQ(second->seq_nos().back(), next.back());
}

TEST_F(subscription_on_postgres, ends_with_its_consumer) {
  auto box = std::make_shared<inbox>();
  auto who = consume(box);
  auto handle = spawn_subscription<account>(bank_.sys(), journal_, "mail", who);
  deposit_some(1);
  ASSERT_TRUE(wait_until([&] { return box->size() == 1; }));
  caf::anon_send_exit(who, caf::exit_reason::kill);
  who = nullptr;
  // What it held is free for the next one at once.
  auto next = std::make_shared<inbox>();
  auto again = subscribe("mail", next);
  deposit_some(1);
  ASSERT_TRUE(wait_until([&] { return next->size() > 0; }, 30s));
}

TEST_F(subscription_on_postgres, begins_now_and_filters_by_name) {
  deposit_some(3);
  auto box = std::make_shared<inbox>();
  subscription_options options;
  options.start = from_now{};
  options.names = {"money-withdrawn"};
  auto handle = subscribe("", box, options);
  // Both are stored before the first look at the inbox; only one passes.
  deposit_some(1);
  auto last = bank_.ask(region_, id_, withdraw{1}).where.seq_no;
  ASSERT_TRUE(wait_until([&] { return box->size() > 0; }));
  EXPECT_EQ(box->seq_nos(), (std::vector{last}));
}
