#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

#include <exception>
#include <string>
#include <type_traits>

namespace evented::cli {

/// An entry in the journal's table `operation`. Its begin is committed before
/// anything happens; without an end, nobody knows.
class operation {
public:
  operation(journal& where, const std::string& verb,
            const nlohmann::json& arguments);

  void done(const std::string& detail) { end("done", detail); }

  /// Also where the connection is what has failed.
  void failed(const std::string& detail) noexcept;

private:
  void end(const char* outcome, const std::string& detail);

  journal& where_;
  std::string id_;
};

/// Runs `f`, which may return a detail, and writes down who did that, and what
/// came of it.
template <class F>
void logged(journal& where, const std::string& verb,
            const nlohmann::json& arguments, F&& f) {
  operation entry{where, verb, arguments};
  std::string detail;
  try {
    if constexpr (std::is_void_v<decltype(f())>)
      f();
    else
      detail = f();
  } catch (const std::exception& e) {
    entry.failed(e.what());
    throw;
  }
  entry.done(detail);
}

/// Asks whether to go on, unless the command line says `--yes`.
/// @throws failure(refused) where the answer is no, or where there is nobody to
///         ask
void confirm(const globals& how, const std::string& what);

} // namespace evented::cli
