#pragma once

// What nodes of a cluster read of each other. The tests of actors run this.

#include "fuzz/target.hpp"

#include <array>

namespace evented::test::fuzz {

void peer(std::string_view input);

inline constexpr std::array node_targets{
  target{"peer", peer},
};

} // namespace evented::test::fuzz
