#pragma once

#include <string_view>

namespace evented {

/// Checks whether `text` is well-formed UTF-8 (Unicode 15, table 3-7: no
/// overlong forms, no surrogates, nothing above U+10FFFF) without NUL, as
/// PostgreSQL requires of every text.
bool valid_text(std::string_view text) noexcept;

} // namespace evented
