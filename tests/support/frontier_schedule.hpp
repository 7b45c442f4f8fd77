#pragma once

#include "support/journal_reader.hpp"
#include "support/raw_writer.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace evented::test {

/// How a reader of a schedule finds the frontier.
enum class look_order : std::uint8_t {
  /// As the journal's function does.
  function,
  /// By hand, in the right order; writers go on between the two looks.
  sequence_first,
  /// By hand, in the wrong order.
  locks_first,
};

/// Five writers with transactions of their own and two readers, who take their
/// steps one after the other, in an order that depends on a seed only. Serves
/// for many schedules, of which each leaves no transaction open.
class frontier_schedule {
public:
  // -- constructors, destructors, and assignment operators --------------------

  /// The first reader reads all types and calls the journal's function, the
  /// second one two of the three types and looks as `second` says.
  frontier_schedule(const journal_options& options, store_session& session,
                    look_order second)
    : schema_(options.schema),
      db_(options.url.reveal()),
      eye_(options.url.reveal(), options.schema) {
    for (auto& x : writers_)
      x.raw = std::make_unique<raw_writer>(options.url.reveal(), schema_);
    readers_.push_back({{session, {.types = {"a", "b", "c"}}}, {}, {}, {}});
    readers_.push_back({{session, {.types = {"a", "c"}, .names = {"happened"}}},
                        second,
                        {},
                        {}});
    for (auto& x : readers_)
      x.reader.catch_up();
  }

  // -- running ----------------------------------------------------------------

  /// Runs the schedule of this seed. Returns what is wrong, an empty text where
  /// nothing is.
  std::string run(std::uint64_t seed) {
    seed_ = seed;
    random_.seed(seed);
    log_ = {};
    versions_.clear();
    // A schedule depends on its seed only, and a lock must not be older than
    // 2^30 numbers.
    for (auto& x : writers_)
      x.peeked.reset();
    for (auto& x : readers_)
      x.reader.start_over();
    for (auto steps = 15 + pick(30); steps > 0; --steps) {
      if (pick(3) == 0)
        reader_step();
      else
        writer_step(pick(writers_.size()));
    }
    for (std::size_t i = 0; i < writers_.size(); ++i) {
      if (writers_[i].open)
        end(i, pick(3) != 0);
      reader_step();
    }
    std::string result;
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      auto& x = readers_[i];
      x.sequence.reset();
      x.held.reset();
      x.reader.catch_up(1 + pick(7));
      auto found = x.reader.compare(db_, schema_);
      if (!found.empty())
        result += "reader " + std::to_string(i) + ":\n" + found;
    }
    return result;
  }

  /// Returns the steps of the last schedule, for a human.
  [[nodiscard]] std::string log() const {
    return "EVENTED_SEED=" + std::to_string(seed_) + "\n" + log_.str();
  }

