#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace evented::cli {

namespace {

using nlohmann::json;

struct nodes_options {
  bool shards = false;
};

json describe_nodes(journal& x, const std::string& cluster) {
  auto found = x.run(
    "select n.name, n.incarnation::text, n.address, n.port, n.protocol, "
    "n.program, n.state, n.alive_until > clock_timestamp(), "
    "extract(epoch from n.alive_until - clock_timestamp())::float8, "
    "n.joined_at::text, count(s.shard) from {schema}.node as n left join "
    "{schema}.shard as s on s.cluster = n.cluster and s.owner = n.incarnation "
    "where n.cluster = $1 group by n.cluster, n.name order by n.name",
    {cluster});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back(
      {{"name", found.text(i, 0)},
       {"incarnation", found.text(i, 1)},
       {"address", found.text(i, 2)},
       {"port", found.number(i, 3)},
       {"protocol", found.text(i, 4)},
       {"program", found.text(i, 5)},
       {"state", found.text(i, 6)},
       {"alive", found.text(i, 7) == "t"},
       {"lease_seconds", std::strtod(found.text(i, 8).c_str(), nullptr)},
       {"joined_at", found.text(i, 9)},
       {"shards", found.number(i, 10)}});
  return result;
}

json describe_shards(journal& x, const std::string& cluster) {
  auto found = x.run(
    "select s.shard, n.name, s.epoch, s.changed_at::text, coalesce("
    "n.alive_until > clock_timestamp(), false) from {schema}.shard as s left "
    "join {schema}.node as n on n.cluster = s.cluster and n.incarnation = "
    "s.owner where s.cluster = $1 order by s.shard",
    {cluster});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back(
      {{"shard", found.number(i, 0)},
       {"node", found.null(i, 1) ? json() : json(found.text(i, 1))},
       {"alive", found.text(i, 4) == "t"},
       {"epoch", found.number(i, 2)},
       {"changed_at", found.text(i, 3)}});
  return result;
}

json collect(journal& x) {
  auto found = x.run("select name, shards, revision from {schema}.cluster "
                     "order by name");
  json result = json::array();
  for (int i = 0; i < found.size(); ++i) {
    auto name = found.text(i, 0);
    auto shards = describe_shards(x, name);
    std::int64_t free = 0;
    for (auto& shard : shards)
      free += shard["alive"].get<bool>() ? 0 : 1;
    result.push_back({{"cluster", name},
                      {"shards", found.number(i, 1)},
                      {"free", free},
                      {"revision", found.number(i, 2)},
                      {"nodes", describe_nodes(x, name)},
                      {"leases", std::move(shards)}});
  }
  return result;
}

void print(const json& clusters, const nodes_options& options) {
  if (clusters.empty())
    std::puts("No nodes yet.");
  for (auto& c : clusters) {
    std::printf("Cluster \"%s\": %lld shards, %lld of them owned by no node "
                "that is alive\n",
                visible(c["cluster"].get<std::string>()).c_str(),
                c["shards"].get<long long>(), c["free"].get<long long>());
    table nodes{{"node", "state", "shards", "lease", "address", "program"}};
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
         visible(n["program"].get<std::string>())});
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
  auto found = collect(x);
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
    "Shows the nodes of each cluster on the journal, what they own, and whose "
    "time is up",
    "  evented nodes\n"
    "  evented nodes --shards\n"
    "  evented nodes --json | jq '.[].nodes[] | select(.alive | not)'");
  auto options = std::make_shared<nodes_options>();
  verb->add_flag("--shards", options->shards, "Lists every shard, too");
  on(verb, chosen, options, nodes);
}

} // namespace evented::cli
