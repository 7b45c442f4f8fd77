#include "asked.hpp"
#include "core/letters.hpp"
#include "core/steering.hpp"
#include "pages.hpp"

namespace evented::cli {

namespace {

using nlohmann::json;

/// Programs look once a second; somebody sits in front of this.
constexpr std::chrono::seconds patience{20};

json pause(journal& x, const json& what) {
  pause_projection(x, projection_name(what));
  return {{"done", "paused"}};
}

json resume(journal& x, const json& what) {
  resume_projection(x, projection_name(what));
  return {{"done", "resumed"}};
}

json skip(journal& x, const json& what) {
  check_confirmed(what);
  skip_event(x, projection_name(what), event_number(what));
  return {{"done", "skipped"}};
}

json reset(journal& x, const json& what) {
  check_confirmed(what);
  reset_or_rebuild(x, {projection_name(what), "reset", {}, {}, false, {}, {}},
                   patience);
  return {{"done", "reset"}};
}

json rebuild(journal& x, const json& what) {
  check_confirmed(what);
  reset_or_rebuild(x, {projection_name(what), "rebuild", {}, {}, false, {}, {}},
                   patience);
  return {{"done", "begun"}};
}

json replay(journal& x, const json& what) {
  auto count
    = replay_letter(x, projection_name(what), event_number(what), patience);
  return {{"done", "replayed"}, {"count", count}};
}

json drop(journal& x, const json& what) {
  check_confirmed(what);
  drop_letter(x, projection_name(what), event_number(what));
  return {{"done", "dropped"}};
}

} // namespace

const std::map<std::string, change>& changes() {
  static const std::map<std::string, change> result{
    {"/api/projection/pause", pause},     {"/api/projection/resume", resume},
    {"/api/projection/skip", skip},       {"/api/projection/reset", reset},
    {"/api/projection/rebuild", rebuild}, {"/api/letters/replay", replay},
    {"/api/letters/drop", drop},
  };
  return result;
}

} // namespace evented::cli
