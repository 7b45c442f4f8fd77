#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace evented::cli {

/// Renders what `describe_state` has returned as Prometheus reads it: what the
/// journal itself knows, whether a program runs or not.
std::string render_figures(const nlohmann::json& state);

} // namespace evented::cli
