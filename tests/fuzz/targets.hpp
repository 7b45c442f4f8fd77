#pragma once

// What is fuzzed: everything that parses bytes of others. Each target takes any
// input, and ends the process where a promise about it is broken.
//
// `tools/fuzz` runs them under libFuzzer with sanitizers; the unit tests run
// them on the kept corpora and on some thousand variations of those.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace evented::test::fuzz {

void json(std::string_view input);
void binary(std::string_view input);
void postgres_text(std::string_view input);
void connection(std::string_view input);
void text(std::string_view input);

struct target {
  std::string_view name;
  void (*run)(std::string_view input);
};

inline constexpr std::array targets{
  target{"json", json},
  target{"binary", binary},
  target{"postgres_text", postgres_text},
  target{"connection", connection},
  target{"text", text},
};

/// Ends the process where `kept` is false.
inline void promise(bool kept, const char* which) {
  if (kept)
    return;
  std::fprintf(stderr, "a broken promise: %s\n", which);
  std::abort();
}

} // namespace evented::test::fuzz
