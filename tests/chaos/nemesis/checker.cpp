#include "chaos/nemesis/checker.hpp"

#include "chaos/nemesis/checking.hpp"

#include <algorithm>
#include <set>

namespace evented::test::nemesis {

checking::checking(const history& x) : history_(x) {
  for (auto& one : x.calls)
    commands_[one.key].attempts.push_back(&one);
  std::vector<const event*> events;
  for (auto& one : x.events)
    events.push_back(&one);
  std::stable_sort(events.begin(), events.end(), [](auto* a, auto* b) {
    return std::pair{a->entity, a->version} < std::pair{b->entity, b->version};
  });
  for (auto* one : events) {
    entities_[one->entity].add(*one);
    if (auto by = commands_.find(one->key); by != commands_.end())
      by->second.events.push_back(one);
  }
  for (auto& [key, one] : commands_)
    if (!one.first().id.empty())
      by_id_[{one.first().entity, one.first().id}].push_back(&one);
}

// -- the journal --------------------------------------------------------------

void checking::check_versions() {
  std::set<std::uint64_t> numbers;
  for (auto& [id, one] : entities_) {
    auto name = "entity " + std::to_string(id);
    std::uint64_t version = 0;
    std::uint64_t seq_no = 0;
    for (auto* x : one.events()) {
      auto at = name + " version " + std::to_string(x->version);
      if (x->version == version)
        complain(at + " stands twice");
      else if (x->version != version + 1)
        complain(name + " has no version " + std::to_string(version + 1));
      if (!numbers.insert(x->seq_no).second)
        complain("seq_no " + std::to_string(x->seq_no) + " stands twice");
      else if (x->seq_no <= seq_no)
        complain("seq_no " + std::to_string(x->seq_no) + " of " + at
                 + " is not above " + std::to_string(seq_no));
      version = x->version;
      seq_no = x->seq_no;
      auto by = commands_.find(x->key);
      if (by == commands_.end()) {
        complain("nobody asked for " + at);
        continue;
      }
      auto& wanted = by->second.first();
      if (wanted.entity != id || events_of(wanted) == 0
          || x->amount
               != (wanted.verb == "add" ? wanted.amount : -wanted.amount))
        complain(at + " is not what " + to_string(wanted) + " asked for");
    }
  }
}

// -- effects ------------------------------------------------------------------

void checking::check_effects() {
  for (auto& [key, one] : commands_) {
    for (auto* x : one.attempts)
      if (!x->answer)
        complain(to_string(*x) + " was never answered");
    if (one.events.empty())
      continue;
    auto name = to_string(one.first());
    auto count = one.events.size();
    if (count != events_of(one.first())) {
      complain(name + " has " + std::to_string(count) + " events instead of "
               + std::to_string(events_of(one.first())));
      continue;
    }
    if (one.events.back()->version - one.events.front()->version + 1 != count)
      complain("the events of " + name + " are torn apart");
    auto maybe
      = std::any_of(one.attempts.begin(), one.attempts.end(), [](auto* x) {
          return !x->answer || answered(*x, "accepted")
                 || answered(*x, "outcome_unknown") || answered(*x, "lost");
        });
    if (!maybe)
      complain(name + " is stored, but was answered with "
               + to_string(*one.last().answer));
  }
}

// -- answers ------------------------------------------------------------------

void checking::check_answers() {
  for (auto& x : history_.calls) {
    if (!x.answer)
      continue;
    check_reason(x);
    if (forgiven(x))
      continue;
    if (x.answer->as == "accepted" && events_of(x) > 0)
      check_accepted(x);
    else if (definite(x) || x.answer->as == "seen"
             || x.answer->as == "unexpected_version")
      check_state(x);
  }
}

void checking::check_reason(const call& x) {
  auto& as = x.answer->as;
  auto may = [&] {
    if (as == "seen")
      return is_query(x);
    if (as == "accepted")
      return x.verb == "add" || x.verb == "take_out";
    if (as == "rejected")
      return x.verb == "take_out";
    if (as == "unexpected_version")
      return x.expected.has_value();
    // A query stores nothing, so there is nothing to be unsure of.
    if (as == "outcome_unknown")
      return !is_query(x);
    if (as == "invalid_event")
      return x.verb == "spoil";
    if (as == "handler_failed")
      return x.verb == "stumble";
    return as == "lost" || as == "unavailable" || as == "conflict"
           || as == "overloaded" || as == "shutting_down";
  };
  if (!may())
    complain(to_string(x) + " was answered with " + to_string(*x.answer)
             + " for no reason");
}

void checking::check_accepted(const call& x) {
  auto told = to_string(x) + " was " + to_string(*x.answer);
  auto& events = commands_[x.key].events;
  if (events.empty()) {
    complain(told + ", but it has 0 events");
    return;
  }
  auto& last = *events.back();
  if (last.version != x.answer->version || last.seq_no != x.answer->seq_no) {
    complain(told + ", but its last event has version "
             + std::to_string(last.version) + ", seq_no "
             + std::to_string(last.seq_no));
    return;
  }
  auto& where = entities_[x.entity];
  if (x.answer->total && last.version <= where.size()
      && *x.answer->total != where.total(last.version))
    complain(told + ", but the total is "
             + std::to_string(where.total(last.version)) + " there");
  if (x.expected && events.front()->version != *x.expected + 1)
    complain(told + ", but expected version " + std::to_string(*x.expected));
}

void checking::check_state(const call& x) {
  auto told = to_string(x) + " was answered with " + to_string(*x.answer);
  auto& where = entities_[x.entity];
  auto version = x.answer->version;
  if (version > where.size()) {
    complain(told + ", but there is no version " + std::to_string(version));
    return;
  }
  if (!where.whole(version))
    complain(told + ", which is in the middle of a command");
  if (x.answer->total && *x.answer->total != where.total(version))
    complain(told + ", but the total is " + std::to_string(where.total(version))
             + " there");
  if (x.answer->as == "rejected" && x.amount <= x.answer->total.value_or(0))
    complain(to_string(x) + " was rejected without a reason");
  if (x.answer->as == "unexpected_version" && x.expected == version)
    complain(told + ", which it expected");
}

// -- commands with an ID ------------------------------------------------------

void checking::check_command_ids() {
  std::set<std::pair<std::int64_t, std::string>> kept;
  for (auto& x : history_.remembered)
    kept.emplace(x.entity, x.id);
  for (auto& [where, several] : by_id_) {
    const command* stored = nullptr;
    for (auto* one : several) {
      const call* told = nullptr;
      for (auto* x : one->attempts) {
        if (!definite(*x) || forgiven(*x))
          continue;
        if (told != nullptr && *told->answer != *x->answer)
          complain(to_string(*x) + " was answered with " + to_string(*x->answer)
                   + ", but was answered with " + to_string(*told->answer)
                   + " before");
        told = told == nullptr ? x : told;
      }
      if (told != nullptr && !kept.contains(where))
        complain(to_string(*told) + " is not remembered");
      if (one->events.empty())
        continue;
      if (stored != nullptr)
        complain(to_string(one->first()) + " took effect besides "
                 + to_string(stored->first()));
      stored = one;
    }
  }
  for (auto& x : history_.remembered)
    check_remembered(x);
}

void checking::check_remembered(const remembered& x) {
  auto told = "remembered as " + x.outcome + " at version "
              + std::to_string(x.version) + ", seq_no "
              + std::to_string(x.seq_no);
  auto found = by_id_.find({x.entity, x.id});
  if (found == by_id_.end()) {
    complain("nobody sent the command ID " + x.id + " to entity "
             + std::to_string(x.entity) + ", which is " + told);
    return;
  }
  auto right = std::any_of(
    found->second.begin(), found->second.end(), [&](const command* one) {
      if (!one->events.empty())
        return x.outcome == "accepted"
               && one->events.back()->version == x.version
               && one->events.back()->seq_no == x.seq_no;
      if (x.outcome == "accepted")
        return events_of(one->first()) == 0;
      auto other = [&](const call* y) {
        return answered(*y, "rejected") && !forgiven(*y)
               && y->answer->version != x.version;
      };
      return std::none_of(one->attempts.begin(), one->attempts.end(), other);
    });
  if (!right)
    complain(to_string(found->second.front()->first()) + " is " + told
             + ", which is not what came of it");
}

// -- all of it ----------------------------------------------------------------

std::vector<std::string> check(const history& x) {
  checking all{x};
  all.check_versions();
  all.check_effects();
  all.check_answers();
  all.check_command_ids();
  all.check_order();
  all.check_view();
  all.check_checkpoints();
  all.check_snapshots();
  return all.take();
}

} // namespace evented::test::nemesis
