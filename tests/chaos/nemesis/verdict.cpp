#include "chaos/nemesis/verdict.hpp"

#include "chaos/nemesis/checker.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

namespace evented::test::nemesis {

namespace {

constexpr std::size_t most_shown = 20;

std::string judge(std::istream& from, std::string& facts) {
  history told;
  try {
    told = read(from);
  } catch (const std::exception& e) {
    return std::string{"no history: "} + e.what() + '\n';
  }
  auto strikes = std::count_if(told.faults.begin(), told.faults.end(),
                               [](auto& x) { return x.ends_with(" strikes"); });
  facts = summary(told) + ", " + std::to_string(strikes) + " faults";
  auto wrong = check(told);
  std::string result;
  for (std::size_t i = 0; i < std::min(wrong.size(), most_shown); ++i)
    result += wrong[i] + '\n';
  if (wrong.size() > most_shown)
    result += "and " + std::to_string(wrong.size() - most_shown) + " more\n";
  return result;
}

} // namespace

std::uint64_t first_seed() {
  if (auto* text = std::getenv("EVENTED_SEED"))
    return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

std::chrono::milliseconds more_rounds(double share) {
  auto* text = std::getenv("EVENTED_CHAOS_SECONDS");
  return std::chrono::milliseconds{
    text == nullptr ? 0 : static_cast<int>(std::atof(text) * 1000 * share)};
}

std::string verdict(const recorder& book, std::string so_far,
                    const std::string& test, std::uint64_t seed) {
  std::stringstream text;
  for (auto& x : book.lines())
    text << x << '\n';
  std::string facts;
  so_far += judge(text, facts);
  std::cout << "seed " << seed << ": " << facts << std::endl;
  // For who wants to read a good one.
  if (so_far.empty() && std::getenv("EVENTED_KEEP_HISTORY") == nullptr)
    return {};
  auto path
    = std::filesystem::absolute(test + "-" + std::to_string(seed) + ".jsonl");
  std::ofstream{path} << text.str();
  if (so_far.empty())
    return {};
  return so_far + "\nThe history: " + path.native()
         + "\nCheck it again: chaos_tests --check " + path.native()
         + "\nThe same faults again: EVENTED_SEED=" + std::to_string(seed)
         + " chaos_tests --gtest_filter=" + test + '\n';
}

int check_file(const std::string& path) {
  std::ifstream in{path};
  std::string facts;
  auto wrong = judge(in, facts);
  std::cout << facts << '\n' << (wrong.empty() ? "Nothing is wrong.\n" : wrong);
  return wrong.empty() ? 0 : 1;
}

} // namespace evented::test::nemesis
