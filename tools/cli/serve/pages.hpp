#pragma once

#include "core/journal.hpp"

#include <nlohmann/json.hpp>

#include <httplib.h>
#include <map>
#include <string>

namespace evented::cli {

/// Answers a request for a part of the dashboard.
/// @throws failure, sql_error, error
using page = nlohmann::json (*)(journal&, const httplib::Request&);

/// What can be looked at, by path.
const std::map<std::string, page>& pages();

/// Does what the body of a request asks for.
/// @throws failure, sql_error, error
using change = nlohmann::json (*)(journal&, const nlohmann::json&);

/// What can be changed, by path. What destroys or skips something wants, as
/// "confirm", the name of the projection once more.
const std::map<std::string, change>& changes();

} // namespace evented::cli
