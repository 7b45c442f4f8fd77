#include "detail/append_checks.hpp"

#include <evented/acceptance.hpp>
#include <evented/utf8.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace evented {

bool valid_tag(std::string_view tag) noexcept {
  return !tag.empty() && tag.size() <= 200 && valid_text(tag)
         && tag.find('\n') == std::string_view::npos;
}

bool valid_command_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= 200 && valid_text(id);
}

bool valid_timer_name(std::string_view name) noexcept {
  return valid_command_id(name);
}

namespace detail {

namespace {

constexpr const char* bad_timer_name
  = "a timer's name has 1 to 200 bytes of valid UTF-8 without NUL";

/// Returns why `x` cannot be stored, or null where it can.
const char* why_not(const outgoing_message& x) {
  if (!valid_text(x.target) || x.target.starts_with('\n'))
    return "the name of a message's receiver is valid UTF-8 without NUL, and "
           "does not begin with a line feed";
  if (x.timer.empty() && !x.cancels)
    return nullptr;
  if (!valid_timer_name(x.timer))
    return bad_timer_name;
  if (!x.target.empty())
    return "only what an entity sends to itself is a timer";
  return nullptr;
}

} // namespace

void check_timer_name(const std::string& name) {
  if (!valid_timer_name(name))
    throw std::invalid_argument(std::string{"evented: "} + bad_timer_name);
}

void refuse_bad_events(append_step& step) {
  auto fail = [&step](const new_event& event, const char* why) {
    step.status = append_status::failed;
    step.failure = errc::invalid_event;
    step.message
      = "the event " + std::string{event.name} + " cannot be stored: " + why;
  };
  for (auto& event : step.events) {
    if (event.schema_version < 1)
      return fail(event, "its schema version is below 1");
    if (!std::all_of(event.tags.begin(), event.tags.end(), valid_tag))
      return fail(event, "a tag has 1 to 200 bytes of valid UTF-8 without NUL "
                         "and line feed");
  }
}

void refuse_bad_record(append_step& step) {
  auto fail = [&step](const char* why) {
    step.status = append_status::failed;
    step.failure = errc::invalid_event;
    step.message = why;
  };
  if (step.record && !valid_command_id(step.record->command_id))
    fail("a command ID has 1 to 200 bytes of valid UTF-8 without NUL");
  else if (!step.messages.empty() && step.events.empty())
    fail("messages go out with the events of a command, and this one has none");
  else
    for (auto& x : step.messages)
      if (auto* why = why_not(x))
        return fail(why);
}

} // namespace detail

} // namespace evented
