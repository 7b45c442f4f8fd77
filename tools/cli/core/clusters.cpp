#include "clusters.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <map>
#include <string>

namespace evented::cli {

namespace {

using nlohmann::json;

/// Returns what each process runs, by the name that it also has as a node.
std::map<std::string, json> running(journal& x) {
  auto found = x.run(
    "select o.host, r.name, r.version, count(*) from {schema}.runner as o join "
    "{schema}.projection_range as r on r.owner = o.id where o.alive_until > "
    "clock_timestamp() group by o.host, r.name, r.version order by r.name, "
    "r.version");
  std::map<std::string, json> result;
  for (int i = 0; i < found.size(); ++i)
    result[found.text(i, 0)].push_back({{"name", found.text(i, 1)},
                                        {"version", found.number(i, 2)},
                                        {"ranges", found.number(i, 3)}});
  return result;
}

json describe_nodes(journal& x, const std::string& cluster,
                    const std::map<std::string, json>& projections) {
  auto found = x.run(
    "select n.name, n.incarnation::text, n.address, n.port, n.protocol, "
    "n.program, n.state, n.alive_until > clock_timestamp(), "
    "extract(epoch from n.alive_until - clock_timestamp())::float8, "
    "n.joined_at::text, count(s.shard) from {schema}.node as n left join "
    "{schema}.shard as s on s.cluster = n.cluster and s.owner = n.incarnation "
    "where n.cluster = $1 group by n.cluster, n.name order by n.name",
    {cluster});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i) {
    auto program = found.text(i, 5);
    auto runs = projections.find(program);
    result.push_back(
      {{"name", found.text(i, 0)},
       {"incarnation", found.text(i, 1)},
       {"address", found.text(i, 2)},
       {"port", found.number(i, 3)},
       {"protocol", found.text(i, 4)},
       {"program", program},
       {"state", found.text(i, 6)},
       {"alive", found.flag(i, 7)},
       {"lease_seconds", std::strtod(found.text(i, 8).c_str(), nullptr)},
       {"joined_at", found.text(i, 9)},
       {"shards", found.number(i, 10)},
       {"projections",
        runs == projections.end() ? json::array() : runs->second}});
  }
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
       {"alive", found.flag(i, 4)},
       {"epoch", found.number(i, 2)},
       {"changed_at", found.text(i, 3)}});
  return result;
}

} // namespace

json describe_clusters(journal& x) {
  auto found = x.run("select name, shards, revision from {schema}.cluster "
                     "order by name");
  auto projections = running(x);
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
                      {"nodes", describe_nodes(x, name, projections)},
                      {"leases", std::move(shards)}});
  }
  return result;
}

} // namespace evented::cli
