#pragma once

#include <string>

namespace evented::cli {

/// Where to listen.
struct address {
  std::string host;
  /// 0: any that is free.
  int port = 0;
};

/// Reads HOST:PORT; an IPv6 address stands in brackets.
/// @throws failure(usage)
address read_address(const std::string& text);

} // namespace evented::cli
