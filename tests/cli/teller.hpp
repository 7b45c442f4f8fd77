#pragma once

#include <httplib.h>
#include <string>
#include <thread>
#include <utility>

namespace evented::test {

/// Somebody who tells figures at /metrics, as an application does.
class teller {
public:
  explicit teller(httplib::Server::Handler answer) {
    server_.Get("/metrics", std::move(answer));
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    while (!server_.is_running())
      std::this_thread::yield();
  }

  ~teller() {
    server_.stop();
    thread_.join();
  }

  teller(const teller&) = delete;
  teller& operator=(const teller&) = delete;

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_);
  }

private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

} // namespace evented::test
