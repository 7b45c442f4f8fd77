#include "chaos/worker.hpp"

#include "chaos/application.hpp"

#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/prctl.h>
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

namespace {

journal_options journal_at(const std::string& url, const std::string& schema) {
  journal_options result;
  result.url = url;
  result.schema = schema;
  return result;
}

std::string describe(const application::seen& x) {
  return x.error.empty() ? to_string(x.state) : "error: " + x.error;
}

/// hammer URL SCHEMA ID PREFIX SENDERS MS: says "ready", waits for "go", lets
/// the senders work, tells their answers, then on "look" the account's state.
int hammer(const std::vector<std::string>& args) {
  auto id = uuid::parse(args.at(3)).value();
  application app{journal_at(args.at(1), args.at(2))};
  parent up;
  up.tell("ready");
  if (up.hear().empty())
    return 1;
  ledger book;
  load work{app, {id}, std::stoi(args.at(5)), args.at(4), book};
  pass_time(std::chrono::milliseconds{std::stoi(args.at(6))});
  if (!work.stop()) {
    std::fputs("worker: senders wait for answers in vain\n", stderr);
    return 1;
  }
  up.tell_answers(book);
  while (!up.hear().empty())
    up.tell(describe(app.see(id)));
  return 0;
}

/// teller URL SCHEMA ID: carries out "deposit TOKEN AMOUNT", "withdraw TOKEN
/// AMOUNT" and "look", and tells the answers.
int teller(const std::vector<std::string>& args) {
  auto id = uuid::parse(args.at(3)).value();
  application app{journal_at(args.at(1), args.at(2))};
  parent up;
  up.tell("ready");
  for (;;) {
    auto words = up.hear();
    if (words.empty())
      return 0;
    if (words[0] == "look")
      up.tell(describe(app.see(id)));
    else if (words[0] == "deposit")
      up.tell(
        to_line(app.ask(id, deposit{words.at(1), std::stoll(words.at(2))})));
    else
      up.tell(
        to_line(app.ask(id, withdraw{words.at(1), std::stoll(words.at(2))})));
  }
}

/// Makes the payments from the one that the parent names to the last, each with
/// its number as its ID, and tells each answer.
int payer(const std::vector<std::string>& args) {
  auto id = uuid::parse(args.at(3)).value();
  auto end = std::stoi(args.at(4));
  application app{journal_at(args.at(1), args.at(2))};
  parent up;
  up.tell("ready");
  for (auto n = std::stoi(up.hear().at(0)); n < end; ++n) {
    auto token = std::to_string(n);
    up.tell(to_line(app.ask(id, deposit{token, 1}, command_id{token})));
  }
  up.tell("end");
  up.hear();
  return 0;
}

/// Sends `count` deposits at once, spread over the accounts, and lives until
/// all are answered.
class burst : public caf::event_based_actor {
public:
  burst(caf::actor_config& cfg, caf::actor accounts, std::vector<uuid> ids,
        std::size_t count, ledger& book, std::atomic<bool>& sent)
    : caf::event_based_actor(cfg),
      accounts_(std::move(accounts)),
      ids_(std::move(ids)),
      open_(count),
      book_(book),
      sent_(sent) {
    // nop
  }

  caf::behavior make_behavior() override {
    for (std::size_t i = 0; i < open_; ++i) {
      auto token = "burst." + std::to_string(i);
      auto id = ids_[i % ids_.size()];
      request(accounts_, patience, id, deposit{token, 1})
        .then(
          [this, token, id](const accepted& a) {
            take({token, id, errc::none, a, {}});
          },
          [this, token, id](const caf::error& err) {
            take(refused(token, id, err, evented::render(system(), err)));
          });
    }
    accounts_ = nullptr;
    sent_ = true;
    return {[](int) {}};
  }

private:
  void take(answer x) {
    book_.add(std::move(x));
    if (--open_ == 0)
      quit();
  }

  caf::actor accounts_;
  std::vector<uuid> ids_;
  std::size_t open_;
  ledger& book_;
  std::atomic<bool>& sent_;
};

/// shutdown URL SCHEMA HOW COUNT AFTER: says "warm" when half of the accounts
/// are in memory, waits for "go", sends COUNT commands, and once AFTER of them
/// are answered, ends what HOW says: the "region" by dropping its handle,
/// the same by an "exit" message, or the whole "system".
int shut_down(const std::vector<std::string>& args) {
  auto& how = args.at(3);
  auto count = std::stoul(args.at(4));
  auto after = std::stoul(args.at(5));
  std::vector<uuid> ids;
  for (int i = 0; i < 50; ++i)
    ids.push_back(uuid::v4());
  ledger book;
  std::atomic<bool> sent{false};
  parent up;
  {
    application app{journal_at(args.at(1), args.at(2))};
    // Half of the entities are alive before, the others have to be loaded.
    for (std::size_t i = 0; i < ids.size() / 2; ++i)
      book.add(app.ask(ids[i], deposit{"warm." + std::to_string(i), 1}));
    up.tell("warm");
    if (up.hear().empty())
      return 1;
    auto before = book.size();
    app.system().spawn<burst>(app.accounts(), ids, count, std::ref(book),
                              std::ref(sent));
    auto begun = wait_until(
      [&] { return sent && book.size() >= before + after; }, patience);
    if (!begun) {
      std::fputs("worker: no answers before the shutdown\n", stderr);
      return 1;
    }
    if (how == "exit")
      caf::anon_send_exit(app.accounts(), caf::exit_reason::user_shutdown);
    if (how != "system") {
      app.drop_accounts();
      if (!wait_until([&] { return book.size() == before + count; }, patience))
        std::fputs("worker: commands without an answer\n", stderr);
    }
  }
  up.tell_answers(book);
  return 0;
}

} // namespace

int run_worker(const std::vector<std::string>& args) {
  // Never outlives the tests.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    if (args.at(0) == "hammer")
      return hammer(args);
    if (args.at(0) == "teller")
      return teller(args);
    if (args.at(0) == "payer")
      return payer(args);
    if (args.at(0) == "shutdown")
      return shut_down(args);
    if (args.at(0) == "projection")
      return run_projection(args);
    if (args.at(0) == "courier")
      return run_courier(args);
    if (args.at(0) == "vaults")
      return run_vaults(args);
    if (args.at(0) == "ringer")
      return run_ringer(args);
    std::fprintf(stderr, "worker: unknown task %s\n", args[0].c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "worker: %s\n", e.what());
  }
  return 1;
}

} // namespace evented::test
