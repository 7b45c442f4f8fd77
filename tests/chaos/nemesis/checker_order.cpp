// Whether the answers agree with real time.
//
// The journal puts the commands of an entity into an order, and every other
// answer tells the version that it rests on: it belongs behind that command and
// before the next. So there is one order to try, and it is linearizable exactly
// where nothing that began after something else was answered belongs before it.

#include "chaos/nemesis/checking.hpp"

#include <algorithm>

namespace evented::test::nemesis {

namespace {

/// Something that happened between two moments.
struct step {
  moment begin = 0;
  moment end = never;
  std::uint64_t version = 0;
  bool writes = false;
  const call* by = nullptr;

  [[nodiscard]] std::uint64_t place() const {
    return 2 * version + (writes ? 0 : 1);
  }
};

/// Calls `f(earlier, later)` for each of `to` that belongs before the furthest
/// one of `from` that had ended when it began.
template <class F>
void find_contradictions(std::vector<step> from, std::vector<step> to, F f) {
  auto ends_first = [](auto& a, auto& b) { return a.end < b.end; };
  auto begins_first = [](auto& a, auto& b) { return a.begin < b.begin; };
  std::sort(from.begin(), from.end(), ends_first);
  std::sort(to.begin(), to.end(), begins_first);
  const step* furthest = nullptr;
  auto next = from.begin();
  for (auto& x : to) {
    for (; next != from.end() && next->end < x.begin; ++next)
      if (furthest == nullptr || next->place() > furthest->place())
        furthest = &*next;
    if (furthest != nullptr && furthest->place() > x.place())
      f(*furthest, x);
  }
}

/// Returns when a command that is stored can have taken effect.
step step_of(const command& x, const auto& forgiven) {
  step result{x.first().begun, never, x.events.back()->version, true,
              &x.first()};
  for (auto* one : x.attempts)
    if (answered(*one, "accepted") && !forgiven(*one))
      result.end = std::min(result.end, one->ended);
  return result;
}

/// What happened to one entity.
struct steps {
  /// What is to be in one order with real time.
  std::vector<step> ordered;
  std::vector<step> writes;
  /// Queries of a process's memory, which may be late.
  std::vector<step> memories;
  /// The definite answers of each process.
  std::map<std::string, std::vector<step>> answers;
};

} // namespace

void checking::check_order() {
  auto forgiven_call = [this](const call& x) { return forgiven(x); };
  std::map<std::int64_t, steps> all;
  for (auto& [key, one] : commands_) {
    auto& to = all[one.first().entity];
    if (!one.events.empty()) {
      to.writes.push_back(step_of(one, forgiven_call));
      to.ordered.push_back(to.writes.back());
    }
    // An answer that is remembered was found when it was given first.
    const call* remembered = nullptr;
    for (auto* x : one.attempts) {
      if (!x->answer || forgiven(*x))
        continue;
      auto& told = *x->answer;
      if (told.version > entities_[x->entity].size())
        continue;
      step made{x->begun, x->ended, told.version, false, x};
      if (told.as == "accepted" && events_of(*x) > 0) {
        made.writes = true;
      } else if (x->verb == "ask_memory") {
        if (told.as == "seen")
          to.memories.push_back(made);
      } else if (definite(*x) || told.as == "seen"
                 || told.as == "unexpected_version") {
        if (definite(*x) && !x->id.empty()) {
          if (std::exchange(remembered, x) != nullptr)
            continue;
          made.begin = one.first().begun;
        }
        to.ordered.push_back(made);
      } else {
        continue;
      }
      to.answers[x->process].push_back(made);
    }
  }
  for (auto& [id, one] : all) {
    auto late = [this](const step& earlier, const step& later) {
      if (earlier.version == later.version)
        complain("version " + std::to_string(later.version) + " was told by "
                 + to_string(*earlier.by) + " before " + to_string(*later.by)
                 + ", which made it, was sent");
      else
        complain(to_string(*later.by) + " is at version "
                 + std::to_string(later.version) + ", but version "
                 + std::to_string(earlier.version)
                 + " had been answered before it was sent, by "
                 + to_string(*earlier.by));
    };
    find_contradictions(one.ordered, one.ordered, late);
    find_contradictions(one.memories, one.writes, late);
    for (auto& [process, answers] : one.answers) {
      std::vector<step> own;
      for (auto& x : one.memories)
        if (x.by->process == process)
          own.push_back(x);
      find_contradictions(answers, own, [&](auto& earlier, auto& later) {
        complain(to_string(*later.by) + " was answered with "
                 + to_string(*later.by->answer)
                 + ", but its process had answered version "
                 + std::to_string(earlier.version) + " before");
      });
    }
  }
}

} // namespace evented::test::nemesis
