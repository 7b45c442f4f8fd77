#include <evented/evolution.hpp>
#include <evented/store.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented {

namespace {

std::string describe(const event_shape& x) {
  return "\"" + x.name + "\" in schema version "
         + std::to_string(x.schema_version);
}

/// Says what is probably behind it that `x` is not among the known shapes.
std::string explain(const event_shape& x,
                    const std::vector<event_shape>& known) {
  std::int32_t newest = 0;
  for (auto& y : known)
    if (y.name == x.name)
      newest = std::max(newest, y.schema_version);
  if (newest == 0)
    return "no event or past event has this name";
  if (x.schema_version > newest)
    return "newer than version " + std::to_string(newest)
           + ", the newest that this program knows: a newer program has "
             "written it, and this one is a downgrade";
  return "an old shape that is not in past_events";
}

} // namespace

unknown_event_policy::unknown_event_policy(unknown_events what,
                                           std::string reader)
  : what_(what), reader_(std::move(reader)) {
  // nop
}

void unknown_event_policy::meet(std::string_view type_name,
                                const stored_event& event) {
  event_shape shape{event.name, event.schema_version};
  if (what_ == unknown_events::fail)
    throw error(errc::corrupt_event, "no event of " + std::string{type_name}
                                       + " is " + describe(shape));
  std::lock_guard guard{mutex_};
  if (logged_.emplace(type_name, shape).second)
    SPDLOG_WARN("evented: {} skips events of {} that are {}, which this "
                "program cannot read",
                reader_, type_name, describe(shape));
}

std::vector<event_shape> missing_shapes(store& where,
                                        const readable_type& what) {
  auto session = where.connect();
  auto result = session->shapes(what.type_name);
  std::erase_if(result, [&](auto& x) {
    return std::find(what.known.begin(), what.known.end(), x)
             != what.known.end()
           || !session->holds(what.type_name, x);
  });
  return result;
}

void check_shapes(store& where, std::span<const readable_type> types,
                  std::span<const std::string> names) {
  std::string text;
  for (auto& type : types) {
    for (auto& x : missing_shapes(where, type)) {
      if (!names.empty()
          && std::find(names.begin(), names.end(), x.name) == names.end())
        continue;
      text += text.empty() ? "" : "; ";
      text += type.type_name + ": " + describe(x) + " ("
              + explain(x, type.known) + ")";
    }
  }
  if (!text.empty())
    throw error(errc::incompatible,
                "the journal holds events that this program cannot read: "
                  + text);
}

} // namespace evented
