// docs/tutorial.md, as somebody who follows it: on what is installed, with nothing
// but a shell.

#include "support/journals.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include <filesystem>

using namespace evented::test;

TEST(tutorial, does_what_it_says) {
  auto directory = std::filesystem::temp_directory_path()
                   / ("tutorial_" + to_string(evented::uuid::v4()));
  std::filesystem::create_directory(directory);
  raw_connection{}.exec("create database tutorial");
  process reader{
    "/usr/bin/env",
    {"--chdir", directory.string(), "bash", TUTORIAL_SCRIPT, TUTORIAL},
    {{"EVENTED_DATABASE_URL", server().url("tutorial")},
     {"CMAKE_PREFIX_PATH", PREFIX}}};
  EXPECT_EQ(reader.finish(), 0) << reader.out() << reader.err();
  std::filesystem::remove_all(directory);
}
