#include "projections.hpp"

#include "failure.hpp"
#include "text.hpp"

#include <evented/projection_store.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

/// Counts what waits for a range, and how old the oldest of it is.
json lag_of(journal& x, const range_status& range,
            const std::vector<std::string>& types, std::uint64_t frontier) {
  std::int64_t count = 0;
  double age = 0;
  auto more = false;
  constexpr std::int64_t most = projection_lag::max_counted;
  for (auto& type : types) {
    auto found = x.run(
      "select count(*) filter (where e.slice between $4::integer and "
      "$5::integer), count(*), coalesce(extract(epoch from clock_timestamp() - "
      "min(e.created_at) filter (where e.slice between $4::integer and "
      "$5::integer)), 0)::float8 from (select slice, created_at from "
      "{schema}.event where type_name = $1 and seq_no > $2::bigint and seq_no "
      "<= $3::bigint order by seq_no limit $6::bigint) as e",
      {type, range.seq_no, frontier, unsigned{range.slices.first},
       unsigned{range.slices.last}, most + 1});
    count += found.number(0, 0);
    more = more || found.number(0, 1) > most;
    age = std::max(age, std::strtod(found.text(0, 2).c_str(), nullptr));
  }
  return {{"events", std::min(count, most)},
          {"more", more || count > most},
          {"seconds", age}};
}

const char* state_of(const projection_status& p, bool owned, bool halted,
                     bool wrong) {
  if (p.paused)
    return "paused";
  if (halted)
    return "halted";
  if (p.building)
    return "rebuilding";
  if (p.rescale_to)
    return "rescaling";
  if (!owned)
    return "not running";
  return wrong ? "failing" : "running";
}

json describe(journal& x, const projection_status& p,
              const std::vector<std::string>& types, std::uint64_t frontier) {
  json result{{"name", p.name},
              {"version", p.version},
              {"building", nullptr},
              {"paused", p.paused},
              {"ranges", json::array()}};
  if (p.building)
    result["building"] = *p.building;
  auto owned = true;
  auto halted = false;
  auto wrong = false;
  auto seq_no = frontier;
  std::int64_t events = 0;
  double seconds = 0;
  auto more = false;
  for (auto& r : p.ranges) {
    auto lag = lag_of(x, r, types, frontier);
    json range{{"version", r.key.version},
               {"slices", {r.slices.first, r.slices.last}},
               {"seq_no", r.seq_no},
               {"owner", r.owner ? json(r.host) : json()},
               {"halted", r.halted},
               {"error", r.error},
               {"failed_seq_no", r.failed_seq_no},
               {"lag", lag}};
    result["ranges"].push_back(range);
    if (r.key.version != p.version)
      continue;
    owned = owned && r.owner.has_value();
    halted = halted || r.halted;
    wrong = wrong || !r.error.empty();
    seq_no = std::min(seq_no, r.seq_no);
    events += lag["events"].get<std::int64_t>();
    more = more || lag["more"].get<bool>();
    seconds = std::max(seconds, lag["seconds"].get<double>());
  }
  result["seq_no"] = seq_no;
  result["lag_events"] = events;
  result["lag_more"] = more;
  result["lag_seconds"] = seconds;
  result["state"] = state_of(p, owned, halted, wrong);
  auto letters
    = x.run("select count(*) filter (where kind <> 'skipped'), count(*) filter "
            "(where kind = 'skipped') from {schema}.dead_letter where name = "
            "$1 and version = $2::integer",
            {p.name, p.version});
  result["dead_letters"] = letters.number(0, 0);
  result["skipped"] = letters.number(0, 1);
  return result;
}

} // namespace

json describe_projections(journal& x, std::uint64_t frontier,
                          const std::string& name) {
  auto found = x.run("select name from {schema}.projection where $1 = '' or "
                     "name = $1 order by name",
                     {name});
  if (found.empty() && !name.empty())
    throw failure(exit_code::not_found, "there is no projection \""
                                          + visible(name)
                                          + "\" in this journal");
  json result = json::array();
  if (found.empty())
    return result;
  auto types = x.types();
  auto session = connect_projections(x);
  for (int i = 0; i < found.size(); ++i)
    result.push_back(
      describe(x, session->status(found.text(i, 0)), types, frontier));
  return result;
}

void print_projections(const json& list) {
  table lines{{"projection", "state", "version", "checkpoint", "lag", "oldest",
               "dead letters", "runs on"}};
  std::vector<std::string> errors;
  for (auto& p : list) {
    std::vector<std::string> hosts;
    for (auto& r : p["ranges"]) {
      if (!r["owner"].is_null()) {
        auto host = visible(r["owner"].get<std::string>());
        if (std::find(hosts.begin(), hosts.end(), host) == hosts.end())
          hosts.push_back(host);
      }
      if (auto what = r["error"].get<std::string>(); !what.empty())
        errors.push_back(visible(p["name"].get<std::string>()) + ", event "
                         + std::to_string(r["failed_seq_no"].get<long long>())
                         + ": " + visible(what));
    }
    std::string where;
    for (auto& x : hosts)
      where += (where.empty() ? "" : ", ") + x;
    lines.add(
      {visible(p["name"].get<std::string>()), p["state"].get<std::string>(),
       std::to_string(p["version"].get<int>()),
       grouped(p["seq_no"].get<std::uint64_t>()),
       grouped(p["lag_events"].get<std::uint64_t>())
         + (p["lag_more"].get<bool>() ? "+" : ""),
       p["lag_events"] == 0 ? "-" : span_text(p["lag_seconds"].get<double>()),
       grouped(p["dead_letters"].get<std::uint64_t>()),
       where.empty() ? "-" : where});
  }
  if (lines.empty())
    std::puts("No projections.");
  else
    lines.print();
  for (auto& x : errors)
    std::printf("  %s\n", x.c_str());
}

} // namespace evented::cli
