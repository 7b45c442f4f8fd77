#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace evented::testkit {

/// Where in a test something was checked.
struct location {
  /// Empty where it is not known.
  const char* file = "";
  /// Beginning with 1.
  int line = 0;
};

/// What a check has found: what was given, what was expected, what came.
struct failure {
  /// Where the check is.
  location where;
  /// What is wrong, in one sentence.
  std::string summary;
  /// The events of the past, one a line.
  std::vector<std::string> given;
  /// The commands, one a line.
  std::vector<std::string> when;
  /// What the check wanted, one event or message a line.
  std::vector<std::string> expected;
  /// What the handler has decided, in the same form.
  std::vector<std::string> got;
};

/// Returns `x` as text for humans, several lines, without the location.
std::string to_string(const failure& x);

/// Thrown by a check that fails, unless `on_failure` says otherwise. The text
/// begins with the location where one is known.
class check_failed : public std::logic_error {
public:
  /// @param x see `to_string`
  explicit check_failed(const failure& x);
};

/// Calls `f` for every check that fails, instead of throwing `check_failed`;
/// an empty function throws again. For the adapters to test frameworks. Where
/// `f` returns, the test goes on with what came.
/// @note Not thread-safe: call it before the tests run.
void on_failure(std::function<void(const failure&)> f);

/// Reports `x`.
/// @throws check_failed or what the function of `on_failure` throws
void fail(const failure& x);

} // namespace evented::testkit
