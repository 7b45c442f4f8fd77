#include <evented/testkit/faulty_store.hpp>

namespace evented::testkit {

std::string_view to_string(fault x) noexcept {
  switch (x) {
  case fault::none:
    return "none";
  case fault::fail:
    return "fail";
  case fault::lose_reply:
    return "lose_reply";
  case fault::late:
    return "late";
  case fault::delay:
    return "delay";
  case fault::conflict:
    return "conflict";
  case fault::refuse:
    return "refuse";
  }
  return "?";
}

std::string_view to_string(store_call x) noexcept {
  switch (x) {
  case store_call::connect:
    return "connect";
  case store_call::append:
    return "append";
  case store_call::load:
    return "load";
  case store_call::save_snapshots:
    return "save_snapshots";
  case store_call::forget_commands:
    return "forget_commands";
  case store_call::frontier:
    return "frontier";
  case store_call::read:
    return "read";
  case store_call::other:
    return "other";
  }
  return "?";
}

} // namespace evented::testkit
