// The tests of nodes, or with --worker as the first argument one of the nodes.

#include "chaos/application.hpp"
#include "chaos/nodes/node_worker.hpp"

#include <gtest/gtest.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstring>
#include <signal.h>

namespace evented::test {

dev::postgres& common_server() {
  static dev::postgres server{fast_server()};
  return server;
}

std::string unique_schema() {
  static int count = 0;
  return "nodes_" + std::to_string(++count);
}

} // namespace evented::test

int main(int argc, char** argv) {
  // A peer that is gone is noticed where it is written to.
  ::signal(SIGPIPE, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("nodes"));
  // Warnings about lost connections are what these tests are for.
  if (std::getenv("EVENTED_CHAOS_VERBOSE") == nullptr)
    spdlog::set_level(spdlog::level::err);
  if (argc > 1 && std::strcmp(argv[1], "--worker") == 0) {
    try {
      return evented::test::run_node({argv + 2, argv + argc});
    } catch (const std::exception& e) {
      std::fprintf(stderr, "node: %s\n", e.what());
      return 1;
    }
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
