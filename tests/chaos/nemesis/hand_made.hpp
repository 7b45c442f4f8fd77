#pragma once

// Histories made by hand, for the tests of the checker.

#include "chaos/nemesis/checker.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace evented::test::nemesis {

inline std::vector<std::string> verdict_on(const std::string& text) {
  std::istringstream in{text};
  return check(read(in));
}

/// Expects that a history is refused for one reason, which contains `why`.
inline void expect_refused(std::string_view why, const std::string& text) {
  auto found = verdict_on(text);
  ASSERT_EQ(found.size(), 1u) << testing::PrintToString(found);
  EXPECT_NE(found[0].find(why), std::string::npos) << found[0];
}

/// Two commands that are answered one after the other, the second with an ID,
/// and what is told of them by the journal and by the view.
inline constexpr auto two_calls = R"(
{"line":"invoke","call":1,"entity":1,"verb":"add","key":1,"amount":5}
{"line":"reply","call":1,"as":"accepted","version":1,"seq_no":11}
{"line":"invoke","call":2,"entity":1,"verb":"take_out","key":2,"amount":3,"id":"p"}
{"line":"reply","call":2,"as":"accepted","version":2,"seq_no":14,"total":2}
)";

inline constexpr auto two_events = R"(
{"line":"event","entity":1,"version":1,"seq_no":11,"key":1,"amount":5}
{"line":"event","entity":1,"version":2,"seq_no":14,"key":2,"amount":-3}
)";

inline constexpr auto one_remembered = R"(
{"line":"remembered","entity":1,"id":"p","outcome":"accepted","version":2,"seq_no":14}
)";

inline constexpr auto the_view = R"(
{"line":"handled","seq_no":11}
{"line":"handled","seq_no":14}
{"line":"total","entity":1,"total":2}
)";

inline const std::string good
  = std::string{two_calls} + two_events + one_remembered + the_view;

/// The good history after `text` was put in the place of `what`.
inline std::string with(std::string_view what, std::string_view text) {
  auto result = good;
  auto at = result.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return result.replace(at, what.size(), text);
}

/// The same with more lines at the end.
inline std::string and_also(const std::string& text) {
  return good + text;
}

} // namespace evented::test::nemesis
