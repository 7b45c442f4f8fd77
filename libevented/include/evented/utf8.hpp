#pragma once

#include <evented/export.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace evented {

/// Checks whether `text` is well-formed UTF-8 (Unicode 15, table 3-7: no
/// overlong forms, no surrogates, nothing above U+10FFFF) without NUL, as
/// PostgreSQL requires of every text.
EVENTED_EXPORT bool valid_text(std::string_view text) noexcept;

/// Returns `text`, cut to about `max` bytes, in a form that can be stored: where
/// it is not valid UTF-8 without NUL, what is not ASCII becomes '?'.
EVENTED_EXPORT std::string make_text(std::string_view text, std::size_t max);

} // namespace evented
