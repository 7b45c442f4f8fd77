// Whatever becomes of the dispatcher's connection, every message arrives, in the
// order of its entity, and nobody has to help.

#include "support/journals.hpp"
#include "support/parcels.hpp"
#include "support/proxy.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

using lines = std::vector<std::string>;

/// A statement of the dispatcher, and what becomes of its connection there.
struct cut {
  std::string name;
  std::string statement;
  void (proxy::*strike)(matcher, std::size_t);
};

class outbox_cuts : public testing::TestWithParam<cut> {
protected:
  outbox_cuts() {
    auto direct = fresh_journal();
    direct.ids = id_kind::bigint;
    // The schema is made before anything can go wrong.
    direct_ = open_store(direct);
    options_ = direct;
    options_.url = link_.url(server().user());
    options_.poll_interval = 50ms;
    // After this and half a second, nobody waits for an answer any more.
    options_.statement_timeout = 500ms;
    here_ = std::make_unique<parcel_process>(options_);
  }

  static entity_options<parcel> quick() {
    entity_options<parcel> result;
    // What a lost claim holds is free again after twice this.
    result.delivery.timeout = 500ms;
    result.delivery.first_pause = 10ms;
    result.delivery.longest_pause = 100ms;
    return result;
  }

  caf::actor spawn() {
    return here_->spawn<parcel>(
      quick().target("mailer", spawn_mailer(here_->sys(), box_)));
  }

  /// Lets each of the entities 1 to 5 post another message.
  void post_all(const caf::actor& region) {
    for (std::int64_t id = 1; id <= 5; ++id) {
      auto text = std::to_string(expected_[id].size());
      ASSERT_TRUE(here_->ask(region, id, post{text}).starts_with("ok@"));
      expected_[id].push_back(text);
    }
  }

  [[nodiscard]] bool is_empty() {
    auto session = direct_->connect();
    return wait_until(
      [&] { return session->waiting_targets("parcel").empty(); }, 60s);
  }

  /// Returns what has arrived from each entity, in the order in which it came
  /// for the first time.
  [[nodiscard]] std::map<std::int64_t, lines> arrived() const {
    std::map<std::int64_t, lines> result;
    std::set<std::string> seen;
    for (auto& x : box_->attempts())
      if (seen.insert(x).second)
        result[x[0] - '0'].push_back(x.substr(2));
    return result;
  }

  proxy link_{server().socket_directory() / ".s.PGSQL.5432"};
  journal_options options_;
  std::shared_ptr<store> direct_;
  std::shared_ptr<post_box> box_ = std::make_shared<post_box>();
  std::map<std::int64_t, lines> expected_;
  std::unique_ptr<parcel_process> here_;
};

TEST_P(outbox_cuts, lose_no_message_and_keep_the_order) {
  auto region = spawn();
  for (auto round = 0; round < 6; ++round) {
    // Not always the first one: the faults hit claims of nothing and of much.
    (link_.*GetParam().strike)(match::bind(GetParam().statement), round % 3);
    for (auto i = 0; i < 4; ++i)
      post_all(region);
    ASSERT_TRUE(wait_until([&] { return !link_.armed(); }, 60s));
    // What hangs arrives late, perhaps after the connection was given up.
    if (round % 2 == 1)
      link_.release();
  }
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(arrived(), expected_);
  EXPECT_EQ(box_->ids(), 120u);
}

INSTANTIATE_TEST_SUITE_P(
  statements, outbox_cuts,
  testing::Values(
    cut{"before_a_claim", "evented_claim_messages", &proxy::cut_before},
    cut{"after_a_claim", "evented_claim_messages", &proxy::cut_after_commit},
    cut{"during_a_claim", "evented_claim_messages", &proxy::cut_in_flight},
    cut{"a_claim_hangs", "evented_claim_messages", &proxy::hold},
    cut{"before_the_next", "evented_next_message", &proxy::cut_before},
    cut{"before_a_completion", "evented_complete_messages", &proxy::cut_before},
    cut{"after_a_completion", "evented_complete_messages",
        &proxy::cut_after_commit},
    cut{"during_a_completion", "evented_complete_messages",
        &proxy::cut_in_flight},
    cut{"a_completion_hangs", "evented_complete_messages", &proxy::hold}),
  [](auto& x) { return x.param.name; });

using outbox_outages = outbox_cuts;

TEST_P(outbox_outages, end_by_themselves) {
  auto region = spawn();
  // Every third message fails at first, so that some are given back as well.
  box_->decide = [n = 0](const notify&, std::size_t before) mutable {
    return ++n % 3 == 0 && before == 0 ? post_box::mood::fail
                                       : post_box::mood::acknowledge;
  };
  raw_connection db;
  for (auto round = 0; round < 10; ++round) {
    // Some of the round before are still on their way.
    auto before = box_->attempts().size();
    if (GetParam().name == "all_connections")
      link_.cut_all();
    else
      // The backends that have claimed or settled last.
      db.exec("select count(pg_terminate_backend(pid)) from pg_stat_activity "
              "where query ~ '"
              + options_.schema + ".*_message' and pid <> pg_backend_pid()");
    post_all(region);
    ASSERT_TRUE(
      wait_until([&] { return box_->attempts().size() > before; }, 60s));
  }
  ASSERT_TRUE(is_empty());
  EXPECT_EQ(arrived(), expected_);
  EXPECT_EQ(box_->ids(), 50u);
}

INSTANTIATE_TEST_SUITE_P(ways, outbox_outages,
                         testing::Values(cut{"all_connections", "", nullptr},
                                         cut{"killed_backends", "", nullptr}),
                         [](auto& x) { return x.param.name; });

} // namespace
