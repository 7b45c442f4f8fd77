// Which entities can be archived or trimmed.

#include "removal.hpp"
#include "text.hpp"

#include <evented/sql_error.hpp>

namespace evented::cli {

namespace {

constexpr int page_size = 500;

/// For each entity of `ids`: the version up to which its events would go, null
/// where there is nothing to do, and what is in the way. $1 is the type, $2 the
/// time limit, $3 the highest version, $4 the projections that do not matter.
std::string target_query(removal_kind kind) {
  if (kind == removal_kind::archive)
    return "select i.entity_id, l.version, coalesce((select "
           "case when count(*) > 0 then count(*) || ' messages of it wait in "
           "the outbox' end from {schema}.outbox as o where o.type_name = $1 "
           "and o.entity_id = i.entity_id), {schema}.removal_obstacle($1, "
           "i.entity_id, l.version, $4::text[])) from ids as i left join "
           "lateral (select * from (select e.version, e.created_at from "
           "{schema}.event as e where e.type_name = $1 and e.entity_id = "
           "i.entity_id order by e.version desc limit 1) as e where "
           "$3::bigint = 0 and ($2::timestamptz is null or e.created_at < "
           "$2::timestamptz)) as l on true";
  // A snapshot counts where programs of today can read it: where it has the
  // newest shape, and its event is there.
  return "select i.entity_id, v.version, {schema}.removal_obstacle($1, "
         "i.entity_id, v.version, $4::text[]) from ids as i left join lateral "
         "(select least(s.version, nullif($3::bigint, 0), case when "
         "$2::timestamptz is null then s.version else coalesce((select "
         "max(e.version) from {schema}.event as e where e.type_name = $1 and "
         "e.entity_id = i.entity_id and e.created_at < $2::timestamptz), 0) "
         "end) as version from (select max(x.version) as version from "
         "{schema}.snapshot as x where x.type_name = $1 and x.entity_id = "
         "i.entity_id and x.schema_version = (select max(y.schema_version) "
         "from {schema}.snapshot as y where y.type_name = $1) and exists "
         "(select from {schema}.event as e where e.type_name = $1 and "
         "e.entity_id = i.entity_id and e.version = x.version)) as s where "
         "s.version is not null) as v on v.version > 0";
}

std::string array_text(const std::vector<std::string>& list) {
  std::string result = "{";
  for (auto& x : list) {
    result += result.size() == 1 ? "\"" : ",\"";
    for (auto c : x) {
      if (c == '"' || c == '\\')
        result += '\\';
      result += c;
    }
    result += '"';
  }
  return result + "}";
}

std::optional<std::string> time_limit(const removal_options& how) {
  return how.before.empty() ? std::nullopt : std::optional{how.before};
}

candidate read(const result& found, int row, const removal_options& how) {
  candidate x;
  x.id = found.text(row, 0);
  x.version = found.number(row, 1);
  if (found.null(row, 1))
    x.obstacle = how.kind == removal_kind::archive
                   ? "it has no events, or newer ones"
                   : "it has no snapshot that covers them";
  else
    x.obstacle = found.text(row, 2);
  return x;
}

/// Looks at one entity.
candidate look_at(journal& x, const removal_options& how,
                  const std::string& id) {
  auto found = x.run("with ids as (select $5::{id_type} as entity_id) "
                       + target_query(how.kind),
                     {how.type, time_limit(how), how.up_to,
                      array_text(how.ignored), to_string(x.id(id))});
  auto result = read(found, 0, how);
  if (how.kind == removal_kind::trim && how.up_to != 0
      && result.obstacle.empty()
      && result.version < static_cast<std::int64_t>(how.up_to)
      && how.before.empty())
    result.obstacle = "its newest snapshot that can be relied on is at version "
                      + std::to_string(result.version);
  return result;
}

} // namespace

void for_each_candidate(journal& x, const removal_options& how,
                        const std::function<void(const candidate&)>& f) {
  if (!how.all) {
    for (auto& id : how.ids)
      f(look_at(x, how, id));
    return;
  }
  std::optional<std::string> last;
  for (;;) {
    auto found = x.run(
      "with ids as (select distinct e.entity_id from {schema}.event as e where "
      "e.type_name = $1 and ($5::{id_type} is null or e.entity_id > "
      "$5::{id_type}) order by e.entity_id limit "
        + std::to_string(page_size) + ") " + target_query(how.kind)
        + " order by 1",
      {how.type, time_limit(how), how.up_to, array_text(how.ignored), last});
    for (int i = 0; i < found.size(); ++i) {
      if (found.null(i, 1))
        continue;
      auto whom = read(found, i, how);
      if (!whom.obstacle.starts_with("it has no events"))
        f(whom);
    }
    if (found.size() < page_size)
      return;
    last = found.text(found.size() - 1, 0);
  }
}

std::uint64_t remove_events(journal& x, const removal_options& how,
                            const candidate& whom) {
  std::uint64_t count = 0;
  std::vector<parameter> who{how.type, whom.id, whom.version};
  x.db.in_transaction([&] {
    auto obstacle
      = x.run("select {schema}.removal_obstacle($1, $2::{id_type}, "
              "$3::bigint, $4::text[])",
              {how.type, whom.id, whom.version, array_text(how.ignored)});
    if (!obstacle.null(0, 0))
      throw failure(exit_code::refused, obstacle.text(0, 0));
    std::string function
      = how.kind == removal_kind::archive ? "archive_entity" : "trim_entity";
    count = static_cast<std::uint64_t>(
      x.run("select {schema}." + function + "($1, $2::{id_type}, $3::bigint)",
            who)
        .number(0, 0));
  });
  return count;
}

} // namespace evented::cli
