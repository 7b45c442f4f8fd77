#pragma once

#include "journal.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace evented::cli {

/// An entry in the journal's table `operation`. Its begin is committed before
/// anything happens; without an end, nobody knows.
class operation {
public:
  operation(journal& where, const std::string& verb,
            const nlohmann::json& arguments);

  /// Writes down that it went wrong, unless `done` was called.
  ~operation();

  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  void done(const std::string& detail = {});

private:
  void end(const char* outcome, const std::string& detail);

  journal& where_;
  std::string id_;
  int exceptions_;
  bool ended_ = false;
};

/// Asks whether to go on, unless the command line says `--yes`.
/// @throws failure(refused) where the answer is no, or where there is nobody to
///         ask
void confirm(const globals& how, const std::string& what);

} // namespace evented::cli
