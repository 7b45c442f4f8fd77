#include <evented/transaction.hpp>

#include <charconv>

namespace evented {

parameter::parameter(double x) {
  char buf[32];
  auto [end, ec] = std::to_chars(buf, buf + sizeof(buf), x);
  text.emplace(buf, end);
}

} // namespace evented
