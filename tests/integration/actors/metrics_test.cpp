// The figures of a journal, as Prometheus gets them over HTTP from a program that
// is at work.

#include "support/projected_bank.hpp"
#include "support/scrape.hpp"

#include <evented/actors/metrics_exporter.hpp>

#include <regex>
#include <set>

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

class exported : public projected_bank {
protected:
  /// Returns one figure, 0 where it is not there.
  double scrape(const std::string& name) {
    auto all = parse_samples(scrape_text(exporter_.port()));
    auto found = all.find(name);
    return found == all.end() ? 0 : found->second;
  }

  static std::string commands(const std::string& outcome) {
    return "evented_commands_total{entity_type=\"account\",outcome=\"" + outcome
           + "\"}";
  }

  metrics_exporter exporter_{journal_, "127.0.0.1:0"};
};

} // namespace

TEST_F(exported, counts_what_was_sent) {
  constexpr std::size_t entities = 40;
  constexpr std::size_t each = 25;
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  for (std::size_t i = 0; i < entities; ++i) {
    auto id = uuid::v4();
    for (auto& x :
         bank_.ask_all(region, id, std::vector<deposit>(each, deposit{1})))
      EXPECT_TRUE(x.ok) << x.text();
    EXPECT_EQ(bank_.ask(region, id, withdraw{each + 1}).code(), errc::rejected);
  }
  EXPECT_EQ(bank_.ask(region, std::string{"no uuid"}, deposit{1}).code(),
            errc::invalid_id);

  EXPECT_EQ(scrape(commands("accepted")), entities * each);
  EXPECT_EQ(scrape(commands("rejected")), entities);
  EXPECT_EQ(scrape(commands("invalid_id")), 1);
  EXPECT_EQ(scrape("evented_events_stored_total"), entities * each);
  EXPECT_EQ(scrape("evented_entities{entity_type=\"account\","
                   "state=\"awake\"}"),
            entities);
  EXPECT_EQ(scrape("evented_command_duration_seconds_count{entity_type="
                   "\"account\"}"),
            entities * (each + 1) + 1);
  EXPECT_EQ(scrape("evented_commands_in_progress{entity_type=\"account\"}"), 0);
  EXPECT_EQ(scrape("evented_appends_waiting"), 0);
  // A rejection goes through a commit as well, as a check.
  EXPECT_EQ(scrape("evented_append_batch_commands_sum"), entities * (each + 1));
  EXPECT_EQ(scrape("evented_commit_duration_seconds_count"),
            scrape("evented_append_batch_commands_count"));
  EXPECT_GT(scrape("evented_commit_duration_seconds_sum"), 0);
  EXPECT_EQ(scrape("evented_load_batch_entities_sum"), entities);
  EXPECT_GE(scrape("evented_connections{state=\"open\"}"), 2);
  EXPECT_EQ(scrape("evented_connections{state=\"failing\"}"), 0);
}

TEST_F(exported, tells_that_entities_fall_asleep_and_wake_up) {
  entity_options<account> how;
  how.idle_timeout = 40ms;
  auto region = spawn_entities<account>(bank_.sys(), journal_, how);
  auto id = uuid::v4();
  bank_.ask(region, id, deposit{1});
  EXPECT_TRUE(wait_until([&] {
    return scrape("evented_passivations_total{entity_type=\"account\"}") == 1;
  }));
  EXPECT_EQ(scrape("evented_entities{entity_type=\"account\","
                   "state=\"awake\"}"),
            0);
  bank_.ask(region, id, deposit{1});
  EXPECT_EQ(scrape("evented_events_loaded_total"), 1);
}

TEST_F(exported, counts_conflicts_and_what_was_decided_again) {
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  journal other{bank_.sys(), journal_.store()};
  auto elsewhere = spawn_entities<account>(bank_.sys(), other);
  auto id = uuid::v4();
  bank_.ask(region, id, deposit{1});
  bank_.ask(elsewhere, id, deposit{1});
  ASSERT_TRUE(bank_.ask(region, id, deposit{1}).ok);
  EXPECT_EQ(scrape("evented_conflicts_total{entity_type=\"account\"}"), 1);
  EXPECT_EQ(
    scrape("evented_commands_decided_again_total{entity_type=\"account\"}"), 1);
  // What another journal counts is its own.
  EXPECT_EQ(other.metrics()->snapshot().entities["account"].conflicts, 0U);
}

TEST_F(exported, follows_a_projection) {
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler(), {});
  std::uint64_t last = 0;
  for (int i = 0; i < 10; ++i)
    last = put(10);
  EXPECT_EQ(wait_for(view, last), "handled");
  // Asking for the state looks at the database, as the projection itself does
  // every few seconds.
  state_of(view);
  const std::string balances = "{projection=\"balances\"}";
  EXPECT_EQ(scrape("evented_projection_events_total" + balances), 10);
  EXPECT_EQ(scrape("evented_projection_checkpoint" + balances),
            static_cast<double>(last));
  EXPECT_EQ(scrape("evented_projection_lag_events" + balances), 0);
  EXPECT_EQ(scrape("evented_projection_healthy" + balances), 1);
  EXPECT_EQ(scrape("evented_watch_connected"), 1);
  EXPECT_EQ(scrape("evented_frontier_seq_no"), static_cast<double>(last));

  // One that has ended is not shown as if it stood still.
  view = nullptr;
  EXPECT_TRUE(wait_until(
    [&] { return scrape("evented_projection_ranges" + balances) == 0; }));
}

TEST_F(exported, names_everything_as_prometheus_wants_it) {
  auto region = spawn_entities<account>(bank_.sys(), journal_);
  bank_.ask(region, uuid::v4(), deposit{1});
  auto text = scrape_text(exporter_.port());
  auto all = parse_samples(text);
  std::map<std::string, std::string> types;
  std::set<std::string> explained;
  std::istringstream lines{text};
  for (std::string line, mark, what, name, rest; std::getline(lines, line);) {
    std::istringstream words{line};
    words >> mark >> what >> name >> rest;
    if (mark == "#" && what == "TYPE") {
      EXPECT_TRUE(types.emplace(name, rest).second) << name << " comes twice";
    }
    if (mark == "#" && what == "HELP")
      explained.insert(name);
  }
  for (auto& [name, type] : types) {
    if (!name.starts_with("evented_"))
      continue;
    EXPECT_TRUE(std::regex_match(name, std::regex{"[a-z]+(_[a-z]+)+"})) << name;
    EXPECT_TRUE(explained.contains(name)) << name;
    EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
    if (type == "histogram") {
      auto of = all.lower_bound(name + "_bucket");
      EXPECT_TRUE(of != all.end() && of->first.starts_with(name)) << name;
    }
  }
  for (auto& [sample, value] : all) {
    if (!sample.starts_with("evented_"))
      continue;
    // IDs of entities would make a line each.
    EXPECT_FALSE(std::regex_search(sample, std::regex{"[0-9a-f]{8}-"}))
      << sample;
    EXPECT_GE(value, 0) << sample;
  }
}

TEST_F(exported, listens_only_where_it_is_told_to) {
  for (auto* nowhere : {"9464", ":0", "127.0.0.1:0,0", "127.0.0.1:0, :0", "",
                        "256.1.1.1:0", "127.0.0.1:seven"})
    EXPECT_THROW(metrics_exporter(journal_, nowhere), error) << nowhere;
  auto taken = "127.0.0.1:" + std::to_string(exporter_.port());
  EXPECT_THROW(metrics_exporter(journal_, taken), error);
}
