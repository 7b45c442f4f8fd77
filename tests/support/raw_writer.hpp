#pragma once

#include "support/journals.hpp"

#include <evented/entity_id.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace evented::test {

/// An event as the tests of the frontier write it: they care about its place
/// only.
struct raw_event {
  std::string type;
  std::string id;
  std::uint64_t version = 1;
};

inline std::string to_string(const raw_event& x) {
  return x.type + "/" + x.id + "@" + std::to_string(x.version);
}

/// Calls the functions of a journal with text IDs one by one, in transactions
/// of its own: for interleavings that the library's sessions never make on
/// demand.
class raw_writer {
public:
  raw_writer(const std::string& url, std::string schema)
    : db_(url), schema_(std::move(schema)) {
    // nop
  }

  raw_connection& db() noexcept { return db_; }

  /// Starts a transaction, whatever the database's default.
  void begin() { db_.exec("begin isolation level read committed"); }

  void commit() { db_.exec("commit"); }

  void rollback() { db_.exec("rollback"); }

  void hold_frontier() { db_.exec("select " + schema_ + ".hold_frontier()"); }

  /// The first half of `hold_frontier`.
  std::uint64_t last_value() {
    return std::stoull(db_.exec("select coalesce(pg_sequence_last_value('"
                                + schema_ + ".event_seq_no_seq'), 0)"));
  }

  /// The second half of `hold_frontier`, as if the writer had been asleep since
  /// the first.
  void lock(std::uint64_t value) {
    db_.exec("select pg_advisory_xact_lock_shared(" + schema_
             + ".frontier_class(), " + std::to_string(value % 2147483648U)
             + ")");
  }

  /// Takes the lock and inserts, one event as sessions do it with one. Returns
  /// whether the events were stored; a conflict draws numbers all the same.
  bool append(std::vector<raw_event> events) {
    if (events.size() == 1)
      return db_.exec("select " + event_call(events.front()) + " is not null")
             == "t";
    return db_.exec("select outcome is null from "
                    + append_call(std::move(events)))
           == "t";
  }

  /// Returns the call that `append` makes.
  [[nodiscard]] std::string append_call(std::vector<raw_event> events) const {
    auto rows = columns(events);
    std::string last;
    std::string entity;
    auto entities = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (i + 1 < events.size() && same(events[i], events[i + 1]))
        continue;
      last += (last.empty() ? "" : ",") + std::to_string(i + 1);
      entity += (entity.empty() ? "" : ",") + std::to_string(++entities);
    }
    return schema_ + ".append(" + rows + ", array[" + last + "], array["
           + entity + "], " + no_more_arguments() + ")";
  }

  /// Returns the call that `append` makes for one event.
  [[nodiscard]] std::string event_call(const raw_event& x) const {
    return schema_ + ".append_event('" + x.type + "', '" + x.id + "', "
           + std::to_string(x.version) + ", "
           + std::to_string(slice_of(entity_id{x.id}))
           + "::smallint, 'happened', 1, gen_random_uuid(), '{}', null)";
  }

  /// Inserts without taking the lock, so it must be held.
  void insert(std::vector<raw_event> events) {
    db_.exec("select " + schema_ + ".insert_events(" + columns(events) + ")");
  }

private:
  static bool same(const raw_event& a, const raw_event& b) {
    return a.type == b.type && a.id == b.id;
  }

  /// Sorts the events and returns the arguments that both functions share.
  static std::string columns(std::vector<raw_event>& events) {
    std::sort(events.begin(), events.end(), [](auto& a, auto& b) {
      return std::tie(a.type, a.id, a.version)
             < std::tie(b.type, b.id, b.version);
    });
    auto array = [&](const char* type, auto&& f) {
      std::string result;
      for (std::size_t i = 0; i < events.size(); ++i)
        result += (i == 0 ? "" : ",") + std::string{f(i)};
      return "array[" + result + "]::" + type + "[]";
    };
    auto quoted = [](const std::string& x) { return "'" + x + "'"; };
    std::string result;
    result += array("text", [&](auto i) { return quoted(events[i].type); });
    result += ", ";
    result += array("text", [&](auto i) { return quoted(events[i].id); });
    result += ", " + array("bigint", [&](auto i) {
                return std::to_string(events[i].version);
              });
    result += ", " + array("smallint", [&](auto i) {
                return std::to_string(slice_of(entity_id{events[i].id}));
              });
    result += ", " + array("text", [](auto) { return "'happened'"; });
    result += ", " + array("integer", [](auto) { return "1"; });
    result += ", " + array("uuid", [](auto) { return "gen_random_uuid()"; });
    result += ", " + array("text", [](auto) { return "'{}'"; });
    result += ", " + array("text", [](auto) { return "null"; });
    result += ", '{}', ";
    result += array("boolean", [&](auto i) {
      return i == 0 || !same(events[i - 1], events[i]) ? "true" : "false";
    });
    return result;
  }

  raw_connection db_;
  std::string schema_;
};

} // namespace evented::test
