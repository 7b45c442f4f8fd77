#pragma once

#include "support/process.hpp"

namespace evented::test {

/// The program `evented`: what an operator has.
class program : public process {
public:
  explicit program(const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& variables = {})
    : process(EVENTED_CLI, arguments, variables) {
    // nop
  }
};

} // namespace evented::test
