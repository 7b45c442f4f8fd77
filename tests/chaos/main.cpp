// The chaos tests, or with --worker as the first argument one of the processes
// that they start, or with --check what looks at a history again.

#include "chaos/application.hpp"
#include "chaos/nemesis/small_volume.hpp"
#include "chaos/nemesis/verdict.hpp"
#include "chaos/worker.hpp"

#include <gtest/gtest.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <signal.h>

namespace evented::test {

dev::postgres& common_server() {
  static dev::postgres server{fast_server()};
  return server;
}

std::string unique_schema() {
  static int count = 0;
  return "chaos_" + std::to_string(++count);
}

} // namespace evented::test

int main(int argc, char** argv) {
  // A peer that is gone is noticed where it is written to.
  ::signal(SIGPIPE, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("chaos"));
  // Hundreds of warnings about lost connections are what these tests are for.
  if (std::getenv("EVENTED_CHAOS_VERBOSE") == nullptr)
    spdlog::set_level(spdlog::level::err);
  if (argc > 1 && std::strcmp(argv[1], "--worker") == 0)
    return evented::test::run_worker({argv + 2, argv + argc});
  if (argc == 3 && std::strcmp(argv[1], "--check") == 0)
    return evented::test::nemesis::check_file(argv[2]);
  evented::test::nemesis::make_mounts_private();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
