#include <evented/error.hpp>

namespace evented {

std::string_view to_string(errc code) noexcept {
  switch (code) {
  case errc::none:
    return "none";
  case errc::rejected:
    return "rejected";
  case errc::unknown_command:
    return "unknown_command";
  case errc::invalid_id:
    return "invalid_id";
  case errc::conflict:
    return "conflict";
  case errc::unexpected_version:
    return "unexpected_version";
  case errc::overloaded:
    return "overloaded";
  case errc::unavailable:
    return "unavailable";
  case errc::outcome_unknown:
    return "outcome_unknown";
  case errc::handler_failed:
    return "handler_failed";
  case errc::listener_failed:
    return "listener_failed";
  case errc::invalid_event:
    return "invalid_event";
  case errc::corrupt_event:
    return "corrupt_event";
  case errc::refused:
    return "refused";
  case errc::incompatible:
    return "incompatible";
  case errc::invalid_options:
    return "invalid_options";
  case errc::shutting_down:
    return "shutting_down";
  case errc::unknown_projection:
    return "unknown_projection";
  case errc::not_now:
    return "not_now";
  case errc::timed_out:
    return "timed_out";
  case errc::used_command_id:
    return "used_command_id";
  case errc::unreadable_reply:
    return "unreadable_reply";
  case errc::archived:
    return "archived";
  case errc::unreachable:
    return "unreachable";
  }
  return "unknown";
}

} // namespace evented
