#include "chaos/nemesis/vault_process.hpp"

#include "chaos/application.hpp"

#include <signal.h>
#include <sstream>

namespace evented::test::nemesis {

// -- the talk -----------------------------------------------------------------

namespace {

/// Stands for what is not there.
constexpr auto nothing = "-";

std::string or_nothing(const std::string& x) {
  return x.empty() ? nothing : x;
}

std::optional<std::string> unless_nothing(const std::string& x) {
  return x == nothing ? std::nullopt : std::optional{x};
}

} // namespace

std::string to_words(const call& x) {
  std::ostringstream out;
  out << x.number << ' ' << x.verb << ' ' << x.entity << ' ' << x.key << ' '
      << x.amount << ' ' << x.parts << ' ' << or_nothing(x.id) << ' '
      << (x.expected ? std::to_string(*x.expected) : nothing);
  return out.str();
}

call to_call(const std::vector<std::string>& words) {
  call result;
  result.number = std::stoull(words.at(0));
  result.verb = words.at(1);
  result.entity = std::stoll(words.at(2));
  result.key = std::stoull(words.at(3));
  result.amount = std::stoll(words.at(4));
  result.parts = std::stoull(words.at(5));
  result.id = unless_nothing(words.at(6)).value_or("");
  if (auto expected = unless_nothing(words.at(7)))
    result.expected = std::stoull(*expected);
  return result;
}

std::string to_words(std::uint64_t call, const reply& x) {
  std::ostringstream out;
  out << call << ' ' << x.as << ' ' << x.version << ' ' << x.seq_no << ' '
      << (x.total ? std::to_string(*x.total) : nothing) << ' ';
  for (auto c : x.text)
    out << (c == '\n' ? ' ' : c);
  return out.str();
}

// -- the process --------------------------------------------------------------

vault_process::vault_process(std::string name, std::vector<std::string> args,
                             std::vector<std::string> environment,
                             recorder& book)
  : name_(std::move(name)),
    book_(book),
    process_(
      [&] {
        args.insert(args.begin(), "vaults");
        return args;
      }(),
      std::move(environment)),
    listener_([this] { listen(); }) {
  // nop
}

vault_process::~vault_process() {
  process_.kill();
  listener_.join();
}

reply vault_process::ask(call x) {
  x.process = name_;
  {
    std::lock_guard guard{mutex_};
    if (gone_)
      return {"lost", 0, 0, std::nullopt, "not sent"};
    book_.invoked(x);
    open_.emplace(x.number, std::nullopt);
  }
  process_.tell(to_words(x));
  std::unique_lock guard{mutex_};
  auto& answer = open_.at(x.number);
  changed_.wait_for(guard, 2 * patience, [&] { return answer.has_value(); });
  auto result = answer.value_or(reply{});
  open_.erase(x.number);
  return result;
}

std::string vault_process::kill() {
  auto how = process_.kill();
  // Its last words are in the pipe.
  std::unique_lock guard{mutex_};
  changed_.wait(guard, [this] { return gone_.load(); });
  return how;
}

void vault_process::pause() {
  if (auto pid = process_.pid(); pid != 0)
    ::kill(pid, SIGSTOP);
}

void vault_process::resume() {
  if (auto pid = process_.pid(); pid != 0)
    ::kill(pid, SIGCONT);
}

std::string vault_process::end() {
  process_.tell("end");
  return process_.wait(std::chrono::seconds{60});
}

void vault_process::listen() {
  while (auto line = process_.hear(std::chrono::milliseconds{-1}))
    take(*line);
  std::lock_guard guard{mutex_};
  gone_ = true;
  for (auto& [number, answer] : open_)
    if (!answer) {
      answer = reply{"lost", 0, 0, std::nullopt, {}};
      book_.replied(number, *answer);
    }
  changed_.notify_all();
}

void vault_process::take(const std::string& line) {
  if (line == "ready") {
    ready_ = true;
    return;
  }
  std::istringstream in{line};
  std::uint64_t number = 0;
  reply x;
  std::string total;
  in >> number >> x.as >> x.version >> x.seq_no >> total;
  std::getline(in >> std::ws, x.text);
  if (auto there = unless_nothing(total))
    x.total = std::stoll(*there);
  std::lock_guard guard{mutex_};
  // A second one too: whoever reads the history refuses it.
  book_.replied(number, x);
  auto found = open_.find(number);
  if (found == open_.end())
    return;
  if (x.as == "accepted")
    ++accepted_;
  found->second = std::move(x);
  changed_.notify_all();
}

} // namespace evented::test::nemesis
