#pragma once

#include <evented/sql_error.hpp>

namespace evented::detail {

/// Checks whether the same statement may succeed a little later: nothing is
/// wrong with what was asked.
inline bool transient(const sql_error& e) {
  auto& x = e.sqlstate();
  // Class 40: transaction rollback; 53: insufficient resources; 55P03: lock
  // timeout; 57014: statement timeout; 58: I/O error.
  return x.starts_with("40") || x.starts_with("53") || x == "55P03"
         || x == "57014" || x.starts_with("58");
}

/// Checks whether trying again at once makes sense (deadlock, serialization).
inline bool try_again(const sql_error& e) {
  return e.sqlstate().starts_with("40");
}

/// Runs `f`, which is a transaction, and twice more where the server has ended it to
/// let another one go on. Nothing of it is stored then, so it may be repeated.
/// @throws sql_error what the last attempt has failed with
template <class F>
void with_retries(F&& f) {
  for (auto round = 0;; ++round) {
    try {
      f();
      return;
    } catch (const sql_error& e) {
      if (!try_again(e) || round == 2)
        throw;
    }
  }
}

/// Returns what an append failed with that was refused as a whole. Class 22:
/// data exception, for example a text that is not valid UTF-8.
inline errc refusal(const sql_error& e) {
  return e.sqlstate().starts_with("22") ? errc::invalid_event : errc::refused;
}

} // namespace evented::detail
