#pragma once

#include "fuzz/target.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evented::test::fuzz {

using namespace std::literals;

inline std::vector<std::string> corpus_of(std::string_view name) {
  std::vector<std::string> result;
  auto folder = std::filesystem::path{EVENTED_FUZZ_CORPUS} / name;
  for (auto& file : std::filesystem::directory_iterator{folder}) {
    std::ifstream in{file.path(), std::ios::binary};
    result.emplace_back(std::istreambuf_iterator<char>{in},
                        std::istreambuf_iterator<char>{});
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// Changes, removes, repeats or inserts some bytes.
inline void vary(std::string& x, std::minstd_rand& random) {
  auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>{0, n - 1}(random);
  };
  constexpr auto special = "\0\xff\x80{}[]\",:\\u0-9eN"sv;
  for (auto n = 1 + below(4); n > 0; --n) {
    auto at = below(x.size() + 1);
    auto length = std::min(x.size() - at, below(8));
    switch (below(4)) {
    case 0:
      x.erase(at, length);
      break;
    case 1:
      x.insert(at, std::string{x, at, length});
      break;
    case 2:
      x.insert(at, 1, special[below(special.size())]);
      break;
    default:
      if (at < x.size())
        x[at] = static_cast<char>(below(256));
    }
  }
}

/// Runs targets on their corpora and on variations of those.
inline void replay(std::span<const target> targets) {
  auto seed = std::random_device{}();
  if (auto* given = std::getenv("EVENTED_SEED"))
    seed = static_cast<unsigned>(std::strtoul(given, nullptr, 10));
  // Printed first: a broken promise ends the process.
  std::printf("EVENTED_SEED=%u\n", seed);
  std::fflush(stdout);
  std::minstd_rand random{seed};
  for (auto& target : targets) {
    auto corpus = corpus_of(target.name);
    ASSERT_GE(corpus.size(), 3u) << target.name;
    for (auto& input : corpus) {
      target.run(input);
      for (auto i = 0; i < 500; ++i) {
        auto changed = input;
        vary(changed, random);
        target.run(changed);
      }
    }
  }
}

} // namespace evented::test::fuzz
