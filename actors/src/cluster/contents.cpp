#include "cluster/contents.hpp"

#include <exception>

namespace evented::detail {

std::optional<caf::message> read_content(caf::actor_system& sys,
                                         const wire::forward& x,
                                         std::size_t max_bytes) {
  caf::message result;
  try {
    if (x.content.size() <= max_bytes
        && seam::from_wire(sys, x.content, result) == caf::none
        && !result.empty())
      return result;
  } catch (const std::exception&) {
    // As below.
  }
  return std::nullopt;
}

} // namespace evented::detail
