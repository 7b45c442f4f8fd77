#pragma once

// An old shape that is fine, as long as it has an upcaster.

#include "counter.hpp"

struct increased_v0 {
  static constexpr std::string_view event_name = "raised";
  std::uint64_t by;
};
