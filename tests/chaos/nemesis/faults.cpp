#include "chaos/nemesis/faults.hpp"

#include <cstdlib>

namespace evented::test::nemesis {

faults all_faults(const bed& at) {
  faults result;
  add_application_faults(result, at);
  add_server_faults(result, at);
  add_link_faults(result);
  add_foreign_faults(result);
  if (auto* names = std::getenv("EVENTED_FAULTS")) {
    auto list = "," + std::string{names} + ",";
    std::erase_if(result, [&](auto& x) {
      return list.find("," + x.name + ",") == std::string::npos;
    });
    if (result.empty())
      throw std::runtime_error("EVENTED_FAULTS names no fault: " + list);
  }
  return result;
}

std::string missing_faults(const bed& at) {
  std::string result;
  if (at.clock().empty())
    result += "no clock steps: libfaketime is not there, or cannot be loaded "
              "into this program\n";
  if (at.where().volume == nullptr)
    result += "no full disk: mounting a small volume is not permitted\n";
  return result;
}

} // namespace evented::test::nemesis
