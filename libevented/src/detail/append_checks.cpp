#include "detail/append_checks.hpp"

#include <evented/utf8.hpp>

#include <algorithm>
#include <string>

namespace evented {

bool valid_tag(std::string_view tag) noexcept {
  return !tag.empty() && tag.size() <= 200 && valid_text(tag)
         && tag.find('\n') == std::string_view::npos;
}

bool valid_command_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= 200 && valid_text(id);
}

namespace detail {

void refuse_bad_tags(append_step& step) {
  for (auto& event : step.events) {
    for (auto& tag : event.tags) {
      if (valid_tag(tag))
        continue;
      step.status = append_status::failed;
      step.failure = errc::invalid_event;
      step.message = "the event " + std::string{event.name}
                     + " has a tag that cannot be stored: 1 to 200 bytes of "
                       "valid UTF-8 without NUL and line feed";
      return;
    }
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
  else if (std::any_of(step.messages.begin(), step.messages.end(),
                       [](auto& x) { return !valid_text(x.target); }))
    fail("the name of a message's receiver is valid UTF-8 without NUL");
}

} // namespace detail

} // namespace evented
