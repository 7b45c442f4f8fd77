#pragma once

#include <evented/actors/seam.hpp>
#include <evented/error.hpp>
#include <evented/export.hpp>

#include <caf/error.hpp>

#include <cstdint>
#include <optional>
#include <string>

#if EVENTED_CAF < 1800
CAF_ERROR_CODE_ENUM(evented::errc, "evented")
#else
CAF_ERROR_CODE_ENUM(evented::errc)
#endif

namespace evented {

#if EVENTED_CAF >= 1800
// Like `caf::default_enum_inspect`, but for a `to_string` that returns a view.
template <class Inspector>
bool inspect(Inspector& f, errc& x) {
  if (f.has_human_readable_format()) {
    auto get = [&x] { return std::string{to_string(x)}; };
    auto set = [&x](const std::string& name) {
      for (auto i = 0; i <= static_cast<int>(errc::unreachable); ++i)
        if (to_string(static_cast<errc>(i)) == name) {
          x = static_cast<errc>(i);
          return true;
        }
      return false;
    };
    return f.apply(get, set);
  }
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x](std::uint8_t code) {
    x = static_cast<errc>(code);
    return true;
  };
  return f.apply(get, set);
}
#endif

/// Returns an error of this library's category with a text for humans.
EVENTED_EXPORT caf::error make_error(errc code, std::string text);

/// Returns the text of an error that `make_error` made, else an empty one.
EVENTED_EXPORT std::string text_of(const caf::error& err);

/// Returns the version that an entity had instead of the one that a command with
/// `expect` wanted; nothing where `err` is another error.
EVENTED_EXPORT std::optional<std::uint64_t>
actual_version(const caf::error& err);

/// Returns the code of `err`, `errc::none` where it is none of this library's.
EVENTED_EXPORT errc code_of(const caf::error& err);

/// Checks whether `err` is this library's error `code`.
inline bool is(const caf::error& err, errc code) {
  return err != caf::none && code_of(err) == code;
}

/// Renders any error for humans.
inline std::string render([[maybe_unused]] const caf::actor_system& sys,
                          const caf::error& err) {
#if EVENTED_CAF < 1800
  return sys.render(err);
#else
  return to_string(err);
#endif
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
