#include "core/failure.hpp"
#include "core/letters.hpp"
#include "core/steering.hpp"
#include "pages.hpp"

namespace evented::cli {

namespace {

using nlohmann::json;

/// Programs look once a second; somebody sits in front of this.
constexpr std::chrono::seconds patience{20};

std::string name(const json& from) {
  auto found = from.find("projection");
  if (found == from.end() || !found->is_string())
    throw failure(exit_code::usage, "which projection?");
  auto result = found->get<std::string>();
  if (result.empty() || result.find('\0') != std::string::npos)
    throw failure(exit_code::usage, "this is no name of a projection");
  return result;
}

std::uint64_t seq_no(const json& from) {
  auto found = from.find("seq_no");
  if (found == from.end() || !found->is_number_unsigned() || *found == 0)
    throw failure(exit_code::usage, "which event?");
  return found->get<std::uint64_t>();
}

/// For what cannot be taken back.
void check_confirmed(const json& from) {
  auto found = from.find("confirm");
  if (found == from.end() || *found != name(from))
    throw failure(exit_code::refused,
                  "this has to be confirmed by the name of the projection");
}

json pause(journal& x, const json& what) {
  pause_projection(x, name(what));
  return {{"done", "paused"}};
}

json resume(journal& x, const json& what) {
  resume_projection(x, name(what));
  return {{"done", "resumed"}};
}

json skip(journal& x, const json& what) {
  check_confirmed(what);
  skip_event(x, name(what), seq_no(what));
  return {{"done", "skipped"}};
}

json reset(journal& x, const json& what) {
  check_confirmed(what);
  reset_or_rebuild(x, {name(what), "reset", {}, {}, false, {}, {}}, patience);
  return {{"done", "reset"}};
}

json rebuild(journal& x, const json& what) {
  check_confirmed(what);
  reset_or_rebuild(x, {name(what), "rebuild", {}, {}, false, {}, {}}, patience);
  return {{"done", "begun"}};
}

json replay(journal& x, const json& what) {
  auto count = replay_letter(x, name(what), seq_no(what), patience);
  return {{"done", "replayed"}, {"count", count}};
}

json drop(journal& x, const json& what) {
  check_confirmed(what);
  drop_letter(x, name(what), seq_no(what));
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
