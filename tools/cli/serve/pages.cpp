#include "pages.hpp"

#include "asked.hpp"
#include "core/clusters.hpp"
#include "core/description.hpp"
#include "core/event_pages.hpp"
#include "core/failure.hpp"
#include "core/growth.hpp"
#include "core/letters.hpp"
#include "core/projections.hpp"
#include "core/text.hpp"

#include <algorithm>

namespace evented::cli {

namespace {

using httplib::Request;
using nlohmann::json;

/// Of payloads in a list, and of one that is shown alone.
constexpr std::size_t short_payload = 4096;
constexpr std::size_t long_payload = 1024 * 1024;

/// With more events, their number is an estimate: nobody waits for a page.
constexpr std::int64_t most_counted = 200'000;

// -- events -------------------------------------------------------------------

/// Payloads go as text: a browser would round their large numbers.
json show(const event_view& x, const journal_options& options,
          std::size_t most) {
  std::string time;
  append_time(time, x.created_at);
  std::string payload;
  if (options.payloads == codec::json)
    payload = x.payload.substr(0, most);
  else
    append_base64(payload, x.payload.substr(0, most));
  json result{{"seq_no", x.seq_no},
              {"type", x.type},
              {"id", x.id},
              {"version", x.version},
              {"slice", x.slice},
              {"name", x.name},
              {"schema_version", x.schema_version},
              {"created_at", time},
              {"append_id", uuid_text(x.append_id)},
              {"payload", payload},
              {"bytes", x.payload.size()},
              {"whole", x.payload.size() <= most}};
  if (x.metadata)
    result["metadata"] = x.metadata->substr(0, most);
  if (x.tags)
    result["tags"] = *x.tags;
  return result;
}

json list(journal& x, const event_choice& what, std::uint64_t after,
          std::uint64_t up_to, std::uint64_t count, std::size_t most) {
  json result = json::array();
  event_pages{x, what, after, up_to, count}.next(
    [&](const event_view& e) { result.push_back(show(e, x.options, most)); });
  return result;
}

/// Forwards after a number, or, without one, backwards from `up_to` or the
/// frontier.
json events(journal& x, const Request& from) {
  event_choice what;
  if (auto type = text(from, "type"); !type.empty())
    what.types = {type_name(from)};
  if (auto name = text(from, "name"); !name.empty())
    what.names = {name};
  if (auto id = text(from, "id"); !id.empty())
    what.id = x.id(id);
  auto frontier = x.frontier();
  auto up_to = std::min(number(from, "up_to", frontier), frontier);
  auto after = number(from, "after", 0);
  auto count = limit(from);
  if (!from.has_param("after"))
    after = before_last(x, what, 0, up_to, count);
  return {{"frontier", frontier},
          {"events", list(x, what, after, up_to, count, short_payload)}};
}

json event(journal& x, const Request& from) {
  auto seq_no = number(from, "seq_no", 0);
  json found = json::array();
  if (seq_no > 0)
    found = list(x, {{type_name(from)}, {}, {}, {}, {}}, seq_no - 1, seq_no, 1,
                 long_payload);
  if (found.empty())
    throw failure(exit_code::not_found, "there is no such event");
  return found[0];
}

// -- entities -----------------------------------------------------------------

/// The entities of a type in the order of their IDs, after `after` or from
/// `from` on: one look at the index each.
json entities(journal& x, const Request& from) {
  auto type = type_name(from);
  std::optional<std::string> after;
  std::optional<std::string> first;
  if (auto id = text(from, "after"); !id.empty())
    after = to_string(x.id(id));
  else if (id = text(from, "from"); !id.empty())
    first = to_string(x.id(id));
  auto found = x.run(
    "with recursive ids as (select * from (select e.entity_id as id, 1 as n "
    "from {schema}.event as e where e.type_name = $1 and ($2::{id_type} is "
    "null or e.entity_id > $2::{id_type}) and ($3::{id_type} is null or "
    "e.entity_id >= $3::{id_type}) order by e.entity_id, e.version limit 1) as "
    "first union all select (select e.entity_id from {schema}.event as e where "
    "e.type_name = $1 and e.entity_id > ids.id order by e.entity_id, e.version "
    "limit 1), n + 1 from ids where ids.id is not null and n < $4::bigint) "
    "select ids.id::text, last.version, last.event_name, "
    "last.created_at::text from ids, lateral (select e.version, e.event_name, "
    "e.created_at from {schema}.event as e where e.type_name = $1 and "
    "e.entity_id = ids.id order by e.version desc limit 1) as last order by "
    "ids.id",
    {type, after, first, limit(from)});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back({{"id", found.text(i, 0)},
                      {"version", found.number(i, 1)},
                      {"last_event", found.text(i, 2)},
                      {"last_at", found.text(i, 3)}});
  return {{"type", type}, {"entities", result}};
}

json entity(journal& x, const Request& from) {
  return describe_entity(x, type_name(from), x.id(text(from, "id")));
}

/// Events of an entity by their versions.
json history(journal& x, const Request& from) {
  event_choice what;
  what.types = {type_name(from)};
  what.id = x.id(text(from, "id"));
  auto count = limit(from);
  auto first
    = std::min<std::uint64_t>(number(from, "from", 1), INT64_MAX - most_rows);
  what.versions.emplace(first, first + count - 1);
  return {{"events", list(x, what, 0, INT64_MAX, count,
                          count == 1 ? long_payload : short_payload)}};
}

// -- the rest -----------------------------------------------------------------

json overview(journal& x, const Request&) {
  auto result = describe_state(x);
  result["recent"]
    = describe_recent(x, result["frontier"].get<std::uint64_t>());
  result["now"] = x.run("select extract(epoch from clock_timestamp())::float8 "
                        "* 1000")
                    .text(0, 0);
  return result;
}

json nodes(journal& x, const Request&) {
  return {{"clusters", describe_clusters(x)}};
}

json types(journal& x, const Request&) {
  return {{"types", describe_types(x, most_counted)}};
}

json letters(journal& x, const Request& from) {
  return {{"letters",
           find_letters(x, {text(from, "projection"), number(from, "seq_no", 0),
                            number(from, "after", 0), limit(from)})}};
}

/// What operators have done, the newest first.
json operations(journal& x, const Request& from) {
  auto found = x.run(
    "select id, began_at::text, ended_at::text, role, client, verb, "
    "arguments::text, outcome, detail from {schema}.operation where "
    "($1::bigint = 0 or id < $1::bigint) order by id desc limit $2::bigint",
    {number(from, "before", 0), limit(from)});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back(
      {{"id", found.number(i, 0)},
       {"began_at", found.text(i, 1)},
       {"role", found.text(i, 3)},
       {"client", found.text(i, 4)},
       {"verb", found.text(i, 5)},
       {"arguments", found.text(i, 6)},
       {"outcome", found.null(i, 7) ? json() : json(found.text(i, 7))},
       {"detail", found.text(i, 8)}});
  return {{"operations", result}};
}

} // namespace

const std::map<std::string, page>& pages() {
  static const std::map<std::string, page> result{
    {"/api/overview", overview},     {"/api/types", types},
    {"/api/events", events},         {"/api/event", event},
    {"/api/entities", entities},     {"/api/entity", entity},
    {"/api/history", history},       {"/api/letters", letters},
    {"/api/operations", operations}, {"/api/nodes", nodes},
  };
  return result;
}

} // namespace evented::cli
