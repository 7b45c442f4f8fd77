#include "chaos/nemesis/plan.hpp"

#include "support/wait.hpp"

#include <algorithm>

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

using clock_type = std::chrono::steady_clock;

std::string first_line(std::string text) {
  return text.substr(0, text.find('\n'));
}

void strike(bed& at, const fault& what, std::uint64_t seed) {
  at.book().fault(what.name + " strikes");
  try {
    dice from{seed};
    what.strike(at, from);
  } catch (const std::exception& e) {
    at.book().fault(what.name + " misses: " + first_line(e.what()));
  }
}

void mend(bed& at, const fault& what) {
  if (what.mend == nullptr)
    return;
  try {
    what.mend(at);
  } catch (const std::exception& e) {
    at.book().fault(what.name + " lasts: " + first_line(e.what()));
    return;
  }
  at.book().fault(what.name + " is mended");
}

void wait_for(clock_type::time_point when) {
  (void)wait_until([&] { return clock_type::now() >= when; }, 1h);
}

} // namespace

std::vector<planned> plan_of_many(const faults& of, std::uint64_t seed,
                                  std::chrono::milliseconds time) {
  dice from{seed};
  std::vector<planned> result;
  std::vector<std::chrono::milliseconds> free(of.size(), 0ms);
  for (auto at = 0ms; at < time; at += from.between(50ms, 600ms)) {
    auto which = from.below(of.size());
    auto lasts = from.between(of[which].least, of[which].most);
    auto own = from.any();
    if (free[which] > at)
      continue;
    free[which] = at + lasts + 1ms;
    result.push_back({at, lasts, which, own});
  }
  return result;
}

std::vector<planned> plan_of_each(const faults& of, std::uint64_t seed) {
  dice from{seed};
  std::vector<planned> result;
  for (std::size_t i = 0; i < of.size(); ++i)
    result.push_back(
      {0ms, from.between(of[i].least, of[i].most), i, from.any()});
  from.shuffle(result);
  return result;
}

void strike_many(bed& at, const faults& of, const std::vector<planned>& plan) {
  struct turn {
    std::chrono::milliseconds at;
    bool strikes;
    const planned* what;
  };
  std::vector<turn> turns;
  for (auto& x : plan) {
    turns.push_back({x.at, true, &x});
    turns.push_back({x.at + x.lasts, false, &x});
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](auto& a, auto& b) { return a.at < b.at; });
  auto begin = clock_type::now();
  for (auto& x : turns) {
    wait_for(begin + x.at);
    if (x.strikes)
      strike(at, of[x.what->which], x.what->seed);
    else
      mend(at, of[x.what->which]);
  }
}

std::string strike_each(bed& at, const faults& of,
                        const std::vector<planned>& plan) {
  std::string result;
  for (auto& x : plan) {
    strike(at, of[x.which], x.seed);
    wait_for(clock_type::now() + x.lasts);
    mend(at, of[x.which]);
    if (auto wrong = at.wait_for_progress(); !wrong.empty())
      return "after " + of[x.which].name + ": " + wrong;
  }
  return {};
}

} // namespace evented::test::nemesis
