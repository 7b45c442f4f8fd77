#pragma once

#include <evented/dev/postgres.hpp>
#include <evented/options.hpp>

#include <atomic>
#include <string>

namespace evented::test {

/// Returns the PostgreSQL that the tests of this program share. It goes away
/// with the program.
inline dev::postgres& server() {
  static dev::postgres instance{
    {.directory = {}, .fsync = false, .settings = {}}};
  return instance;
}

/// Returns options for a journal in a schema that no other test uses.
inline journal_options fresh_journal() {
  static std::atomic<int> count{0};
  journal_options result;
  result.url = server().url();
  result.schema = "test_" + std::to_string(++count);
  return result;
}

} // namespace evented::test
