#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace evented::test::fuzz {

/// What is fuzzed: something that parses bytes of others. It takes any input, and
/// ends the process where a promise about it is broken.
///
/// `tools/fuzz` runs targets under libFuzzer with sanitizers; the tests run them
/// on the kept corpora and on some thousand variations of those.
struct target {
  std::string_view name;
  void (*run)(std::string_view input);
};

/// Ends the process where `kept` is false.
inline void promise(bool kept, const char* which) {
  if (kept)
    return;
  std::fprintf(stderr, "a broken promise: %s\n", which);
  std::abort();
}

} // namespace evented::test::fuzz
