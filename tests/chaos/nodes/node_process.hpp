#pragma once

#include "chaos/worker.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <signal.h>
#include <string>
#include <utility>
#include <vector>

namespace evented::test {

/// A node in a process of its own.
class node_process {
public:
  explicit node_process(std::string name) : name_(std::move(name)) {
    // nop
  }

  void kill() { EXPECT_EQ(process_->kill(), "signal 9"); }

  void end() {
    ::kill(process_->pid(), SIGTERM);
    EXPECT_EQ(process_->wait(std::chrono::seconds{60}), "exit 0") << name_;
  }

  void stop() { ::kill(process_->pid(), SIGSTOP); }
  void resume() { ::kill(process_->pid(), SIGCONT); }

  [[nodiscard]] const std::string& name() const { return name_; }

protected:
  /// Starts it with the arguments of `run_node`. Returns the port at which it
  /// listens.
  std::uint16_t run(const std::vector<std::string>& args) {
    process_.emplace(args);
    auto line = process_->hear().value_or("nothing");
    if (line.starts_with("port "))
      return static_cast<std::uint16_t>(std::stoi(line.substr(5)));
    ADD_FAILURE() << name_ << " says " << line;
    return 0;
  }

private:
  std::string name_;
  std::optional<worker> process_;
};

} // namespace evented::test
