#include "faults.hpp"

#include "text.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::cli {

void faults::add(const char* check, const std::string& where,
                 const std::string& what) {
  std::lock_guard guard{mutex_};
  ++count_;
  if (json_)
    std::printf(
      "%s\n", nlohmann::json{{"check", check}, {"where", where}, {"what", what}}
                .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                .c_str());
  else
    std::printf("%s: %s: %s\n", check, visible(where).c_str(),
                visible(what).c_str());
  std::fflush(stdout);
}

} // namespace evented::cli
