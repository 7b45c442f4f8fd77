#include "detail/shape_recorder.hpp"

#include "detail/append_call.hpp"
#include "detail/append_errors.hpp"
#include "detail/arrays.hpp"
#include "detail/schema.hpp"

#include <evented/utf8.hpp>

#include <algorithm>

namespace evented::detail {

namespace {

/// How many events one statement of `holds` looks at: some 20 ms.
constexpr std::uint64_t page = 20'000;

bool is_pending_write(const append_step& x) {
  return x.status == append_status::pending && !x.events.empty();
}

/// Checks whether the append itself may take the event's shape.
bool storable(const new_event& x) {
  return x.schema_version > 0 && valid_text(x.name);
}

void note(append_request& request, const std::string& why) {
  for (auto& step : request.steps)
    if (step.status == append_status::pending)
      step.message = why;
}

} // namespace

shape_recorder::shape_recorder(pq::connection& db,
                               const journal_options& options)
  : db_(db), options_(options) {
  db_.prepare("evented_record_shapes",
              fill_in("insert into {schema}.event_shape "
                      "(type_name, event_name, schema_version) "
                      "select * from unnest($1::text[], $2::text[], "
                      "$3::integer[]) on conflict do nothing",
                      options_));
}

shape_recorder::shape_set
shape_recorder::new_shapes(const append_request& request) const {
  shape_set result;
  auto type = known_.find(request.type_name);
  auto knows = [&](const new_event& event) {
    return type != known_.end()
           && std::any_of(type->second.begin(), type->second.end(),
                          [&](const event_shape& x) {
                            return x.schema_version == event.schema_version
                                   && x.name == event.name;
                          });
  };
  for (auto& step : request.steps)
    if (is_pending_write(step))
      for (auto& event : step.events)
        if (!knows(event) && storable(event) && valid_text(request.type_name))
          result.insert({request.type_name,
                         {std::string{event.name}, event.schema_version}});
  return result;
}

void shape_recorder::record(std::vector<append_request*>& requests) {
  shape_set all;
  for (auto* request : requests)
    all.merge(new_shapes(*request));
  if (all.empty())
    return;
  try {
    try {
      insert(all);
      return;
    } catch (const sql_error&) {
      // Somebody's, but whose?
    }
    std::vector<append_request*> waiting;
    for (auto* request : requests)
      if (auto own = new_shapes(*request); !own.empty())
        insert_for(*request, own, waiting);
    std::erase_if(requests, [&](auto* x) {
      return std::find(waiting.begin(), waiting.end(), x) != waiting.end();
    });
  } catch (const connection_lost& e) {
    throw connection_lost(false, e.what());
  }
}

void shape_recorder::insert_for(append_request& request,
                                const shape_set& shapes,
                                std::vector<append_request*>& waiting) {
  for (auto& shape : shapes) {
    try {
      insert({shape});
    } catch (const sql_error& e) {
      for (auto& step : request.steps) {
        auto has_shape = [&](const new_event& x) {
          return x.name == shape.second.name
                 && x.schema_version == shape.second.schema_version;
        };
        if (!is_pending_write(step)
            || std::none_of(step.events.begin(), step.events.end(), has_shape))
          continue;
        // What an earlier attempt may have stored must not be said to have
        // failed because of what the database refuses today.
        if (transient(e) || (step.maybe_sent && refusal(e) == errc::refused)) {
          note(request, e.what());
          waiting.push_back(&request);
          return;
        }
        step.status = append_status::failed;
        step.failure = refusal(e);
        step.message = e.what();
      }
    }
  }
  append_call::settle(request);
}

void shape_recorder::insert(const shape_set& shapes) {
  array_builder types{text_oid};
  array_builder names{text_oid};
  array_builder versions{int4_oid};
  for (auto& [type_name, shape] : shapes) {
    types.add(type_name);
    names.add(shape.name);
    versions.add_int32(shape.schema_version);
  }
  db_.call("evented_record_shapes", pq::binary{std::move(types).finish()},
           pq::binary{std::move(names).finish()},
           pq::binary{std::move(versions).finish()});
  remember(shapes);
}

void shape_recorder::remember(const shape_set& shapes) {
  for (auto& [type_name, shape] : shapes)
    known_[type_name].push_back(shape);
}

std::vector<event_shape> shape_recorder::shapes(std::string_view type_name) {
  std::vector<event_shape> result;
  // Nobody can have stored another name.
  if (!valid_text(type_name))
    return result;
  auto found = db_.exec_params(
    fill_in("select event_name, schema_version from {schema}.event_shape "
            "where type_name = $1 order by event_name, schema_version",
            options_),
    {type_name});
  for (const auto& row : found)
    result.push_back({std::string{pq::text(row[0])},
                      static_cast<std::int32_t>(pq::number(row[1]))});
  return result;
}

bool shape_recorder::holds(std::string_view type_name,
                           const event_shape& shape) {
  if (!valid_text(type_name) || !valid_text(shape.name))
    return false;
  auto sql = fill_in("select * from {schema}.find_shape($1, $2, $3::integer, "
                     "$4::bigint, $5::bigint)",
                     options_);
  auto search = [&](std::uint64_t after) {
    for (;;) {
      auto found = db_.exec_params(
        sql, {type_name, shape.name, shape.schema_version, after, page});
      if (found[0][1].is_null())
        return false;
      if (pq::text(found[0][0]) == "t")
        return true;
      after = pq::number(found[0][1]);
    }
  };
  // What a newer program has written stands at the end, what an older one has
  // at the beginning.
  auto last = pq::number(
    db_.exec(fill_in("select {schema}.highest_seq_no()", options_))[0][0]);
  return search(last - std::min(last, page)) || search(0);
}

} // namespace evented::detail
