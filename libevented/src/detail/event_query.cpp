#include "detail/event_query.hpp"

#include "detail/schema.hpp"

#include <evented/error.hpp>
#include <evented/utf8.hpp>

#include <algorithm>

namespace evented::detail {

namespace {

/// Collects parameters and names them.
class parameters {
public:
  template <class T>
  std::string add(const T& x, const char* type) {
    values_.emplace_back(x);
    return "$" + std::to_string(values_.size()) + "::" + type;
  }

  /// A text that nobody can have stored goes as null, which equals nothing:
  /// libpq would cut it at a NUL, and the server refuses invalid UTF-8.
  std::string add_text(const std::string& x) {
    return valid_text(x) ? add(x, "text") : add(std::nullopt, "text");
  }

  std::vector<parameter> take() { return std::move(values_); }

private:
  std::vector<parameter> values_;
};

std::string join(const std::vector<std::string>& parts,
                 const std::string& between) {
  std::string result;
  for (auto& x : parts)
    result += (result.empty() ? "" : between) + x;
  return result;
}

} // namespace

event_query make_event_query(const journal_options& options,
                             const event_filter& filter, std::uint64_t after,
                             std::uint64_t up_to, std::size_t limit) {
  if (filter.types.empty())
    throw error(errc::invalid_options,
                "an event_filter names at least one entity type");
  event_query result;
  parameters params;
  auto range = "seq_no > " + params.add(after, "bigint")
               + " and seq_no <= " + params.add(up_to, "bigint");
  auto most = params.add(std::uint64_t{limit}, "bigint");
  std::vector<std::string> conditions;
  if (!filter.names.empty()) {
    std::vector<std::string> names;
    for (auto& x : filter.names)
      names.push_back(params.add_text(x));
    conditions.push_back("event_name in (" + join(names, ", ") + ")");
  }
  if (filter.slices != slice_range{})
    conditions.push_back(
      "slice between " + params.add(unsigned{filter.slices.first}, "integer")
      + " and " + params.add(unsigned{filter.slices.last}, "integer"));
  if (filter.since) {
    // What PostgreSQL can count, a little more than 4600 BC to 287000 AD.
    auto since = std::clamp<std::int64_t>(
      filter.since->time_since_epoch().count(), -210'000'000'000'000'000,
      9'000'000'000'000'000'000);
    conditions.push_back("created_at >= 'epoch'::timestamptz + "
                         + params.add(since, "bigint")
                         + " * interval '1 microsecond'");
  }
  auto passes
    = conditions.empty() ? std::string{"true"} : join(conditions, " and ");
  std::string columns
    = "type_name, entity_id, seq_no, version, event_name, schema_version, "
      "(date_part('epoch', created_at) * 1e6)::bigint, event, metadata, "
      "array_to_string(tags, chr(10))";
  // Rows that do not pass are looked at as well, but only so many in one call.
  auto plain = conditions.empty() && filter.tags.empty();
  result.scan
    = plain ? limit : std::clamp<std::uint64_t>(limit * 8, 4096, 32768);
  auto scan = plain ? most : params.add(result.scan, "bigint");
  // Each branch has its own order and limit: without them, the planner does not
  // see that an index delivers the order, and sorts all there is after `after`.
  auto in_order = range + " order by seq_no limit " + scan + ")";
  std::vector<std::string> scans;
  auto types = filter.types;
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  for (auto& type : types) {
    auto name = params.add_text(type);
    if (filter.tags.empty()) {
      scans.push_back("(select * from {schema}.event where type_name = " + name
                      + " and " + in_order);
    } else {
      for (auto& tag : filter.tags)
        scans.push_back("(select type_name, seq_no from {schema}.event_tag "
                        "where type_name = "
                        + name + " and tag = " + params.add_text(tag) + " and "
                        + in_order);
    }
  }
  auto merged = "(" + join(scans, " union all ") + ") as e order by seq_no";
  if (plain) {
    result.sql = "select " + columns + " from " + merged + " limit " + most;
  } else {
    auto found = filter.tags.empty()
                   ? std::string{"seen"}
                   : std::string{"(select distinct type_name, seq_no from "
                                 "seen) as s join lateral (select * from "
                                 "{schema}.event as x where x.type_name = "
                                 "s.type_name and x.seq_no = s.seq_no) as e "
                                 "using (type_name, seq_no)"};
    result.sql = "with seen as materialized (select * from " + merged
                 + " limit " + scan + ") (select " + columns + " from " + found
                 + " where " + passes + " order by seq_no limit " + most
                 + ") union all select null, null, null, max(seq_no), null, "
                   "count(*)::integer, null, null, null, null from seen "
                   "order by seq_no nulls last";
  }
  result.sql = fill_in(result.sql, options);
  result.params = params.take();
  return result;
}

} // namespace evented::detail
