// tools/monitoring speaks of figures that there are, and docs/operations.md of
// all alerts.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

const std::filesystem::path root = EVENTED_SOURCE_DIR;

std::string read(const std::string& path) {
  std::ifstream in{root / path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Returns what `pattern` has in its first group, wherever it matches.
std::set<std::string> find(const std::string& text, const char* pattern) {
  std::set<std::string> result;
  std::regex what{pattern};
  for (std::sregex_iterator x{text.begin(), text.end(), what}, end; x != end;
       ++x)
    result.insert((*x)[1]);
  return result;
}

/// Returns the names of all figures, as programs tell them.
std::set<std::string> told() {
  auto result = find(read("actors/src/prometheus/collector.cpp")
                       + read("tools/cli/serve/figures.cpp"),
                     R"re("(evented_[a-z_]+)")re");
  for (auto& name : std::set<std::string>{result})
    for (auto* end : {"_bucket", "_sum", "_count"})
      result.insert(name + end);
  return result;
}

} // namespace

TEST(monitoring, watches_figures_that_there_are) {
  auto there = told();
  EXPECT_GT(there.size(), 100U);
  for (auto* file :
       {"tools/monitoring/alerts.yaml", "tools/monitoring/dashboard.json"}) {
    auto used = find(read(file), R"(\b(evented_[a-z_]+))");
    EXPECT_GT(used.size(), 10U);
    for (auto& name : used)
      EXPECT_TRUE(there.contains(name)) << name << " in " << file;
  }
}

TEST(monitoring, explains_each_alert) {
  auto docs = read("docs/operations.md");
  auto alerts = find(read("tools/monitoring/alerts.yaml"), R"(alert: (\w+))");
  EXPECT_GT(alerts.size(), 10U);
  for (auto& name : alerts)
    EXPECT_NE(docs.find("`" + name + "`"), std::string::npos) << name;
}

TEST(monitoring, has_a_dashboard_whose_panels_ask_for_something) {
  auto dashboard
    = nlohmann::json::parse(read("tools/monitoring/dashboard.json"));
  std::set<int> ids;
  for (auto& panel : dashboard["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second);
    if (panel["type"] == "row")
      continue;
    EXPECT_FALSE(panel["targets"].empty()) << panel["title"];
    EXPECT_LE(
      panel["gridPos"]["x"].get<int>() + panel["gridPos"]["w"].get<int>(), 24);
  }
  EXPECT_GT(ids.size(), 15U);
}
