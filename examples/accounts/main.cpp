// Accounts behind an HTTP API. Open the address that it prints in a browser.

#include "http.hpp"

#include <evented/dev/postgres.hpp>

#include <CLI/CLI.hpp>

#include <csignal>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

/// What can be set: as flags, in a file, or in the environment, in this order.
struct settings {
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string database;
  std::size_t threads = 16;
};

void add_options(CLI::App& app, settings& to) {
  app.set_config("--config", "", "Read options from a file (TOML)");
  app.add_option("--host", to.host, "Address to listen on")
    ->envname("ACCOUNTS_HOST")
    ->capture_default_str();
  app.add_option("--port", to.port, "Port to listen on, 0: any that is free")
    ->envname("ACCOUNTS_PORT")
    ->check(CLI::Range(0, 65535))
    ->capture_default_str();
  app.add_option("--threads", to.threads, "How many requests run at once")
    ->envname("ACCOUNTS_THREADS")
    ->check(CLI::Range(1, 1000))
    ->capture_default_str();
  app
    .add_option("--database", to.database,
                "URL of a PostgreSQL database; without one, a private server "
                "is started")
    ->envname(evented::dev::database_url_variable);
}

sigset_t end_signals() {
  sigset_t result;
  sigemptyset(&result);
  sigaddset(&result, SIGINT);
  sigaddset(&result, SIGTERM);
  return result;
}

void run(const settings& from) {
  std::optional<evented::dev::database> own;
  evented::journal_options where;
  where.url = from.database;
  if (from.database.empty())
    where.url = own.emplace("accounts").url();

  // For all threads from here on: only the one that waits for them gets these.
  auto signals = end_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  evented::config<caf::id_block::bank> cfg;
  caf::actor_system sys{cfg};
  evented::journal journal{sys, where};
  bank::make_view(journal);
  bank::view_reader view{journal};
  bank::backend backend{sys,
                        evented::spawn_entities<bank::account>(sys, journal),
                        evented::spawn_projection<bank::account>(
                          sys, journal, bank::view_name, bank::view_writer{}),
                        view};

  httplib::Server server;
  server.new_task_queue = [&] { return new httplib::ThreadPool(from.threads); };
  // An idle connection takes one of them, and delays the end.
  server.set_keep_alive_timeout(1);
  bank::serve(server, backend);
  auto port = from.port;
  if (port == 0)
    port = server.bind_to_any_port(from.host);
  else if (!server.bind_to_port(from.host, port))
    port = -1;
  if (port < 0)
    throw std::runtime_error("cannot listen on " + from.host + ":"
                             + std::to_string(from.port));

  std::thread listener{[&] { server.listen_after_bind(); }};
  while (!server.is_running())
    std::this_thread::yield();
  std::cout << "listening on http://" << from.host << ":" << port << std::endl;
  auto number = 0;
  sigwait(&signals, &number);
  // The requests under way are answered first.
  server.stop();
  listener.join();
  std::cout << "stopped" << std::endl;
}

} // namespace

int main(int argc, char** argv) {
  settings options;
  CLI::App app{"Accounts that hold money, behind an HTTP API."};
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "accounts: " << e.what() << "\n";
    return 1;
  }
}
