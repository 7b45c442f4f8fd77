#pragma once

// What libevented parses. The unit tests run these.

#include "fuzz/target.hpp"

#include <array>

namespace evented::test::fuzz {

void json(std::string_view input);
void binary(std::string_view input);
void postgres_text(std::string_view input);
void connection(std::string_view input);
void text(std::string_view input);

inline constexpr std::array targets{
  target{"json", json},
  target{"binary", binary},
  target{"postgres_text", postgres_text},
  target{"connection", connection},
  target{"text", text},
};

} // namespace evented::test::fuzz
