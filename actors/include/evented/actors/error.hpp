#pragma once

#include <evented/actors/seam.hpp>
#include <evented/error.hpp>

#include <caf/error.hpp>

#include <optional>
#include <string>

#if EVENTED_CAF < 1800
CAF_ERROR_CODE_ENUM(evented::errc, "evented")
#endif

namespace evented {

/// Returns an error of this library's category with a text for humans.
caf::error make_error(errc code, std::string text);

/// Returns the text of an error that `make_error` made, else an empty one.
std::string text_of(const caf::error& err);

/// Returns the code of `err`, `errc::none` where it is none of this library's.
errc code_of(const caf::error& err);

/// Checks whether `err` is this library's error `code`.
inline bool is(const caf::error& err, errc code) {
  return err != caf::none && code_of(err) == code;
}

/// Returns the rejection that `err` carries, nothing where it is another error
/// or another rejection.
template <class R>
std::optional<R> rejection(const caf::error& err) {
  if (!is(err, errc::rejected))
    return std::nullopt;
#if EVENTED_CAF < 1800
  if (err.context().match_elements<R>())
#else
  if (err.context().template match_elements<R>())
#endif
    return err.context().template get_as<R>(0);
  return std::nullopt;
}

} // namespace evented
