#include "detail/watchdog.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::literals;

using evented::detail::watchdog;

namespace {

/// Two sockets that talk to each other.
class pair {
public:
  pair() {
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds_) != 0)
      throw std::runtime_error("socketpair");
  }

  ~pair() {
    close_first();
    ::close(fds_[1]);
  }

  pair(const pair&) = delete;
  pair& operator=(const pair&) = delete;

  int first() const { return fds_[0]; }

  void close_first() {
    if (fds_[0] >= 0)
      ::close(fds_[0]);
    fds_[0] = -1;
  }

  /// Waits until the first socket was shut down; returns whether it was.
  bool cut_within(std::chrono::milliseconds limit) const {
    pollfd x{fds_[1], POLLIN, 0};
    if (::poll(&x, 1, static_cast<int>(limit.count())) != 1)
      return false;
    char byte = 0;
    return ::read(fds_[1], &byte, 1) == 0;
  }

  bool works() const {
    char byte = 'x';
    return ::send(fds_[0], &byte, 1, MSG_NOSIGNAL) == 1
           && ::read(fds_[1], &byte, 1) == 1;
  }

private:
  int fds_[2] = {-1, -1};
};

} // namespace

TEST(watchdog, cuts_a_connection_at_its_deadline) {
  watchdog dog;
  pair sockets;
  watchdog::leash leash{dog, sockets.first()};
  auto begin = watchdog::clock::now();
  leash.arm(50ms);
  EXPECT_TRUE(sockets.cut_within(5s));
  EXPECT_GE(watchdog::clock::now() - begin, 50ms);
  EXPECT_FALSE(sockets.works());
}

TEST(watchdog, lets_a_connection_be_that_was_disarmed) {
  watchdog dog;
  pair sockets;
  watchdog::leash leash{dog, sockets.first()};
  leash.arm(50ms);
  leash.disarm();
  EXPECT_FALSE(sockets.cut_within(150ms));
  EXPECT_TRUE(sockets.works());
}

TEST(watchdog, counts_from_the_last_time_that_it_was_armed) {
  watchdog dog;
  pair sockets;
  watchdog::leash leash{dog, sockets.first()};
  leash.arm(1ms);
  leash.disarm();
  leash.arm(1h);
  EXPECT_FALSE(sockets.cut_within(100ms));
  leash.arm(10ms);
  EXPECT_TRUE(sockets.cut_within(5s));
}

TEST(watchdog, wakes_up_earlier_for_a_nearer_deadline) {
  watchdog dog;
  pair far;
  pair near;
  watchdog::leash one{dog, far.first()};
  one.arm(1h);
  watchdog::leash two{dog, near.first()};
  two.arm(20ms);
  EXPECT_TRUE(near.cut_within(5s));
  EXPECT_FALSE(far.cut_within(20ms));
  EXPECT_TRUE(far.works());
}

TEST(watchdog, does_not_touch_another_socket_that_got_the_same_number) {
  watchdog dog;
  pair sockets;
  auto number = sockets.first();
  watchdog::leash leash{dog, number};
  leash.arm(50ms);
  sockets.close_first();
  // The lowest free number is the one that was just closed.
  pair others;
  ASSERT_EQ(others.first(), number);
  EXPECT_TRUE(sockets.cut_within(5s));
  EXPECT_TRUE(others.works());
}

TEST(watchdog, forgets_a_connection_whose_leash_is_gone) {
  watchdog dog;
  pair sockets;
  {
    watchdog::leash leash{dog, sockets.first()};
    leash.arm(30ms);
  }
  EXPECT_FALSE(sockets.cut_within(100ms));
  EXPECT_TRUE(sockets.works());
}

TEST(watchdog, holds_on_when_its_leash_is_moved) {
  watchdog dog;
  pair sockets;
  watchdog::leash leash;
  leash = watchdog::leash{dog, sockets.first()};
  leash.arm(20ms);
  auto moved = std::move(leash);
  EXPECT_TRUE(sockets.cut_within(5s));
}

TEST(watchdog, serves_many_threads) {
  watchdog dog;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&dog] {
      pair sockets;
      for (int round = 0; round < 50; ++round) {
        watchdog::leash leash{dog, sockets.first()};
        for (int call = 0; call < 20; ++call) {
          leash.arm(1h);
          leash.disarm();
        }
      }
      EXPECT_TRUE(sockets.works());
      watchdog::leash leash{dog, sockets.first()};
      leash.arm(5ms);
      EXPECT_TRUE(sockets.cut_within(5s));
    });
  for (auto& thread : threads)
    thread.join();
}
