#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace evented::dev::detail {

namespace fs = std::filesystem;

using arguments = std::vector<std::string>;

[[noreturn]] inline void throw_errno(const std::string& what,
                                     int code = errno) {
  throw std::runtime_error(what + ": " + std::generic_category().message(code));
}

/// Owns a file descriptor.
class descriptor {
public:
  descriptor() = default;

  explicit descriptor(int fd) noexcept : fd_(fd) {
    // nop
  }

  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
    // nop
  }

  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  ~descriptor() { reset(); }

  int get() const noexcept { return fd_; }

  void reset() noexcept {
    if (fd_ >= 0)
      close(std::exchange(fd_, -1));
  }

private:
  int fd_ = -1;
};

/// Waits until `condition()` holds; returns whether it did before `deadline`.
template <class F>
bool wait_for(F&& condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

inline std::string read_file(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Returns the last lines of a text.
inline std::string tail(std::string_view text, int lines = 20) {
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  auto pos = text.size();
  while (pos != std::string_view::npos && lines-- > 0)
    pos = pos == 0 ? std::string_view::npos : text.rfind('\n', pos - 1);
  return std::string{pos == std::string_view::npos ? text
                                                   : text.substr(pos + 1)};
}

/// The account of the operating system that a server runs under.
struct account {
  uid_t uid = geteuid();
  gid_t gid = getegid();
  std::string name = "the own user";

  /// Whether processes need to change their user.
  bool foreign() const noexcept { return uid != geteuid(); }
};

/// Returns the own account, or for root, which PostgreSQL refuses, another.
inline account server_account() {
  account result;
  if (result.uid != 0)
    return result;
  for (const auto* name : {"postgres", "nobody"}) {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16'384);
    if (getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0
        && found && found->pw_uid != 0) {
      result.uid = found->pw_uid;
      result.gid = found->pw_gid;
      result.name = name;
      return result;
    }
  }
  throw std::runtime_error("PostgreSQL does not run as root, and there is "
                           "neither a user postgres nor nobody to run it as");
}

/// Returns `environ` without what would change the behaviour of PostgreSQL's
/// programs or translate their messages.
inline arguments clean_environment() {
  arguments result;
  for (auto** entry = environ; *entry; ++entry) {
    const std::string_view text{*entry};
    if (!text.starts_with("PG") && !text.starts_with("LC_")
        && !text.starts_with("LANG"))
      result.emplace_back(text);
  }
  result.emplace_back("LC_ALL=C");
  return result;
}

inline std::vector<char*> to_argv(arguments& args) {
  std::vector<char*> result;
  for (auto& arg : args)
    result.push_back(arg.data());
  result.push_back(nullptr);
  return result;
}

/// Runs a program under an account and waits for it; returns its exit status.
///
/// It gets a session of its own, so that a Ctrl-C at the terminal does not hit
/// it, and none of the caller's descriptors but `inherited`, as number 3. Its
/// output goes to the file `output`. Safe in a process with several threads.
inline int run(arguments args, const account& who, const fs::path& output,
               int inherited = -1) {
  if (who.foreign()) {
    const arguments prefix{"setpriv", "--reuid=" + std::to_string(who.uid),
                           "--regid=" + std::to_string(who.gid),
                           "--clear-groups"};
    args.insert(args.begin(), prefix.begin(), prefix.end());
  }
  auto env = clean_environment();
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  if (inherited >= 0)
    posix_spawn_file_actions_adddup2(&actions, inherited, 3);
  posix_spawn_file_actions_addclosefrom_np(&actions, inherited >= 0 ? 4 : 3);
  // The server's user may not be able to enter the current directory.
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID
                                          | POSIX_SPAWN_SETSIGMASK
                                          | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const auto code
    = posix_spawnp(&pid, args.front().c_str(), &actions, &attributes,
                   to_argv(args).data(), to_argv(env).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (code != 0)
    throw_errno("cannot run " + args.front(), code);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    // An application that ignores SIGCHLD never gets to see a status. What the
    // program was to bring about is checked by the caller anyway.
    if (errno != EINTR)
      return 0;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

inline std::string proc_file(pid_t pid, std::string_view name) {
  return read_file("/proc/" + std::to_string(pid) + '/' + std::string{name});
}

/// What the kernel says about a process.
struct process_state {
  char state = 'X';
  pid_t parent = 0;
};

inline process_state state_of(pid_t pid) {
  const auto stat = proc_file(pid, "stat");
  // The name, in parentheses, may contain anything: "12 (na) me) S 1 ..".
  const auto end = stat.rfind(')');
  if (end == std::string::npos || stat.size() < end + 5)
    return {};
  return {stat[end + 2], std::atoi(stat.c_str() + end + 4)};
}

/// Returns the processes that a process has started.
inline std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> result;
  for (const auto& entry : fs::directory_iterator{"/proc"}) {
    const auto child = std::atoi(entry.path().filename().c_str());
    if (child > 0 && state_of(child).parent == pid)
      result.push_back(child);
  }
  return result;
}

/// Checks whether a process runs or is a zombie, which nobody has waited for.
inline bool exists(pid_t pid) {
  return kill(pid, 0) == 0 || errno == EPERM;
}

/// Checks whether a process runs.
inline bool alive(pid_t pid) {
  const auto state = state_of(pid).state;
  return state != 'X' && state != 'Z';
}

/// Returns the name of the program that a process runs.
inline std::string name_of(pid_t pid) {
  auto result = proc_file(pid, "comm");
  if (result.ends_with('\n'))
    result.pop_back();
  return result;
}

/// Checks whether a process runs with this argument.
inline bool runs_with(pid_t pid, std::string_view argument) {
  const auto line = proc_file(pid, "cmdline");
  std::string_view rest{line};
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\0'), rest.size());
    if (rest.substr(0, end) == argument)
      return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

} // namespace evented::dev::detail
