#include "core/clusters.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace evented::cli {

namespace {

using nlohmann::json;

struct nodes_options {
  bool shards = false;
};

/// Returns the names of projections, with how many of their ranges there are.
std::string names_of(const json& projections) {
  std::string result;
  for (auto& p : projections)
    result += (result.empty() ? "" : ", ")
              + visible(p["name"].get<std::string>()) + " ("
              + std::to_string(p["ranges"].get<int>()) + ")";
  return result.empty() ? "-" : result;
}

void print(const json& clusters, const nodes_options& options) {
  if (clusters.empty())
    std::puts("No nodes yet.");
  for (auto& c : clusters) {
    std::printf("Cluster \"%s\": %lld shards, %lld of them owned by no node "
                "that is alive\n",
                visible(c["cluster"].get<std::string>()).c_str(),
                c["shards"].get<long long>(), c["free"].get<long long>());
    table nodes{{"node", "state", "shards", "lease", "address", "program",
                 "projections"}};
    for (auto& n : c["nodes"]) {
      auto seconds = n["lease_seconds"].get<double>();
      nodes.add(
        {visible(n["name"].get<std::string>()),
         n["alive"].get<bool>() ? n["state"].get<std::string>() : "gone",
         grouped(n["shards"].get<std::uint64_t>()),
         seconds > 0 ? span_text(seconds)
                     : "ended " + span_text(-seconds) + " ago",
         visible(n["address"].get<std::string>()) + ":"
           + std::to_string(n["port"].get<int>()),
         visible(n["program"].get<std::string>()), names_of(n["projections"])});
    }
    if (!nodes.empty())
      nodes.print();
    if (options.shards) {
      table shards{{"shard", "node", "epoch", "since"}};
      for (auto& s : c["leases"])
        shards.add(
          {std::to_string(s["shard"].get<int>()),
           s["alive"].get<bool>() ? visible(s["node"].get<std::string>()) : "-",
           grouped(s["epoch"].get<std::uint64_t>()),
           s["changed_at"].get<std::string>()});
      shards.print();
    }
  }
}

exit_code nodes(const globals& how, const nodes_options& options) {
  auto x = open_journal(how);
  auto found = describe_clusters(x);
  if (how.json)
    std::printf(
      "%s\n",
      found.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  else
    print(found, options);
  return exit_code::done;
}

} // namespace

void add_nodes(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "nodes",
    "Shows the nodes of each cluster on the journal, what they own and run, "
    "and "
    "whose time is up",
    "  evented nodes\n"
    "  evented nodes --shards\n"
    "  evented nodes --json | jq '.[].nodes[] | select(.alive | not)'");
  auto options = std::make_shared<nodes_options>();
  verb->add_flag("--shards", options->shards, "Lists every shard, too");
  on(verb, chosen, options, nodes);
}

} // namespace evented::cli
