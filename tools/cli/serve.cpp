#include "core/text.hpp"
#include "core/verb.hpp"
#include "serve/address.hpp"
#include "serve/dashboard.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace evented::cli {

namespace {

struct serve_options {
  dashboard_options to;
  std::string listen = "127.0.0.1:8480";
  std::string token_file;
  std::vector<std::string> applications;
};

void read_token(serve_options& options) {
  if (options.token_file.empty()) {
    auto* token = std::getenv("EVENTED_TOKEN");
    options.to.token = token == nullptr ? "" : token;
    return;
  }
  auto& token = options.to.token;
  std::ifstream file{options.token_file};
  std::getline(file, token);
  // Editors end lines in their own ways.
  token.erase(token.find_last_not_of(" \t\r") + 1);
  if (token.empty())
    throw failure(exit_code::usage, "there is no token in \""
                                      + visible(options.token_file) + "\"");
}

exit_code serve(const globals& how, serve_options options) {
  auto where = read_address(options.listen);
  options.to.host = where.host;
  options.to.port = where.port;
  read_token(options);
  for (auto& url : options.applications)
    options.to.asked.push_back(parse_application(url));
  // So that a mistake shows at once.
  open_journal(how);
  // For all threads to come; one waits for them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  // Browsers hang up.
  std::signal(SIGPIPE, SIG_IGN);
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
  dashboard x{how, options.to};
  std::atomic<bool> over{false};
  std::thread waiting{[&] {
    int received = 0;
    sigwait(&ends, &received);
    // The server does not notice what it is told before it serves.
    while (!over && !x.serves())
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    x.stop();
  }};
  auto host = options.to.host.find(':') == std::string::npos
                ? options.to.host
                : "[" + options.to.host + "]";
  std::printf("http://%s:%d/\n", host.c_str(), x.port());
  std::fflush(stdout);
  x.run();
  over = true;
  ::kill(::getpid(), SIGTERM);
  waiting.join();
  return exit_code::done;
}

} // namespace

void add_serve(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "serve",
    "Serves a dashboard for browsers, on this machine only unless told "
    "otherwise, until it is interrupted. A token is read from EVENTED_TOKEN or "
    "a file, and is needed where others can reach the address",
    "  evented serve\n"
    "  evented serve --listen 0.0.0.0:8480 --token-file /etc/evented/token\n"
    "  evented serve --read-only\n"
    "  evented serve --application http://127.0.0.1:9464");
  auto options = std::make_shared<serve_options>();
  verb
    ->add_option("--listen", options->listen,
                 "Where to listen; port 0 for any that is free")
    ->type_name("HOST:PORT")
    ->capture_default_str();
  verb
    ->add_option("--token-file", options->token_file,
                 "A file whose first line is the token")
    ->type_name("FILE");
  verb
    ->add_option("--application", options->applications,
                 "Where an application tells its figures; may be repeated. The "
                 "overview then shows how long commits take")
    ->type_name("URL");
  verb->add_flag("--read-only", options->to.read_only,
                 "Shows everything and changes nothing");
  on(verb, chosen, options, serve);
}

} // namespace evented::cli
