#pragma once

// A type with everything in it that a payload may hold.

#include <evented/codec.hpp>
#include <evented/uuid.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace evented::test::fuzz {

struct leaf {
  std::int8_t small = 0;
  std::uint64_t large = 0;
  double real = 0;
  long long wide = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(small), CEREAL_NVP(large), CEREAL_NVP(real),
            CEREAL_NVP(wide));
  }
};

struct nothing {};

struct payload {
  leaf one;
  bool flag = false;
  std::string text;
  std::vector<leaf> many;
  std::vector<bool> flags;
  std::vector<std::uint16_t> numbers;
  std::vector<payload> children;
  std::map<std::string, std::vector<std::string>> lists;
  std::unordered_map<int, leaf> by_number;
  std::set<std::string> names;
  std::optional<leaf> perhaps;
  std::variant<int, std::string, leaf> either;
  std::tuple<int, std::string> both;
  std::array<int, 2> fixed{};
  std::chrono::milliseconds time{};
  uuid id;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(one), CEREAL_NVP(flag), CEREAL_NVP(text),
            CEREAL_NVP(many), CEREAL_NVP(flags), CEREAL_NVP(numbers),
            CEREAL_NVP(children), CEREAL_NVP(lists), CEREAL_NVP(by_number),
            CEREAL_NVP(names), CEREAL_NVP(perhaps), CEREAL_NVP(either),
            CEREAL_NVP(both), CEREAL_NVP(fixed), CEREAL_NVP(time),
            CEREAL_NVP(id));
  }
};

} // namespace evented::test::fuzz
