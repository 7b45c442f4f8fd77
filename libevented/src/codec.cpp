#include <evented/codec.hpp>

namespace evented {

std::string_view to_string(codec x) noexcept {
  return x == codec::json ? "json" : "binary";
}

} // namespace evented
