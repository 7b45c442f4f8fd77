#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace evented::cli {

/// How the program ends. docs/operations.md tells what each means: scripts rely
/// on the numbers.
enum class exit_code : int {
  done = 0,
  /// What was looked for is wrong: `verify` has found a fault.
  fault = 1,
  /// The command line cannot be understood.
  usage = 2,
  /// The database is out of reach.
  unreachable = 3,
  /// There is no journal, or not one that this program can use.
  no_journal = 4,
  /// The journal, or whoever was asked, is against it. Nothing was changed.
  refused = 5,
  /// There is no such projection, entity or dead letter.
  not_found = 6,
  /// What was waited for did not come about in time.
  timed_out = 7,
  /// The database has refused a statement, or a file could not be written.
  failed = 8,
  /// By Ctrl-C; what was done so far is good, and can be gone on with.
  interrupted = 130,
};

/// Ends the program with a sentence and a code.
class failure : public std::runtime_error {
public:
  failure(exit_code code, const std::string& what)
    : std::runtime_error(what), code_(code) {
    // nop
  }

  [[nodiscard]] exit_code code() const noexcept { return code_; }

private:
  exit_code code_;
};

/// Returns what `thrown` means for whoever has asked for something.
failure explain(const std::exception_ptr& thrown);

} // namespace evented::cli
