// How the program writes what it shows.

#include "core/text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

using namespace evented::cli;

namespace {

std::string time_text(std::int64_t micros) {
  std::string result;
  append_time(result, micros);
  return result;
}

} // namespace

TEST(cli_text, tells_each_time_that_postgresql_has) {
  EXPECT_EQ(time_text(0), "2000-01-01T00:00:00.000000Z");
  EXPECT_EQ(time_text(-1), "1999-12-31T23:59:59.999999Z");
  EXPECT_EQ(time_text(763'105'234'567'890), "2024-03-07T05:40:34.567890Z");
  EXPECT_EQ(time_text(INT64_MAX), "infinity");
  EXPECT_EQ(time_text(INT64_MIN), "-infinity");
  // The last one, and one that none is.
  EXPECT_EQ(time_text(9'223'371'331'199'999'999),
            "294276-12-31T23:59:59.999999Z");
  EXPECT_EQ(time_text(INT64_MIN + 1), "-290278-12-22T19:59:05.224193Z");
}
