#include "detail/watchdog.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace evented::detail {

watchdog::watchdog() : thread_([this] { run(); }) {
  // nop
}

watchdog::~watchdog() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void watchdog::run() {
  std::unique_lock guard{mutex_};
  while (!stopping_) {
    auto now = clock::now();
    next_look_ = clock::time_point::max();
    for (auto* x : entries_) {
      if (x->deadline <= now) {
        ::shutdown(x->fd, SHUT_RDWR);
        x->deadline = clock::time_point::max();
      }
      next_look_ = std::min(next_look_, x->deadline);
    }
    if (next_look_ == clock::time_point::max())
      changed_.wait(guard);
    else
      changed_.wait_until(guard, next_look_);
  }
}

watchdog::leash::leash(watchdog& dog, int fd)
  : dog_(&dog), entry_(std::make_unique<entry>()) {
  entry_->fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (entry_->fd < 0)
    throw std::system_error(errno, std::generic_category(), "dup");
  std::lock_guard guard{dog_->mutex_};
  dog_->entries_.push_back(entry_.get());
}

watchdog::leash::leash(leash&& other) noexcept
  : dog_(std::exchange(other.dog_, nullptr)), entry_(std::move(other.entry_)) {
  // nop
}

watchdog::leash& watchdog::leash::operator=(leash&& other) noexcept {
  std::swap(dog_, other.dog_);
  std::swap(entry_, other.entry_);
  return *this;
}

watchdog::leash::~leash() {
  if (dog_ == nullptr)
    return;
  {
    std::lock_guard guard{dog_->mutex_};
    std::erase(dog_->entries_, entry_.get());
  }
  ::close(entry_->fd);
}

void watchdog::leash::arm(std::chrono::milliseconds limit) {
  auto deadline = clock::now() + limit;
  auto sooner = false;
  {
    std::lock_guard guard{dog_->mutex_};
    entry_->deadline = deadline;
    // Deadlines mostly lie behind the one that the thread waits for, so that
    // a call costs no wake-up.
    sooner = deadline < dog_->next_look_;
    if (sooner)
      dog_->next_look_ = deadline;
  }
  if (sooner)
    dog_->changed_.notify_one();
}

void watchdog::leash::disarm() {
  std::lock_guard guard{dog_->mutex_};
  entry_->deadline = clock::time_point::max();
}

} // namespace evented::detail
