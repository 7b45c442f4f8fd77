#pragma once

// What the program `evented` parses. The tests of it run these.

#include "fuzz/target.hpp"

#include <array>

namespace evented::test::fuzz {

void command_line(std::string_view input);
void request(std::string_view input);
void saved_file(std::string_view input);

inline constexpr std::array cli_targets{
  target{"command_line", command_line},
  target{"request", request},
  target{"saved_file", saved_file},
};

} // namespace evented::test::fuzz
