#include "support/relay.hpp"

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <list>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace evented::test {

namespace {

sockaddr_in local(std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  result.sin_port = htons(port);
  return result;
}

int make_socket() {
  auto result = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (result < 0)
    throw std::system_error(errno, std::generic_category(), "socket");
  return result;
}

} // namespace

class relay::loop {
public:
  loop() : listener_(make_socket()) {
    auto address = local(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0
        || ::listen(listener_, 16) != 0
        || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address),
                         &size)
             != 0
        || ::pipe2(wake_.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      throw std::system_error(errno, std::generic_category(), "relay");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { run(); }};
  }

  ~loop() {
    end_ = true;
    wake();
    thread_.join();
    for (auto& x : pairs_)
      close(x);
    for (auto fd : {listener_, wake_[0], wake_[1]})
      ::close(fd);
  }

  void wake() { (void)!::write(wake_[1], "x", 1); }

  std::uint16_t port_ = 0;
  std::atomic<std::uint16_t> target_{0};
  std::atomic<bool> refusing_{false};
  std::atomic<bool> holding_{false};

private:
  /// One connection: two ends, and what is on its way to each.
  struct pair {
    std::array<int, 2> fd;
    std::array<std::string, 2> to;
    bool broken = false;
  };

  static void close(pair& x) {
    for (auto fd : x.fd)
      ::close(fd);
  }

  void run() {
    while (!end_) {
      std::vector<pollfd> all{{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
      for (auto& x : pairs_)
        for (auto end : {0, 1}) {
          short events = 0;
          if (!holding_ && x.to[1 - end].size() < 1 << 20)
            events |= POLLIN;
          if (!holding_ && !x.to[end].empty())
            events |= POLLOUT;
          all.push_back({x.fd[end], events, 0});
        }
      if (::poll(all.data(), all.size(), -1) < 0)
        continue;
      std::array<char, 64> bin{};
      while (::read(wake_[0], bin.data(), bin.size()) > 0) {
      }
      auto i = std::size_t{2};
      for (auto& x : pairs_)
        for (auto end : {0, 1})
          serve(x, end, all[i++].revents);
      pairs_.remove_if([this](pair& x) {
        if (!x.broken && !refusing_)
          return false;
        close(x);
        return true;
      });
      if ((all[1].revents & POLLIN) != 0)
        take();
    }
  }

  void serve(pair& x, int end, short events) {
    if (holding_ || x.broken)
      return;
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
      std::array<char, 65536> bytes{};
      auto n = ::read(x.fd[end], bytes.data(), bytes.size());
      if (n <= 0)
        x.broken = true;
      else
        x.to[1 - end].append(bytes.data(), static_cast<std::size_t>(n));
    }
    if ((events & POLLOUT) != 0) {
      auto n = ::send(x.fd[end], x.to[end].data(), x.to[end].size(),
                      MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0)
        x.to[end].erase(0, static_cast<std::size_t>(n));
      else if (errno != EAGAIN)
        x.broken = true;
    }
  }

  void take() {
    auto in = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (in < 0)
      return;
    auto out = make_socket();
    auto address = local(target_);
    if (refusing_
        || ::connect(out, reinterpret_cast<sockaddr*>(&address), sizeof address)
             != 0) {
      ::close(in);
      ::close(out);
      return;
    }
    pairs_.push_back({{in, out}, {}, false});
  }

  int listener_;
  std::array<int, 2> wake_{};
  std::list<pair> pairs_;
  std::atomic<bool> end_{false};
  std::thread thread_;
};

relay::relay() : loop_(std::make_unique<loop>()) {
  // nop
}

relay::~relay() = default;

std::uint16_t relay::port() const noexcept {
  return loop_->port_;
}

void relay::lead_to(std::uint16_t port) {
  loop_->target_ = port;
}

void relay::refuse() {
  loop_->refusing_ = true;
  loop_->wake();
}

void relay::hold() {
  loop_->holding_ = true;
  loop_->wake();
}

void relay::heal() {
  loop_->refusing_ = false;
  loop_->holding_ = false;
  loop_->wake();
}

} // namespace evented::test
