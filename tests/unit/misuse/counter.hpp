#pragma once

// What the examples of misuse have in common: commands and events that are
// fine.

#include <evented/entity.hpp>

#include <cstdint>
#include <string_view>

struct increase {
  std::uint64_t inc;
};

struct increased {
  std::uint64_t inc;
};

struct decreased {
  std::uint64_t dec;
};

struct overflow {
  std::uint64_t value;
};