private:
  using entity = std::pair<std::string, std::string>;
  using version_map = std::map<entity, std::uint64_t>;

  /// What a savepoint brings back.
  struct saved {
    version_map versions;
    bool held = false;
  };

  struct writer {
    std::unique_ptr<raw_writer> raw;
    bool open = false;
    /// What the sequence was when this writer last looked.
    std::optional<std::uint64_t> peeked = std::nullopt;
    /// The entities that its transaction has touched, and whether it holds the
    /// frontier.
    saved now = {};
    std::vector<saved> savepoints = {};
  };

  struct follower {
    journal_reader reader;
    look_order order = look_order::function;
    std::optional<std::uint64_t> sequence = std::nullopt;
    std::optional<std::string> held = std::nullopt;
  };

  std::size_t pick(std::size_t n) {
    return static_cast<std::size_t>(random_() % n);
  }

  template <class... Ts>
  void note(const Ts&... xs) {
    ((log_ << xs), ...) << '\n';
  }

  // -- readers ----------------------------------------------------------------

  void reader_step() {
    auto i = pick(readers_.size());
    auto& x = readers_[i];
    if (pick(2) == 0) {
      auto limit = 1 + pick(7);
      x.reader.read(limit);
      note("reader ", i, ": read ", limit, ", at ", x.reader.checkpoint());
    } else if (x.order == look_order::function) {
      x.reader.look();
      note("reader ", i, ": frontier");
    } else if (x.order == look_order::sequence_first) {
      if (!x.sequence) {
        x.sequence = eye_.last_value();
        note("reader ", i, ": sequence is ", *x.sequence);
      } else {
        auto held = look_at_locks(*x.sequence);
        note("reader ", i, ": locks hold ", held);
        x.reader.look(held.empty() ? *x.sequence : std::stoull(held));
        x.sequence.reset();
      }
    } else {
      if (!x.held) {
        x.held = look_at_locks(eye_.last_value());
        note("reader ", i, ": locks hold ", *x.held);
      } else {
        auto sequence = eye_.last_value();
        note("reader ", i, ": sequence is ", sequence);
        x.reader.look(x.held->empty() ? sequence : std::stoull(*x.held));
        x.held.reset();
      }
    }
  }

  /// Returns the lowest number that a lock stands for, empty where there is
  /// none.
  std::string look_at_locks(std::uint64_t sequence) {
    auto s = std::to_string(sequence) + "::bigint";
    return db_.exec("select least(" + s + ", " + s + " + min(((objid::bigint - "
                    + s
                    + " + 1073741824) % 2147483648 + 2147483648) % 2147483648 "
                      "- 1073741824)) from pg_locks where locktype = "
                      "'advisory' and classid = '"
                    + schema_
                    + ".event'::regclass and objsubid = 2 and granted "
                      "having count(*) > 0");
  }

  // -- writers ----------------------------------------------------------------

  void writer_step(std::size_t i) {
    auto& x = writers_[i];
    if (!x.open) {
      switch (pick(6)) {
      case 0:
        x.peeked = x.raw->last_value();
        note("writer ", i, ": sequence is ", *x.peeked);
        break;
      case 1:
      case 2:
        append(i, true);
        break;
      case 3:
        conflict(i);
        break;
      default:
        x.raw->begin();
        x.open = true;
        note("writer ", i, ": begin");
      }
      return;
    }
    switch (pick(11)) {
    case 0:
      x.raw->hold_frontier();
      x.now.held = true;
      note("writer ", i, ": hold_frontier");
      break;
    case 1:
      x.peeked = x.raw->last_value();
      note("writer ", i, ": sequence is ", *x.peeked);
      break;
    case 2:
      if (x.peeked) {
        x.raw->lock(*x.peeked);
        note("writer ", i, ": lock ", *x.peeked);
        x.peeked.reset();
        x.now.held = true;
      }
      break;
    case 3:
      if (x.savepoints.size() < 3) {
        x.savepoints.push_back(x.now);
        x.raw->db().exec("savepoint s" + std::to_string(x.savepoints.size()));
        note("writer ", i, ": savepoint s", x.savepoints.size());
      }
      break;
    case 4:
      if (!x.savepoints.empty()) {
        auto name = "s" + std::to_string(x.savepoints.size());
        x.raw->db().exec("rollback to " + name + "; release " + name);
        x.now = x.savepoints.back();
        x.savepoints.pop_back();
        note("writer ", i, ": rollback to and release ", name);
      }
      break;
    case 5:
      if (!x.savepoints.empty()) {
        auto name = "s" + std::to_string(x.savepoints.size());
        x.raw->db().exec("release " + name);
        x.savepoints.pop_back();
        note("writer ", i, ": release ", name);
      }
      break;
    case 6:
      end(i, true);
      break;
    case 7:
      end(i, false);
      break;
    default:
      append(i, !x.now.held || pick(2) == 0);
    }
  }

  /// Appends with the journal's function, or inserts where the lock is held.
  void append(std::size_t i, bool whole) {
    auto& x = writers_[i];
    std::vector<raw_event> events;
    version_map versions = x.now.versions;
    for (auto count = 1 + pick(3); count > 0; --count) {
      entity key{std::string(1, "abc"[pick(3)]),
                 std::to_string(seed_) + "-" + std::to_string(pick(4))};
      if (taken(key, i))
        continue;
      auto& version = versions.emplace(key, versions_[key]).first->second;
      events.push_back({key.first, key.second, ++version});
    }
    if (events.empty())
      return;
    std::string text;
    for (auto& event : events)
      text += " " + to_string(event);
    note("writer ", i, whole ? ": append" : ": insert", text);
    if (!whole)
      x.raw->insert(events);
    else if (!x.raw->append(events))
      throw std::runtime_error("an append failed:" + text);
    if (x.open)
      x.now.versions = versions;
    else
      for (auto& [key, version] : versions)
        versions_[key] = version;
  }

  /// Appends what is there already: draws numbers, stores nothing.
  void conflict(std::size_t i) {
    for (auto& [key, version] : versions_) {
      if (version == 0 || taken(key, i))
        continue;
      note("writer ", i, ": conflict");
      if (writers_[i].raw->append({{key.first, key.second, version}}))
        throw std::runtime_error("the same version was stored twice");
      return;
    }
  }

  void end(std::size_t i, bool commit) {
    auto& x = writers_[i];
    note("writer ", i, commit ? ": commit" : ": rollback");
    if (commit) {
      x.raw->commit();
      for (auto& [key, version] : x.now.versions)
        versions_[key] = version;
    } else {
      x.raw->rollback();
    }
    x.open = false;
    x.now = {};
    x.savepoints.clear();
  }

  /// Checks whether another writer would have to be waited for. What was rolled
  /// back to a savepoint is not in the way, nor known any more.
  bool taken(const entity& key, std::size_t i) const {
    for (std::size_t j = 0; j < writers_.size(); ++j)
      if (j != i && writers_[j].now.versions.count(key) != 0)
        return true;
    return false;
  }

  std::string schema_;
  raw_connection db_;
  /// Looks at the sequence for the readers.
  raw_writer eye_;
  std::array<writer, 5> writers_;
  std::vector<follower> readers_;
  std::uint64_t seed_ = 0;
  std::mt19937_64 random_;
  std::ostringstream log_;
  /// The versions that are committed.
  version_map versions_;
};

} // namespace evented::test
