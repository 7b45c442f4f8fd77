// What is installed stands on its own: no public header needs a private one, and
// those of libevented need neither CAF nor a client library of PostgreSQL. That
// each compiles on its own is checked by the build (all_verify_interface_header_sets).

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

namespace {

namespace fs = std::filesystem;

const fs::path root = EVENTED_SOURCE_DIR;
const fs::path core = root / "libevented/include";
const fs::path actors = root / "actors/include";

/// Calls `f(header, included, quoted)` for each #include of the public headers
/// below `folder`, and returns how many headers there are.
template <class F>
std::size_t for_each_include(const fs::path& folder, F f) {
  static const std::regex include{R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])"};
  std::size_t result = 0;
  for (auto& file : fs::recursive_directory_iterator{folder}) {
    if (file.path().extension() != ".hpp")
      continue;
    ++result;
    std::ifstream in{file.path()};
    std::smatch found;
    for (std::string line; std::getline(in, line);)
      if (std::regex_search(line, found, include))
        f(file.path(), found[2].str(), found[1] == "\"");
  }
  return result;
}

} // namespace

TEST(headers, include_no_private_header) {
  auto look = [](const fs::path& header, const std::string& included,
                 bool quoted) {
    EXPECT_FALSE(quoted) << header << " includes \"" << included << '"';
    if (included.starts_with("evented/")) {
      EXPECT_TRUE(fs::exists(core / included) || fs::exists(actors / included))
        << header << " includes " << included;
    }
  };
  EXPECT_GT(for_each_include(core, look), 30u);
  EXPECT_GT(for_each_include(actors, look), 10u);
}

TEST(headers, of_libevented_include_no_actors_and_no_database_client) {
  static const std::regex forbidden{
    R"(^(caf|pqxx|spdlog|fmt)/|^(libpq-fe|sqlca).h$|^evented/actors)"};
  for_each_include(core, [](auto& header, const std::string& included, bool) {
    EXPECT_FALSE(std::regex_search(included, forbidden))
      << header << " includes " << included;
  });
}
