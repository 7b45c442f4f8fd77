#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace evented::test {

/// A port of 127.0.0.1 at which nothing answers, not even with a refusal, as on a
/// host that packets do not reach: the kernel drops what wants to connect where too
/// many wait for their turn already.
class deaf_port {
public:
  deaf_port() {
    sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(sockets_[0], address, size) != 0
        || ::getsockname(sockets_[0], address, &size) != 0
        || ::listen(sockets_[0], 0) != 0)
      throw std::runtime_error("cannot listen");
    number_ = ntohs(at.sin_port);
    // Until one of them has to wait.
    for (pollfd x{}; x.revents != 0 || sockets_.size() == 1;) {
      x = {::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
           POLLOUT, 0};
      sockets_.push_back(x.fd);
      ::connect(x.fd, address, size);
      ::poll(&x, 1, 200);
    }
  }

  deaf_port(const deaf_port&) = delete;
  deaf_port& operator=(const deaf_port&) = delete;

  ~deaf_port() {
    for (auto fd : sockets_)
      ::close(fd);
  }

  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

private:
  std::uint16_t number_ = 0;
  std::vector<int> sockets_;
};

} // namespace evented::test
