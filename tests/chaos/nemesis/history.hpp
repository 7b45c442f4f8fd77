#pragma once

// What clients asked of an application under faults, what they were told, and
// what the database holds afterwards. Kept as JSON Lines, so that a failed run
// can be read, and checked again without running it:
//
//   {"line":"run","seed":7,"what":"faults one at a time"}
//   {"line":"invoke","call":1,"client":"c1","process":"a1","entity":3,
//    "verb":"add","key":7,"amount":5,"parts":1,"id":"p-7","expect":2}
//   {"line":"reply","call":1,"as":"accepted","version":3,"seq_no":40,"total":9}
//   {"line":"fault","what":"kill_server strikes"}
//   {"line":"failover","synchronous":false}
//   {"line":"checkpoint","range":"totals 0","seq_no":40,"epoch":2}
//   {"line":"event","entity":3,"version":3,"seq_no":40,"key":7,"amount":5}
//   {"line":"remembered","entity":3,"id":"p-7","outcome":"accepted",
//    "version":3,"seq_no":40}
//   {"line":"snapshot","entity":3,"version":3,"total":9}
//   {"line":"handled","seq_no":40}
//   {"line":"total","entity":3,"total":9}
//
// The order of the lines is the order of time: a call is written down before it
// is sent, a reply after it has come. Lines that were observed while the faults
// struck have "mono_us" and "wall_us" besides, microseconds by the two clocks.
//
// "as" is accepted, rejected, seen (a query), unexpected_version, the name of
// another `errc`, or lost: the process was killed before it answered.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace evented::test::nemesis {

/// A place in the order of the lines.
using moment = std::size_t;

inline constexpr moment never = std::numeric_limits<moment>::max();

/// What a client is told.
struct reply {
  std::string as;
  std::uint64_t version = 0;
  std::uint64_t seq_no = 0;
  /// The sum of the state that the answer rests on, where it tells.
  std::optional<std::int64_t> total;
  std::string text;

  friend bool operator==(const reply&, const reply&) = default;
};

/// One attempt to have something done. Attempts at the same thing share `key`.
struct call {
  std::uint64_t number = 0;
  std::string client;
  /// The process that was asked, another name for each life of it.
  std::string process;
  std::int64_t entity = 0;
  /// add, take_out, spoil, stumble, ask_memory or ask_journal.
  std::string verb;
  std::uint64_t key = 0;
  std::int64_t amount = 0;
  std::uint64_t parts = 1;
  /// The command ID, empty where it has none.
  std::string id;
  std::optional<std::uint64_t> expected;

  moment begun = 0;
  moment ended = never;
  std::optional<reply> answer;
};

struct event {
  std::int64_t entity = 0;
  std::uint64_t version = 0;
  std::uint64_t seq_no = 0;
  std::uint64_t key = 0;
  std::int64_t amount = 0;
};

/// What the journal remembers of a command with an ID.
struct remembered {
  std::int64_t entity = 0;
  std::string id;
  std::string outcome;
  std::uint64_t version = 0;
  std::uint64_t seq_no = 0;
};

struct snapshot {
  std::int64_t entity = 0;
  std::uint64_t version = 0;
  std::int64_t total = 0;
};

/// The sum that the view holds of an entity.
struct view_total {
  std::int64_t entity = 0;
  std::int64_t total = 0;
};

/// How far a range of the projection was at that moment.
struct checkpoint {
  std::string range;
  std::uint64_t seq_no = 0;
  std::uint64_t epoch = 0;
  moment at = 0;
};

struct history {
  std::uint64_t seed = 0;
  std::string what;
  std::vector<call> calls;
  std::vector<event> events;
  std::vector<nemesis::remembered> remembered;
  std::vector<snapshot> snapshots;
  /// The numbers of the events in the order in which the view has got them.
  std::vector<std::uint64_t> handled;
  std::vector<view_total> totals;
  std::vector<checkpoint> checkpoints;
  std::vector<std::string> faults;
  /// When a standby that may have missed commits took over.
  std::optional<moment> lossy_failover;
};

/// Reads a history.
/// @throws std::runtime_error with the number of the line that is wrong
history read(std::istream& from);

/// Writes the lines of a history, without the line feed.
std::string to_line(const call& x);
std::string to_line(std::uint64_t call, const reply& x);
std::string to_line(const event& x);
std::string to_line(const remembered& x);
std::string to_line(const snapshot& x);
std::string to_line(const view_total& x);
std::string to_line(const checkpoint& x);
std::string run_line(std::uint64_t seed, std::string_view what);
std::string fault_line(std::string_view what);
std::string failover_line(bool synchronous);
std::string handled_line(std::uint64_t seq_no);

/// Adds the time by both clocks to a line.
std::string stamped(std::string line);

/// For humans.
std::string to_string(const reply& x);
std::string to_string(const call& x);

/// Returns how many calls, answers of each kind, events and so on there are.
std::string summary(const history& x);

} // namespace evented::test::nemesis
