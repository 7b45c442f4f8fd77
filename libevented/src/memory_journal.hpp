#pragma once

#include "memory_outbox.hpp"

#include <evented/store.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace evented::detail {

/// An event with the entity that it belongs to.
struct entry {
  entity_id id;
  uuid append_id;
  stored_event event;
};

using entity_key = std::pair<std::string, entity_id>;

/// What is remembered of a command.
struct command_entry {
  uuid append_id;
  timestamp created_at;
  remembered_command value;
};

inline timestamp now() {
  return std::chrono::time_point_cast<timestamp::duration>(
    std::chrono::system_clock::now());
}

/// The journal of all sessions. Locked by whoever works on it, also while a
/// listener runs: as with PostgreSQL, nobody sees what it may yet veto.
struct memory_journal {
  std::mutex mutex;
  /// The highest sequence number drawn, stored or not.
  std::uint64_t last = 0;
  /// The first numbers of commits that are under way.
  std::set<std::uint64_t> open;
  /// By type, in the order of seq_no.
  std::map<std::string, std::vector<entry>, std::less<>> entries;
  /// The sequence numbers of an entity's events; version 1 comes first.
  std::map<entity_key, std::vector<std::uint64_t>> histories;
  std::map<entity_key, std::map<std::string, command_entry>> commands;
  /// Ordered by version.
  std::map<entity_key, std::map<std::uint64_t, stored_snapshot>> snapshots;
  /// By type.
  std::map<std::string, std::set<event_shape>, std::less<>> shapes;
  memory_outbox outbox;

  const std::vector<std::uint64_t>& history(const std::string& type_name,
                                            const entity_id& id) const {
    static const std::vector<std::uint64_t> none;
    auto it = histories.find({type_name, id});
    return it == histories.end() ? none : it->second;
  }

  [[nodiscard]] std::uint64_t frontier() const {
    return open.empty() ? last : *open.begin() - 1;
  }

  /// Returns the first of `from` above `seq_no`.
  static std::vector<entry>::const_iterator
  after(const std::vector<entry>& from, std::uint64_t seq_no) {
    return std::upper_bound(
      from.begin(), from.end(), seq_no,
      [](std::uint64_t x, const entry& y) { return x < y.event.seq_no; });
  }

  static const entry& at(const std::vector<entry>& from, std::uint64_t seq_no) {
    return *after(from, seq_no - 1);
  }
};

/// Makes a session of a journal in memory.
std::unique_ptr<store_session>
make_memory_session(std::shared_ptr<memory_journal> where,
                    const journal_options& options, memory_commits how);

} // namespace evented::detail
