#include "verb.hpp"

#include "text.hpp"

#include <charconv>

namespace evented::cli {

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  auto range = most == INT64_MAX
                 ? std::string{}
                 : std::to_string(least) + " to " + std::to_string(most);
  return {[least, most](std::string& text) -> std::string {
            std::int64_t n = 0;
            auto* end = text.data() + text.size();
            auto [rest, wrong] = std::from_chars(text.data(), end, n);
            if (wrong == std::errc{} && rest == end && n >= least && n <= most)
              return {};
            return "\"" + visible(text) + "\" is no whole number from "
                   + std::to_string(least) + " to " + std::to_string(most);
          },
          range};
}

} // namespace evented::cli
