#include "chaos/nemesis/clients.hpp"

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

/// How often somebody with a command ID asks again before giving up.
constexpr auto attempts = 8;

/// Returns whether a client with a command ID should ask again: what it knows
/// then settles nothing.
bool unsettled(const reply& x) {
  return x.as == "lost" || x.as == "outcome_unknown" || x.as == "unavailable"
         || x.as == "conflict" || x.as == "overloaded"
         || x.as == "shutting_down";
}

} // namespace

clients::clients(std::size_t count, std::uint64_t seed, chooser choose)
  : choose_(std::move(choose)) {
  for (std::size_t i = 0; i < count; ++i)
    threads_.emplace_back([this, i, seed](const std::stop_token& stopped) {
      work(stopped, i, seed + i);
    });
}

clients::~clients() {
  for (auto& x : threads_)
    x.request_stop();
  threads_.clear();
}

void clients::work(const std::stop_token& stopped, std::size_t which,
                   std::uint64_t seed) {
  dice from{seed};
  while (!stopped.stop_requested()) {
    pause(stopped, from.between(0ms, 30ms));
    ask(stopped, from, next(from, which));
  }
}

/// Paces a client; ends at once where it is to stop.
void clients::pause(const std::stop_token& stopped,
                    std::chrono::milliseconds time) {
  std::unique_lock guard{mutex_};
  stopping_.wait_for(guard, stopped, time, [] { return false; });
}

call clients::next(dice& from, std::size_t which) {
  call result;
  result.client = "c" + std::to_string(which + 1);
  result.entity = static_cast<std::int64_t>(from.below(entity_count));
  result.key = ++keys_;
  result.amount = static_cast<std::int64_t>(from.between(1, 9));
  auto kind = from.below(100);
  if (kind < 45) {
    result.verb = "add";
    result.parts = kind < 3 ? 0 : kind < 33 ? 1 : from.between(2, 3);
  } else if (kind < 72) {
    result.verb = "take_out";
    result.amount = static_cast<std::int64_t>(from.between(1, 25));
  } else if (kind < 80) {
    result.verb = "ask_memory";
  } else if (kind < 92) {
    result.verb = "ask_journal";
  } else {
    result.verb = kind < 96 ? "spoil" : "stumble";
  }
  if (kind >= 72)
    return result;
  if (from.percent(40))
    result.id = "k" + std::to_string(result.key);
  else if (from.percent(25))
    result.expected = versions_[static_cast<std::size_t>(result.entity)];
  return result;
}

void clients::ask(const std::stop_token& stopped, dice& from,
                  const call& what) {
  for (auto i = 0; i < attempts && !stopped.stop_requested(); ++i) {
    auto whom = choose_(from.any());
    if (whom == nullptr) {
      pause(stopped, 20ms);
      continue;
    }
    auto answer = whom->ask(what);
    if (answer.version > 0) {
      auto& known = versions_[static_cast<std::size_t>(what.entity)];
      auto before = known.load();
      while (before < answer.version
             && !known.compare_exchange_weak(before, answer.version)) {
        // Somebody else has told it something.
      }
    }
    if (what.id.empty() || !unsettled(answer))
      return;
    pause(stopped, from.between(10ms, 300ms));
  }
}

} // namespace evented::test::nemesis
