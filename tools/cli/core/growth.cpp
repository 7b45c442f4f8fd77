#include "growth.hpp"

#include <nlohmann/json.hpp>

namespace evented::cli {

namespace {

/// Returns the number of the first event of an entity type that was created
/// within `span`: the time has no index, so this halves the numbers.
std::int64_t first_within(journal& x, const std::string& type,
                          const std::string& span, std::int64_t highest) {
  std::int64_t low = 0;            // before the span, or no number at all
  std::int64_t high = highest + 1; // within it, or beyond the last one
  while (high - low > 1) {
    auto middle = low + (high - low) / 2;
    auto found = x.run(
      "select e.created_at >= now() - $3::interval from {schema}.event as e "
      "where e.type_name = $1 and e.seq_no >= $2::bigint order by e.seq_no "
      "limit 1",
      {type, middle, span});
    if (found.empty() || found.flag(0, 0))
      high = middle;
    else
      low = middle;
  }
  return high;
}

} // namespace

void add_growth(journal& x, nlohmann::json& status) {
  for (auto [key, span] :
       {std::pair{"last_hour", "1 hour"}, std::pair{"last_day", "1 day"}}) {
    std::int64_t sum = 0;
    for (auto& type : status["types"]) {
      auto name = type["type"].get<std::string>();
      auto first
        = first_within(x, name, span, type["last_seq_no"].get<std::int64_t>());
      auto count
        = x.run("select count(*) from {schema}.event where type_name = $1 and "
                "seq_no >= $2::bigint",
                {name, first})
            .number(0, 0);
      type[key] = count;
      sum += count;
    }
    status[key] = sum;
  }
}

nlohmann::json describe_recent(journal& x, std::uint64_t frontier) {
  auto found = x.run(
    "with recursive types as (select min(type_name) as name from "
    "{schema}.event union all select (select min(e.type_name) from "
    "{schema}.event as e where e.type_name > t.name) from types as t where "
    "t.name is not null) select count(*), count(distinct e.append_id), "
    "count(distinct e.created_at) from types as t, lateral (select "
    "x.append_id, "
    "x.created_at from {schema}.event as x where x.type_name = t.name and "
    "x.seq_no > $1::bigint - 2000 and x.seq_no <= $1::bigint) as e where "
    "t.name is not null and e.created_at > now() - interval '10 seconds'",
    {frontier});
  return {{"events", found.number(0, 0)},
          {"appends", found.number(0, 1)},
          {"commits", found.number(0, 2)}};
}

} // namespace evented::cli
