#pragma once

#include "support/journals.hpp"

#include <evented/store.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace evented::test {

/// Follows a journal with text IDs the way a projection does, and remembers
/// what it has seen.
///
///     journal_reader reader{session, {.types = {"thing"}}};
///     reader.look();
///     reader.read(100);
///     reader.catch_up();
///     EXPECT_EQ(reader.compare(db, schema), "");
class journal_reader {
public:
  journal_reader(store_session& session, event_filter filter)
    : session_(&session), filter_(std::move(filter)) {
    // nop
  }

  // -- properties -------------------------------------------------------------

  [[nodiscard]] std::uint64_t checkpoint() const noexcept {
    return checkpoint_;
  }

  [[nodiscard]] std::size_t count() const noexcept { return seen_.size(); }

  // -- reading ----------------------------------------------------------------

  /// Asks for the frontier.
  void look() { look(session_->frontier()); }

  /// Takes what somebody else says about the frontier.
  void look(std::uint64_t frontier) {
    frontier_ = std::max(frontier_, frontier);
  }

  /// Reads a page up to the last look. Returns whether there may be more.
  bool read(std::size_t limit) {
    auto found = session_->read(filter_, checkpoint_, frontier_, limit);
    if (found.entries.size() > limit)
      complaints_ += "a page is longer than its limit\n";
    if (found.up_to < checkpoint_ || found.up_to > frontier_)
      complaints_ += "the checkpoint left the range that was asked for\n";
    for (auto& x : found.entries) {
      if (x.event.seq_no <= checkpoint_ || x.event.seq_no > found.up_to)
        complaints_ += "an event is outside of its page\n";
      seen_.emplace_back(x.event.seq_no, x.type_name + "/" + to_string(x.id)
                                           + "@"
                                           + std::to_string(x.event.version));
    }
    checkpoint_ = found.up_to;
    return checkpoint_ < frontier_;
  }

  /// Looks, and reads to the end.
  void catch_up(std::size_t limit = 100) {
    look();
    while (read(limit)) {
      // nop
    }
  }

  /// Forgets what it has seen; `compare` begins here.
  void start_over() {
    seen_.clear();
    start_ = checkpoint_;
  }

  // -- checking ---------------------------------------------------------------

  /// Compares what was seen with the table. Returns a line for everything that
  /// is wrong, an empty text where every event of these types was seen exactly
  /// once, in the order of seq_no, and with the versions of each entity in
  /// order.
  [[nodiscard]] std::string compare(raw_connection& db,
                                    const std::string& schema) const {
    std::ostringstream out;
    std::size_t count = 0;
    auto complain = [&](const char* what, const std::string& event) {
      if (++count <= 10)
        out << what << ": " << event << '\n';
    };
    std::set<std::string> seen;
    std::map<std::string, std::uint64_t> versions;
    std::uint64_t last = 0;
    for (auto& [seq_no, name] : seen_) {
      auto text = std::to_string(seq_no) + " " + name;
      if (!seen.insert(text).second)
        complain("seen twice", text);
      if (seq_no <= last)
        complain("seen too late", text);
      last = std::max(last, seq_no);
      auto at = name.rfind('@');
      auto version = std::stoull(name.substr(at + 1));
      auto [known, fresh] = versions.emplace(name.substr(0, at), version);
      if (!fresh && version != ++known->second)
        complain("version out of order", text);
    }
    std::string types;
    for (auto& x : filter_.types)
      types += (types.empty() ? "'" : ", '") + x + "'";
    std::istringstream table{
      db.exec("select string_agg(seq_no || ' ' || type_name || '/' || "
              "entity_id || '@' || version, chr(10)) from "
              + schema + ".event where type_name in (" + types
              + ") and seq_no > " + std::to_string(start_))};
    for (std::string line; std::getline(table, line);)
      if (seen.erase(line) == 0)
        complain("lost", line);
    for (auto& x : seen)
      complain("not in the journal", x);
    if (count > 10)
      out << "and " << count - 10 << " more\n";
    return complaints_ + out.str();
  }

private:
  store_session* session_;
  event_filter filter_;
  std::uint64_t start_ = 0;
  std::uint64_t checkpoint_ = 0;
  std::uint64_t frontier_ = 0;
  /// Numbers and what they belong to, in the order in which they came.
  std::vector<std::pair<std::uint64_t, std::string>> seen_;
  std::string complaints_;
};

} // namespace evented::test
