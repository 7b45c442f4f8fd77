#pragma once

#include <optional>
#include <string>

namespace evented::detail {

/// Returns why PostgreSQL's `jsonb` refuses `text`, nothing where it takes it.
std::optional<std::string> why_no_jsonb(const std::string& text);

} // namespace evented::detail
