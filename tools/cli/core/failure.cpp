#include "failure.hpp"

#include <evented/error.hpp>
#include <evented/sql_error.hpp>

namespace evented::cli {

namespace {

exit_code code_of(const error& e) {
  switch (e.code()) {
  case errc::unavailable:
  case errc::outcome_unknown:
    return exit_code::unreachable;
  case errc::incompatible:
    return exit_code::no_journal;
  case errc::invalid_options:
  case errc::invalid_id:
    return exit_code::usage;
  case errc::unknown_projection:
    return exit_code::not_found;
  case errc::not_now:
    return exit_code::refused;
  case errc::timed_out:
    return exit_code::timed_out;
  default:
    return exit_code::failed;
  }
}

} // namespace

failure explain(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const failure& e) {
    return e;
  } catch (const sql_error& e) {
    auto& state = e.sqlstate();
    // What the server cannot read as a time or as text was typed in.
    if (state == "22007" || state == "22008" || state == "22021")
      return {exit_code::usage, e.what()};
    // By a time limit, or by somebody.
    if (state == "57014")
      return {exit_code::timed_out,
              "the database has given up: " + std::string{e.what()}
                + "; ask for less, for example for one entity type"};
    if (state == "EV007")
      return {exit_code::refused, e.what()};
    auto hint = state == "42501" ? "; see the roles in docs/operations.md" : "";
    return {exit_code::failed, "the database says: " + std::string{e.what()}
                                 + " (" + state + ")" + hint};
  } catch (const error& e) {
    return {code_of(e), e.what()};
  } catch (const std::exception& e) {
    return {exit_code::failed, e.what()};
  }
}

} // namespace evented::cli
