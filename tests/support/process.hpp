#pragma once

#include "support/wait.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace evented::test {

/// A program as a process of its own, as its user has it.
class process {
public:
  /// Starts it. Its environment has nothing of EVENTED_*, but `variables`.
  explicit process(const std::string& executable,
                   const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& variables = {}) {
    int out[2];
    int err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0)
      throw std::runtime_error("pipe2 failed");
    std::vector<std::string> argv{executable};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto envp = environment(variables);
    auto argv_pointers = pointers(argv);
    auto envp_pointers = pointers(envp);
    pid_ = ::fork();
    if (pid_ == 0) {
      auto null = ::open("/dev/null", O_RDONLY);
      // Who has started this in the background may let interrupts be ignored.
      ::signal(SIGINT, SIG_DFL);
      ::dup2(null, STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::dup2(err[1], STDERR_FILENO);
      ::execve(argv_pointers[0], argv_pointers.data(), envp_pointers.data());
      ::_exit(127);
    }
    ::close(out[1]);
    ::close(err[1]);
    fds_ = {out[0], err[0]};
  }

  ~process() {
    if (!code_)
      ::kill(pid_, SIGKILL);
    finish();
  }

  process(const process&) = delete;
  process& operator=(const process&) = delete;

  void signal(int number) { ::kill(pid_, number); }

  /// Reads what it writes until `condition(out)` holds, up to half a minute.
  /// Returns whether it did.
  template <class F>
  [[nodiscard]] bool read_until(F&& condition) {
    return wait_until(
      [&] {
        read_some(20);
        return condition(out());
      },
      std::chrono::seconds{30});
  }

  /// Waits for its end and returns its exit code, -1 where a signal ended it.
  int finish() {
    if (!code_) {
      while (read_some(1000)) {
        // nop
      }
      int status = 0;
      while (::wait4(pid_, &status, 0, &usage_) < 0 && errno == EINTR) {
        // nop
      }
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      for (auto fd : fds_)
        ::close(fd);
    }
    return *code_;
  }

  /// Returns how much memory it has had at most, in bytes; at least what this
  /// process had when it started it. To be called after `finish`.
  [[nodiscard]] std::uint64_t peak_memory() const {
    return static_cast<std::uint64_t>(usage_.ru_maxrss) * 1024;
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

  [[nodiscard]] const std::string& out() const { return texts_[0]; }

  [[nodiscard]] const std::string& err() const { return texts_[1]; }

private:
  static std::vector<std::string>
  environment(const std::map<std::string, std::string>& variables) {
    std::vector<std::string> result;
    for (auto** x = environ; *x != nullptr; ++x)
      if (!std::string_view{*x}.starts_with("EVENTED_"))
        result.emplace_back(*x);
    for (auto& [key, value] : variables)
      result.push_back(key + "=" + value);
    return result;
  }

  static std::vector<char*> pointers(std::vector<std::string>& from) {
    std::vector<char*> result;
    for (auto& x : from)
      result.push_back(x.data());
    result.push_back(nullptr);
    return result;
  }

  /// Returns whether there may be more.
  bool read_some(int timeout) {
    std::array<pollfd, 2> xs{pollfd{closed_[0] ? -1 : fds_[0], POLLIN, 0},
                             pollfd{closed_[1] ? -1 : fds_[1], POLLIN, 0}};
    if (closed_[0] && closed_[1])
      return false;
    ::poll(xs.data(), xs.size(), timeout);
    for (std::size_t i = 0; i < xs.size(); ++i) {
      if (xs[i].revents == 0)
        continue;
      char buffer[65536];
      auto n = ::read(fds_[i], buffer, sizeof buffer);
      if (n > 0)
        texts_[i].append(buffer, static_cast<std::size_t>(n));
      else
        closed_[i] = true;
    }
    return true;
  }

  pid_t pid_ = 0;
  std::array<int, 2> fds_{-1, -1};
  std::array<bool, 2> closed_{};
  std::array<std::string, 2> texts_;
  std::optional<int> code_;
  rusage usage_{};
};

} // namespace evented::test
