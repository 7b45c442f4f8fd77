#pragma once

#include "journal.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evented::cli {

/// Which events are wanted. An event has to pass every member.
struct event_choice {
  /// Empty: all types.
  std::vector<std::string> types;
  /// Needs exactly one type.
  std::optional<entity_id> id;
  /// Empty: all names.
  std::vector<std::string> names;
  /// As PostgreSQL reads them; the first is included, the second is not.
  std::optional<std::string> since;
  std::optional<std::string> before;
  /// The first and the last version that are wanted; need an ID.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> versions = {};
};

/// One event, as it stands in the journal. Views into its row.
struct event_view {
  std::int64_t seq_no = 0;
  std::int64_t version = 0;
  std::int32_t schema_version = 0;
  std::int16_t slice = 0;
  /// Microseconds since 2000-01-01.
  std::int64_t created_at = 0;
  std::string_view type;
  std::string id;
  std::string_view name;
  /// 16 bytes.
  std::string_view append_id;
  std::string_view payload;
  std::optional<std::string_view> metadata;
  /// As a JSON array.
  std::optional<std::string_view> tags;
};

/// Reads events in the order of seq_no, a page at a time: no statement holds the
/// server's old rows for long, and there is only one event at a time here.
class event_pages {
public:
  /// @param after only events above this number
  /// @param up_to only events up to this number, to which the frontier has come
  event_pages(journal& from, event_choice what, std::uint64_t after,
              std::uint64_t up_to, std::size_t page_size = 20'000);

  /// Reads the next page and calls `f` for each of its events. Returns whether
  /// there may be more.
  bool next(const std::function<void(const event_view&)>& f);

  /// Reads all pages that are left.
  void for_each(const std::function<void(const event_view&)>& f) {
    while (next(f)) {
      // nop
    }
  }

  /// Returns the number before the last page, which the server finds from the
  /// end.
  std::uint64_t before_last();

private:
  [[nodiscard]] event_view read(const result& row) const;

  void build();

  /// Returns what selects `columns` of the first page in a direction.
  [[nodiscard]] std::string select(const std::string& columns,
                                   const std::string& direction) const;

  journal& from_;
  event_choice what_;
  std::uint64_t after_;
  std::uint64_t up_to_;
  std::size_t page_size_;
  /// One for each type, of one scan of an index.
  std::vector<std::string> conditions_;
  std::string sql_;
  std::vector<parameter> params_;
  bool over_ = false;
};

/// Returns the number before the last `count` events that are wanted, between
/// `after` and `up_to`.
std::uint64_t before_last(journal& x, const event_choice& what,
                          std::uint64_t after, std::uint64_t up_to,
                          std::uint64_t count);

/// Appends an event as a JSON object: as `events` shows it and `export` writes
/// it.
void append_event(std::string& to, const event_view& x,
                  const journal_options& options);

/// Numbers in PostgreSQL's binary format.
std::int64_t read_int64(std::string_view bytes) noexcept;
std::int32_t read_int32(std::string_view bytes) noexcept;
std::int16_t read_int16(std::string_view bytes) noexcept;

/// Returns the text of an ID in PostgreSQL's binary format.
std::string read_binary_id(std::string_view bytes, id_kind kind);

/// Tells the server, for this session, to read by the indexes: the journal grows
/// faster than its statistics.
void read_by_index(database& db);

} // namespace evented::cli
