#pragma once

// What the parts of the checker share: a history in the order in which they ask.

#include "chaos/nemesis/history.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace evented::test::nemesis {

/// One thing that somebody wanted, and what came of it.
struct command {
  /// In the order in which they were sent; at least one.
  std::vector<const call*> attempts;
  /// Its events, in the order of their versions.
  std::vector<const event*> events;

  [[nodiscard]] const call& first() const { return *attempts.front(); }
  [[nodiscard]] const call& last() const { return *attempts.back(); }
};

/// An entity as its events make it.
class entity {
public:
  void add(const event& x) {
    events_.push_back(&x);
    totals_.push_back(totals_.back() + x.amount);
  }

  /// Returns how many events there are: the version, unless there are holes.
  [[nodiscard]] std::uint64_t size() const { return events_.size(); }

  /// Returns the sum after so many events.
  [[nodiscard]] std::int64_t total(std::uint64_t version) const {
    return totals_[version];
  }

  /// Returns whether this state is one between two commands.
  [[nodiscard]] bool whole(std::uint64_t version) const {
    return version == 0 || version == size()
           || events_[version - 1]->key != events_[version]->key;
  }

  [[nodiscard]] const std::vector<const event*>& events() const {
    return events_;
  }

private:
  std::vector<const event*> events_;
  std::vector<std::int64_t> totals_{0};
};

/// A history with its indexes, and what is wrong with it.
class checking {
public:
  explicit checking(const history& x);

  void check_versions();
  void check_effects();
  void check_answers();
  void check_command_ids();
  void check_order();
  void check_view();
  void check_checkpoints();
  void check_snapshots();

  std::vector<std::string> take() { return std::move(wrong_); }

private:
  void complain(std::string what) { wrong_.push_back(std::move(what)); }

  /// Returns whether a failover may have taken back what came of this call.
  [[nodiscard]] bool forgiven(const call& x) const {
    return history_.lossy_failover && x.begun < *history_.lossy_failover;
  }

  void check_reason(const call& x);
  void check_accepted(const call& x);
  void check_state(const call& x);
  void check_remembered(const remembered& x);

  const history& history_;
  std::vector<std::string> wrong_;
  std::map<std::int64_t, entity> entities_;
  std::map<std::uint64_t, command> commands_;
  std::map<std::pair<std::int64_t, std::string>, std::vector<command*>> by_id_;
};

inline bool is_query(const call& x) {
  return x.verb == "ask_memory" || x.verb == "ask_journal";
}

/// Returns how many events a command has where it is accepted.
inline std::uint64_t events_of(const call& x) {
  return x.verb == "add" ? x.parts : x.verb == "take_out" ? 1 : 0;
}

/// Returns whether this is how a call was answered.
inline bool answered(const call& x, std::string_view as) {
  return x.answer && x.answer->as == as;
}

/// Returns whether an answer settles a command for ever.
inline bool definite(const call& x) {
  return answered(x, "accepted") || answered(x, "rejected");
}

} // namespace evented::test::nemesis
