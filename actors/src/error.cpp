#include <evented/actors/error.hpp>
#include <evented/actors/messages.hpp>

#include <caf/actor_system_config.hpp>

namespace evented {

caf::error make_error(errc code, std::string text) {
  return caf::make_error(code, std::move(text));
}

std::string text_of(const caf::error& err) {
  if (code_of(err) == errc::none)
    return {};
  if (err.context().match_elements<std::string>()
      || err.context().match_elements<std::string, std::uint64_t>())
    return err.context().get_as<std::string>(0);
  return {};
}

std::optional<std::uint64_t> actual_version(const caf::error& err) {
  if (is(err, errc::unexpected_version)
      && err.context().match_elements<std::string, std::uint64_t>())
    return err.context().get_as<std::uint64_t>(1);
  return std::nullopt;
}

errc code_of(const caf::error& err) {
  if (err == caf::none)
    return errc::none;
#if EVENTED_CAF < 1800
  if (err.category() != caf::atom("evented"))
    return errc::none;
#else
  if (err.category() != caf::type_id_v<errc>)
    return errc::none;
#endif
  return static_cast<errc>(err.code());
}

namespace detail {

void add_error_category([[maybe_unused]] caf::actor_system_config& cfg) {
#if EVENTED_CAF < 1800
  cfg.add_error_category(
    caf::atom("evented"),
    [](std::uint8_t code, caf::atom_value, const caf::message& context) {
      std::string result = "evented::";
      result += to_string(static_cast<errc>(code));
      if (context.match_elements<std::string>()
          || context.match_elements<std::string, std::uint64_t>())
        result += ": " + context.get_as<std::string>(0);
      else if (!context.empty())
        result += ": " + caf::to_string(context);
      return result;
    });
#endif
}

} // namespace detail

} // namespace evented
