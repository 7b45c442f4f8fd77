// docs/guarantees.md and docs/security.md name a test for each promise; these have
// to exist.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <utility>

namespace {

namespace fs = std::filesystem;

const fs::path root = EVENTED_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Calls `f(suite, name)` for each match in a text.
template <class F>
void for_each_match(const std::string& text, const char* pattern, F f) {
  std::regex what{pattern};
  for (std::sregex_iterator x{text.begin(), text.end(), what}, end; x != end;
       ++x)
    f((*x)[1].str() + '.' + (*x)[2].str());
}

} // namespace

TEST(guarantees, name_tests_that_exist) {
  std::set<std::string> there;
  for (auto& file : fs::recursive_directory_iterator{root / "tests"})
    if (file.path().extension() == ".cpp")
      for_each_match(read(file.path()),
                     R"(TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\))",
                     [&](const std::string& x) { there.insert(x); });
  for (auto& [file, least] : {std::pair{"docs/guarantees.md", 40u},
                              std::pair{"docs/security.md", 12u}}) {
    std::set<std::string> named;
    for_each_match(read(root / file), R"(`([a-z_0-9]+)\.([a-z]+_[a-z_0-9]+)`)",
                   [&](const std::string& x) { named.insert(x); });
    EXPECT_GT(named.size(), least) << file;
    for (auto& x : named)
      EXPECT_TRUE(there.contains(x)) << file << ": " << x;
  }
}
