// evented: the command line for operators.

#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <exception>

using namespace evented;
using namespace evented::cli;

namespace {

int report(const globals& how, exit_code code, const std::string& what) {
  if (how.json) {
    nlohmann::json x{{"error", what}, {"code", static_cast<int>(code)}};
    auto text
      = x.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::fprintf(stderr, "%s\n", text.c_str());
  } else {
    std::fprintf(stderr, "evented: %s\n", visible(what).c_str());
  }
  return static_cast<int>(code);
}

int run(const globals& how, const action& chosen) {
  try {
    return static_cast<int>(chosen(how));
  } catch (...) {
    auto why = explain(std::current_exception());
    return report(how, why.code(), why.what());
  }
}

} // namespace

int main(int argc, char** argv) {
  // Who reads our output may stop reading it.
  std::signal(SIGPIPE, SIG_DFL);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("evented"));
  spdlog::set_pattern("evented: %l: %v");

  globals how;
  action chosen;
  CLI::App app;
  add_everything(app, how, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
  }
  return run(how, chosen);
}
