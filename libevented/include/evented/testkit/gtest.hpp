#pragma once

// For tests with GoogleTest; the rest of the test kit needs no framework.

#include <evented/testkit.hpp>

#include <gtest/gtest.h>

namespace evented::testkit {

/// Makes every check that fails a non-fatal failure of the current test, at the
/// line of its `when`, so that the test goes on as after an EXPECT. Without, the
/// exception of the first one ends the test, as after an ASSERT.
///
/// Call it once, before the tests run, for example
///
///   const auto use_gtest = evented::testkit::report_to_gtest();
inline bool report_to_gtest() {
  on_failure([](const failure& x) {
    ADD_FAILURE_AT(x.where.file, x.where.line) << to_string(x);
  });
  return true;
}

} // namespace evented::testkit
