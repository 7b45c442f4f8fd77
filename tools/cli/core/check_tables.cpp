#include "check_tables.hpp"

#include "progress.hpp"

#include <evented/entity_id.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>

namespace evented::cli {

namespace {

struct table_check {
  const char* name;
  /// Returns where something is wrong, and what, at most $1 rows.
  std::string_view sql;
};

constexpr table_check table_checks[] = {
  {"horizon", R"(
    select h.type_name || '/' || h.entity_id,
           case when h.archived then 'it is archived, but has events'
                else 'it has events at or below its horizon, ' || h.version end
      from {schema}.horizon as h
     where exists (select from {schema}.event as e
                    where e.type_name = h.type_name
                      and e.entity_id = h.entity_id
                      and (h.archived or e.version <= h.version))
     limit $1)"},
  {"horizon", R"(
    select h.type_name || '/' || h.entity_id,
           'its events up to ' || h.version || ' were trimmed, and it has no '
           || 'snapshot at or above that: it cannot be rebuilt'
      from {schema}.horizon as h
     where not h.archived
       and not exists (select from {schema}.snapshot as s
                        where s.type_name = h.type_name
                          and s.entity_id = h.entity_id
                          and s.version >= h.version)
     limit $1)"},
  {"snapshot", R"(
    select s.type_name || '/' || s.entity_id,
           'it has a snapshot at version ' || s.version
           || ', which is above the entity''s'
      from {schema}.snapshot as s
     where s.version > coalesce(
             (select max(e.version) from {schema}.event as e
               where e.type_name = s.type_name and e.entity_id = s.entity_id),
             (select h.version from {schema}.horizon as h
               where h.type_name = s.type_name
                 and h.entity_id = s.entity_id), 0)
     limit $1)"},
  {"command", R"(
    select c.type_name || '/' || c.entity_id,
           'the command ' || c.command_id || ' points at event ' || c.seq_no
           || ', version ' || c.version || ', which is not there'
      from {schema}.command as c
     where c.seq_no > 0
       and not exists (select from {schema}.event as e
                        where e.type_name = c.type_name
                          and e.entity_id = c.entity_id
                          and e.version = c.version and e.seq_no = c.seq_no)
       and not exists (select from {schema}.horizon as h
                        where h.type_name = c.type_name
                          and h.entity_id = c.entity_id
                          and h.version >= c.version)
     limit $1)"},
  {"tags", R"(
    select t.type_name || ' event ' || t.seq_no,
           'it is listed under the tag ' || t.tag || ', which it does not have'
      from {schema}.event_tag as t
     where not exists (select from {schema}.event as e
                        where e.type_name = t.type_name and e.seq_no = t.seq_no
                          and t.tag = any (e.tags))
     limit $1)"},
  {"dead letter", R"(
    select 'projection ' || d.name,
           'its dead letter ' || d.seq_no || ' has no event any more'
      from {schema}.dead_letter as d
     where d.kind <> 'skipped'
       and not exists (select from {schema}.event as e
                        where e.type_name = d.type_name and e.seq_no = d.seq_no)
     limit $1)"},
  {"outbox", R"(
    select o.type_name || '/' || o.entity_id,
           'the message ' || o.id || ' in the outbox is of version '
           || o.version || ', which is above the entity''s'
      from {schema}.outbox as o
     where o.version > {schema}.current_version(o.type_name, o.entity_id)
     limit $1)"},
};

/// More of one kind are not worth reading.
constexpr int most_rows = 1000;

void add_rows(const char* check, const result& found, faults& to) {
  for (int i = 0; i < found.size() && !to.enough(); ++i)
    to.add(check, found.text(i, 0), found.text(i, 1));
}

} // namespace

void check_numbers(journal& x, faults& to) {
  auto types = x.types();
  std::int64_t highest = 0;
  for (auto& type : types)
    highest = std::max(highest, x.run("select max(seq_no) from {schema}.event "
                                      "where type_name = $1",
                                      {type})
                                  .number(0, 0));
  auto last = x.run("select {schema}.last_number()").number(0, 0);
  if (last < highest)
    to.add("sequence", "the sequence",
           "it is at " + std::to_string(last) + ", below event "
             + std::to_string(highest) + ": opening the journal moves it on");
  constexpr std::int64_t step = 100'000;
  // Of each type, one look at its index, or one stretch of it.
  std::string each = "with recursive types as (select min(type_name) as name "
                     "from {schema}.event union all select (select "
                     "min(e.type_name) from {schema}.event as e where "
                     "e.type_name > t.name) from types as t where t.name is "
                     "not null) ";
  for (std::int64_t from = 0; from < highest && !interrupted() && !to.enough();
       from += step) {
    // Over numbers that nobody has used, in one leap.
    auto next = x.run(each
                        + "select min((select min(e.seq_no) from "
                          "{schema}.event as e where e.type_name = t.name "
                          "and e.seq_no > $1::bigint)) from types as t",
                      {from});
    if (next.null(0, 0))
      return;
    from = next.number(0, 0) - 1;
    auto found = x.run(
      each
        + "select 'event ' || e.seq_no, 'its number is used ' || count(*) || ' "
          "times' from types as t cross join lateral (select seq_no from "
          "{schema}.event as e where e.type_name = t.name and e.seq_no > "
          "$1::bigint and e.seq_no <= $1::bigint + $2::bigint) as e group by "
          "e.seq_no having count(*) > 1 order by e.seq_no limit $3::bigint",
      {from, step, most_rows});
    add_rows("numbers", found, to);
  }
}

void check_tables(journal& x, faults& to) {
  for (auto& check : table_checks) {
    if (interrupted() || to.enough())
      return;
    add_rows(check.name, x.run(check.sql, {most_rows}), to);
  }
}

void check_projections(journal& x, faults& to) {
  using clock = std::chrono::steady_clock;
  auto ranges = [&x](const std::string& where,
                     const std::vector<parameter>& params) {
    return x.run("select 'projection ' || name || ', slices ' || slice_from || "
                 "' to ' || slice_to, 'its checkpoint ' || seq_no || ' is "
                 "above the ' || $2 from {schema}.projection_range where "
                   + where + " order by name, version, slice_from",
                 params);
  };
  auto last = x.run("select {schema}.last_number()").number(0, 0);
  add_rows("checkpoint",
           ranges("seq_no > $1::bigint", {last, "last number of the journal"}),
           to);
  // What the frontier has been is true for ever, but a slow writer may make it
  // look lower for a moment.
  auto deadline = clock::now() + std::chrono::seconds{10};
  for (;;) {
    auto above = ranges("seq_no > $1::bigint and seq_no <= $3::bigint",
                        {x.frontier(), "frontier", last});
    auto late = clock::now() >= deadline;
    if (above.empty() || late) {
      add_rows("checkpoint", above, to);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  add_rows("ranges",
           x.run("select 'projection ' || name || ', version ' || version, "
                 "'its ranges do not share all slices' from (select name, "
                 "version, slice_from, slice_to, lag(slice_to) over w as "
                 "before, lead(slice_from) over w as after from "
                 "{schema}.projection_range window w as (partition by name, "
                 "version order by slice_from)) as r where slice_from <> "
                 "coalesce(before + 1, 0) or (after is null and slice_to <> "
                 "$1::integer) order by 1",
                 {unsigned{slice_count} - 1}),
           to);
}

} // namespace evented::cli
