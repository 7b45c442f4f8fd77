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

} // namespace evented::cli
