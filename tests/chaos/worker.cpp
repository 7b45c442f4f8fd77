#include "chaos/worker.hpp"

#include "support/wait.hpp"

#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace evented::test {

namespace {

/// The descriptors on which a worker talks. Not 0 and 1: a library that writes
/// to its standard output must not spoil the talk.
constexpr int worker_in = 3;
constexpr int worker_out = 4;

std::vector<std::string> split(std::string_view line, char by) {
  std::vector<std::string> result;
  for (;;) {
    auto at = line.find(by);
    result.emplace_back(line.substr(0, at));
    if (at == std::string_view::npos)
      return result;
    line.remove_prefix(at + 1);
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    auto n = ::write(fd, text.data(), text.size());
    if (n <= 0)
      return; // The reader is gone, which it finds out itself.
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Takes a line out of `buffer`, reading more where there is none. A negative
/// deadline waits for ever.
std::optional<std::string> read_line(int fd, std::string& buffer,
                                     std::chrono::milliseconds deadline) {
  using clock = std::chrono::steady_clock;
  auto end = clock::now() + deadline;
  for (;;) {
    if (auto at = buffer.find('\n'); at != std::string::npos) {
      auto line = buffer.substr(0, at);
      buffer.erase(0, at + 1);
      return line;
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      end - clock::now());
    if (deadline.count() >= 0 && left.count() <= 0)
      return std::nullopt;
    pollfd x{fd, POLLIN, 0};
    if (::poll(&x, 1,
               deadline.count() < 0 ? -1 : static_cast<int>(left.count()))
        <= 0)
      continue;
    char bytes[4096];
    auto n = ::read(fd, bytes, sizeof bytes);
    if (n <= 0)
      return std::nullopt;
    buffer.append(bytes, static_cast<std::size_t>(n));
  }
}

} // namespace

// -- the parent's side --------------------------------------------------------

worker::worker(const std::vector<std::string>& args,
               std::vector<std::string> environment) {
  int down[2];
  int up[2];
  if (::pipe2(down, O_CLOEXEC) != 0 || ::pipe2(up, O_CLOEXEC) != 0)
    throw std::runtime_error("cannot make a pipe");
  // Out of the way of the numbers that the child gets.
  auto lift = [](int fd) {
    auto result = ::fcntl(fd, F_DUPFD_CLOEXEC, 10);
    ::close(fd);
    return result;
  };
  auto child_in = lift(down[0]);
  to_ = lift(down[1]);
  from_ = lift(up[0]);
  auto child_out = lift(up[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, child_in, worker_in);
  ::posix_spawn_file_actions_adddup2(&actions, child_out, worker_out);
  std::vector<std::string> words{"chaos_tests", "--worker"};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (auto& x : words)
    argv.push_back(x.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (auto& x : environment)
    envp.push_back(x.data());
  for (auto** x = environ; *x != nullptr; ++x)
    envp.push_back(*x);
  envp.push_back(nullptr);
  auto rc = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr,
                          argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(child_in);
  ::close(child_out);
  if (rc != 0)
    throw std::runtime_error("cannot start a worker process");
}

worker::~worker() {
  if (pid_ != 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(to_);
  ::close(from_);
}

void worker::tell(std::string line) {
  line += '\n';
  write_all(to_, line);
}

std::optional<std::string> worker::hear(std::chrono::milliseconds deadline) {
  return read_line(from_, buffer_, deadline);
}

bool worker::hear_answers(ledger& book) {
  while (auto line = hear()) {
    if (*line == "end")
      return true;
    book.add(to_answer(*line));
  }
  return false;
}

std::string worker::wait(std::chrono::milliseconds deadline) {
  auto status = 0;
  if (!wait_until([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; },
                  deadline))
    return "still running";
  pid_ = 0;
  return WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                           : "signal " + std::to_string(WTERMSIG(status));
}

std::string worker::kill() {
  if (pid_ == 0)
    return "gone before";
  ::kill(pid_, SIGKILL);
  return wait(std::chrono::seconds{30});
}

std::string to_line(const answer& x) {
  std::string result = x.token + '\t' + evented::to_string(x.id) + '\t'
                       + std::to_string(static_cast<int>(x.code)) + '\t';
  if (x.ok)
    result
      += std::to_string(x.ok->version) + ' ' + std::to_string(x.ok->seq_no);
  result += '\t';
  for (auto c : x.text)
    result += c == '\n' || c == '\t' ? ' ' : c;
  return result;
}

answer to_answer(std::string_view line) {
  auto fields = split(line, '\t');
  auto id = fields.size() == 5 ? uuid::parse(fields[1]) : std::nullopt;
  if (!id)
    return {std::string{line}, {}, errc::none, std::nullopt, "garbled"};
  answer result{fields[0], *id, static_cast<errc>(std::stoi(fields[2])),
                std::nullopt, fields[4]};
  if (auto ok = split(fields[3], ' '); ok.size() == 2)
    result.ok = accepted{std::stoull(ok[0]), std::stoull(ok[1])};
  return result;
}

// -- the child's side ---------------------------------------------------------

void parent::tell(std::string line) {
  line += '\n';
  write_all(worker_out, line);
}

void parent::tell_answers(const ledger& book) {
  std::string text;
  for (auto& x : book.answers())
    text += to_line(x) + '\n';
  write_all(worker_out, text);
  tell("end");
}

std::vector<std::string> parent::hear() {
  auto line = read_line(worker_in, buffer_, std::chrono::milliseconds{-1});
  return line ? split(*line, ' ') : std::vector<std::string>{};
}

} // namespace evented::test
