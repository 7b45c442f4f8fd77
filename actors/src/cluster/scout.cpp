#include "cluster/scout.hpp"

#include <evented/actors/error.hpp>
#include <evented/actors/seam.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace evented::detail {

namespace {

using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {
    // nop
  }

  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }

  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

/// Returns the error number of an attempt, 0 where it has worked.
int try_one(const addrinfo& to, clock::time_point end) {
  descriptor fd{
    ::socket(to.ai_family, to.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (fd.get() < 0)
    return errno;
  if (::connect(fd.get(), to.ai_addr, to.ai_addrlen) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  pollfd x{fd.get(), POLLOUT, 0};
  for (;;) {
    auto left = std::chrono::ceil<milliseconds>(end - clock::now()).count();
    if (left <= 0)
      return ETIMEDOUT;
    auto n = ::poll(&x, 1, static_cast<int>(left));
    if (n > 0)
      break;
    if (n < 0 && errno != EINTR)
      return errno;
  }
  auto result = 0;
  socklen_t size = sizeof result;
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &result, &size) == 0
           ? result
           : errno;
}

/// Returns why no connection came about, an empty text where one did.
std::string try_all(const std::string& address, std::uint16_t port,
                    milliseconds timeout) {
  auto end = clock::now() + timeout;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (auto rc = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(),
                              &hints, &found);
      rc != 0)
    return ::gai_strerror(rc);
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> all{found, &::freeaddrinfo};
  auto error = 0;
  for (auto* x = found; x != nullptr; x = x->ai_next) {
    error = try_one(*x, end);
    // CAF begins with the first one, which must not keep it waiting.
    if (error == 0 || error == ETIMEDOUT)
      break;
  }
  return error == 0 ? "" : std::generic_category().message(error);
}

class scout_actor : public caf::event_based_actor {
public:
  scout_actor(caf::actor_config& cfg, milliseconds timeout)
    : caf::event_based_actor(cfg), timeout_(timeout) {
    // nop
  }

  const char* name() const override { return "evented.scout"; }

  caf::behavior make_behavior() override {
    return {[this](const std::string& address, std::uint16_t port) {
      quit();
      return try_all(address, port, timeout_);
    }};
  }

private:
  milliseconds timeout_;
};

} // namespace

void scout(caf::event_based_actor* self, const std::string& address,
           std::uint16_t port, milliseconds timeout, std::function<void()> done,
           std::function<void(const caf::error&)> failed) {
  auto to = self->system().spawn<scout_actor, caf::detached>(timeout);
  // Only the name service can take longer than it was told.
  seam::request(
    self, to, timeout * 2,
    [done = std::move(done), failed](const std::string& why) {
      if (why.empty())
        done();
      else
        failed(evented::make_error(errc::unreachable, why));
    },
    [failed](const caf::error& err) { failed(err); }, address, port);
}

} // namespace evented::detail
