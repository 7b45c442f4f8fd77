#include "steering.hpp"

#include "failure.hpp"
#include "operation.hpp"

#include <evented/projection_store.hpp>

#include <nlohmann/json.hpp>

namespace evented::cli {

namespace {

using nlohmann::json;

/// Runs `f(session)` and writes it down.
template <class F>
void change(journal& x, const std::string& verb, const json& arguments, F&& f) {
  auto session = connect_projections(x);
  // What is not there is no operation.
  session->status(arguments["projection"].get<std::string>());
  logged(x, "projection " + verb, arguments, [&] { f(*session); });
}

/// Returns the type of the entity of an event.
std::optional<std::string> type_of(journal& x, std::uint64_t seq_no) {
  for (auto& type : x.types())
    if (!x.run("select from {schema}.event where type_name = $1 and seq_no = "
               "$2::bigint",
               {type, seq_no})
           .empty())
      return type;
  return std::nullopt;
}

/// Returns what the projection reads, as far as the question needs that: the
/// journal does not know.
event_filter filter_for(journal& x, std::uint64_t seq_no,
                        const std::vector<std::string>& types,
                        const projection_status& status) {
  event_filter result;
  result.types = types;
  if (result.types.empty())
    result.types = x.types();
  for (auto& range : status.ranges) {
    if (range.failed_seq_no != seq_no)
      continue;
    // It is the next one of its range, as its runner has found.
    if (auto type = type_of(x, seq_no))
      result.types = {*type};
  }
  return result;
}

} // namespace

void pause_projection(journal& x, const std::string& name) {
  change(x, "pause", {{"projection", name}},
         [&](projection_session& session) { session.pause(name, true); });
}

void resume_projection(journal& x, const std::string& name) {
  change(x, "resume", {{"projection", name}}, [&](projection_session& session) {
    session.pause(name, false);
    session.unhalt(name);
  });
}

void rescale_projection(journal& x, const std::string& name,
                        std::uint16_t ranges) {
  change(x, "rescale", {{"projection", name}, {"ranges", ranges}},
         [&](projection_session& session) { session.rescale(name, ranges); });
}

void skip_event(journal& x, const std::string& name, std::uint64_t seq_no,
                const std::vector<std::string>& types) {
  change(x, "skip",
         {{"projection", name}, {"seq_no", seq_no}, {"types", types}},
         [&](projection_session& session) {
           auto filter = filter_for(x, seq_no, types, session.status(name));
           if (filter.types.empty() || !session.skip(name, filter, seq_no))
             throw failure(
               exit_code::refused,
               "event " + std::to_string(seq_no)
                 + " is not the next one of its range; where the projection "
                   "does not read all types, say with --type which");
         });
}

void reset_or_rebuild(journal& x, const program_request& what,
                      std::chrono::seconds timeout) {
  connect_projections(x)->status(what.projection);
  json arguments{{"projection", what.projection}};
  if (what.after)
    arguments["after"] = *what.after;
  if (what.since)
    arguments["since"] = *what.since;
  if (what.from_now)
    arguments["from_now"] = true;
  logged(x, "projection " + what.what, arguments,
         [&] { ask_program(x, what, timeout); });
}

} // namespace evented::cli
