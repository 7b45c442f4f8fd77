#include "description.hpp"

#include "event_pages.hpp"
#include "failure.hpp"
#include "growth.hpp"
#include "projections.hpp"
#include "text.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <utility>

namespace evented::cli {

using nlohmann::json;

// -- types --------------------------------------------------------------------

namespace {

/// Counts the events and first versions of all types in one pass, in whichever
/// way the planner likes best: that there is an order is of no use here.
std::map<std::string, std::pair<std::int64_t, std::int64_t>>
count_all(journal& x) {
  auto found = x.run("select type_name, count(*), count(*) filter (where "
                     "version = 1) from {schema}.event group by type_name");
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> result;
  for (int i = 0; i < found.size(); ++i)
    result[found.text(i, 0)] = {found.number(i, 1), found.number(i, 2)};
  return result;
}

/// Returns the planner's estimate of a type's events.
json estimate(journal& x, const std::string& type) {
  auto plan = json::parse(x.run("explain (format json) select from "
                                "{schema}.event where type_name = $1",
                                {type})
                            .text(0, 0));
  return plan[0]["Plan"]["Plan Rows"];
}

} // namespace

json describe_types(journal& x, std::int64_t most_counted) {
  auto rows = x.run("select reltuples::bigint from pg_class where oid = "
                    "'{schema}.event'::regclass")
                .number(0, 0);
  auto count = rows <= most_counted;
  auto counts = count ? count_all(x) : decltype(count_all(x)){};
  read_by_index(x.db);
  json result = json::array();
  for (auto& type : x.types()) {
    auto found = x.run(
      "select e.seq_no, e.created_at::text, (select count(*) from "
      "{schema}.horizon as h where h.type_name = $1 and h.archived), (select "
      "count(*) from {schema}.horizon as h where h.type_name = $1 and not "
      "h.archived) from {schema}.event as e where e.type_name = $1 order by "
      "e.seq_no desc limit 1",
      {type});
    json about{{"type", type},
               {"exact", count},
               {"last_seq_no", found.number(0, 0)},
               {"last_at", found.text(0, 1)},
               {"archived", found.number(0, 2)},
               {"trimmed", found.number(0, 3)}};
    if (count) {
      about["events"] = counts[type].first;
      // Whoever was trimmed has no first version any more.
      about["entities"] = counts[type].second + found.number(0, 3);
    } else {
      about["events"] = estimate(x, type);
      about["entities"] = nullptr;
    }
    result.push_back(std::move(about));
  }
  return result;
}

// -- state --------------------------------------------------------------------

namespace {

json holders(journal& x) {
  auto found = x.run("select pid, age, state, query from "
                     "{schema}.frontier_holders()");
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back(
      {{"pid", found.null(i, 0) ? json() : json(found.number(i, 0))},
       {"seconds", std::strtod(found.text(i, 1).c_str(), nullptr)},
       {"state", found.text(i, 2)},
       {"query", found.text(i, 3)}});
  return result;
}

json outbox(journal& x) {
  auto found = x.run(
    "select count(*), count(*) filter (where due_at <= now()), count(*) filter "
    "(where attempts > 0), coalesce(extract(epoch from now() - min(created_at) "
    "filter (where due_at <= now())), 0)::float8 from {schema}.outbox");
  return {
    {"waiting", found.number(0, 0)},
    {"due", found.number(0, 1)},
    {"failed_before", found.number(0, 2)},
    {"oldest_due_seconds", std::strtod(found.text(0, 3).c_str(), nullptr)}};
}

} // namespace

json describe_state(journal& x) {
  json result{{"schema", x.options.schema},
              {"schema_version", x.version},
              {"ids", to_string(x.options.ids)},
              {"payloads", to_string(x.options.payloads)},
              {"server", x.run("show server_version").text(0, 0)}};
  auto frontier = x.frontier();
  result["frontier"] = frontier;
  result["last_number"] = x.run("select {schema}.last_number()").number(0, 0);
  result["frontier_holders"] = holders(x);
  result["projections"] = describe_projections(x, frontier);
  auto letters = x.run(
    "select count(*) filter (where kind = 'parked'), count(*) filter (where "
    "kind = 'behind'), count(*) filter (where kind = 'skipped') from "
    "{schema}.dead_letter");
  result["dead_letters"] = {{"parked", letters.number(0, 0)},
                            {"behind", letters.number(0, 1)},
                            {"skipped", letters.number(0, 2)}};
  result["outbox"] = outbox(x);
  return result;
}

json describe_journal(journal& x, std::int64_t most_counted) {
  // Before the session is told to read by the indexes only.
  auto types = describe_types(x, most_counted);
  auto result = describe_state(x);
  result["types"] = std::move(types);
  add_growth(x, result);
  return result;
}

// -- entities -----------------------------------------------------------------

json describe_entity(journal& x, const std::string& type, const entity_id& id) {
  auto found = x.run(
    "select {schema}.current_version($1, $2::{id_type}), h.version, "
    "h.archived, (select count(*) from {schema}.command as c where "
    "c.type_name = $1 and c.entity_id = $2::{id_type}), (select count(*) from "
    "{schema}.outbox as o where o.type_name = $1 and o.entity_id = "
    "$2::{id_type}), (select jsonb_agg(jsonb_build_object('version', "
    "s.version, 'state_version', s.schema_version, 'created_at', "
    "s.created_at) order by s.version)::text from {schema}.snapshot as s where "
    "s.type_name = $1 and s.entity_id = $2::{id_type}) from (select 1) as one "
    "left join {schema}.horizon as h on h.type_name = $1 and h.entity_id = "
    "$2::{id_type}",
    {type, to_string(id)});
  if (found.number(0, 0) == 0)
    throw failure(exit_code::not_found, "there is no entity " + visible(type)
                                          + "/" + visible(to_string(id))
                                          + " in this journal");
  json result{{"type", type},
              {"id", to_string(id)},
              {"version", found.number(0, 0)},
              {"slice", slice_of(id)},
              {"archived", found.flag(0, 2)},
              {"remembered_commands", found.number(0, 3)},
              {"messages_waiting", found.number(0, 4)},
              {"snapshots", found.null(0, 5) ? json::array()
                                             : json::parse(found.text(0, 5))}};
  if (!found.null(0, 1))
    result["horizon"] = found.number(0, 1);
  return result;
}

} // namespace evented::cli
