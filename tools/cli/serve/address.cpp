#include "address.hpp"

#include "core/failure.hpp"
#include "core/text.hpp"

namespace evented::cli {

address read_address(const std::string& text) {
  auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  auto port = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  if (host.empty() || port.empty() || port.size() > 5
      || port.find_first_not_of("0123456789") != std::string::npos
      || std::stoi(port) > 65535)
    throw failure(exit_code::usage,
                  "\"" + visible(text) + "\" is no address: HOST:PORT");
  return {host, std::stoi(port)};
}

} // namespace evented::cli
