#include "detail/conninfo.hpp"
#include "fuzz/targets.hpp"

#include <evented/error.hpp>

#include <string>

namespace evented::test::fuzz {

// The address of a database, with a password that must not get out.
void connection(std::string_view input) {
  const std::string secret = "Kj7-secret-Wq9";
  journal_options options;
  options.url = std::string{input};
  options.password = secret;
  try {
    auto text = detail::conninfo(options);
    promise(text.find(secret) != text.npos, "the password is used");
    auto shown = detail::redact("failed: " + text + " (" + secret + ")", text);
    promise(shown.find(secret) == shown.npos, "a password is blotted out");
  } catch (const error& e) {
    std::string what = e.what();
    promise(e.code() == errc::invalid_options, "a bad address is an option's");
    promise(what.find(secret) == what.npos, "an error tells no password");
  }
}

} // namespace evented::test::fuzz
