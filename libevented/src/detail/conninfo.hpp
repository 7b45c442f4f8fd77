#pragma once

#include <evented/options.hpp>

#include <string>

namespace evented::detail {

/// Returns a libpq connection string for `options`, with the password as it is
/// now and the sslmode that is safe for the host. Holds the password: never
/// show it.
/// @throws error(invalid_options) without any part of the URL in its text
std::string conninfo(const journal_options& options);

/// Returns `text` with every occurrence of the password of `conninfo` blotted
/// out.
std::string redact(std::string text, const std::string& conninfo);

} // namespace evented::detail
