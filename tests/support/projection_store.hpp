#pragma once

#include "support/projections.hpp"
#include "support/proxy.hpp"

#include <evented/sql_error.hpp>

#include <latch>
#include <optional>
#include <set>

namespace evented::test {

/// Projections against the database. A process is a session with an owner of its
/// own; what happens between two lines of it is brought about by a gate inside of
/// its transaction, by a raw connection, or by the proxy.
class projection_store : public projections {
protected:
  std::string table(const std::string& name) const {
    return options.schema + "." + name;
  }

  /// Renders the ranges of "p": "0-511@3 512-1023@0".
  std::string ranges(const runner& who, std::int32_t version = 1) {
    std::string result;
    for (auto& x : who->status("p").ranges)
      if (x.key.version == version)
        result += (result.empty() ? "" : " ") + std::to_string(x.slices.first)
                  + "-" + std::to_string(x.slices.last) + "@"
                  + std::to_string(x.seq_no);
    return result;
  }

  /// Checks that ranges share all slices without overlap, and counts them.
  std::size_t partition(const projection_status& x) {
    auto next = 0;
    for (auto& range : x.ranges) {
      EXPECT_EQ(range.slices.first, next);
      EXPECT_EQ(range.key.first, next);
      EXPECT_GE(range.slices.last, range.slices.first);
      next = range.slices.last + 1;
    }
    EXPECT_EQ(next, slice_count);
    return x.ranges.size();
  }

  /// Takes all ranges of a version and handles what waits for them.
  void run_all(const runner& who, std::int32_t version = 1) {
    for (auto& x : who->status("p").ranges) {
      if (x.key.version != version)
        continue;
      auto lease = take(who, x.key.first, version);
      run(who, lease, writing_handler());
    }
  }

  /// Checks that every event of the journal was handled exactly once by a
  /// version of the view, and those of each entity in order.
  void expect_exactly_once(std::int32_t version = 1) {
    auto v = "view_version = " + std::to_string(version);
    EXPECT_EQ(handled_in_order(v), journal());
    EXPECT_EQ(out_of_order(v), "0");
  }

  std::string handled_in_order(const std::string& where) {
    return db.exec("select string_agg(seq_no::text, ' ' order by seq_no) from "
                   + view + " where " + where);
  }

  std::string out_of_order(const std::string& where) {
    return db.exec("select count(*) from (select version, lag(version) over "
                   "(partition by entity_id order by place) as before from "
                   + view + " where " + where
                   + ") as x where version <= before");
  }

  std::string journal() {
    return db.exec("select string_agg(seq_no::text, ' ' order by seq_no) from "
                   + table("event"));
  }

  std::optional<letter_kind> fate(const runner& who, std::uint64_t seq_no,
                                  std::int32_t version = 1) {
    return who->fate({"p", version, 0}, seq_no);
  }

  /// Puts the next event of a range away.
  void park(const runner& who, range_lease& lease) {
    auto x = read(who, lease, 1);
    put_away(*who, x, letter_kind::parked, "no");
    ASSERT_EQ(x.outcome, batch_outcome::committed) << x.error;
    lease = x.lease;
  }
};

/// What cannot be compared with EXPECT_THROW: fenced, and nothing else.
template <class F>
bool is_fenced(F&& f) {
  try {
    f();
    return false;
  } catch (const fenced&) {
    return true;
  }
}

template <class F>
bool loses_connection(F&& f) {
  try {
    f();
    return false;
  } catch (const connection_lost&) {
    return true;
  }
}

} // namespace evented::test
