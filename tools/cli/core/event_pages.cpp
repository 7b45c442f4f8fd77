#include "event_pages.hpp"

#include "detail/event_query.hpp"
#include "failure.hpp"
#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace evented::cli {

namespace {

template <class T>
T big_endian(std::string_view bytes) noexcept {
  std::uint64_t result = 0;
  for (auto c : bytes)
    result = result << 8 | static_cast<unsigned char>(c);
  return static_cast<T>(result);
}

/// jsonb in the binary format has its version before its text.
std::string_view jsonb(std::string_view bytes) noexcept {
  return bytes.substr(1);
}

} // namespace

std::int64_t read_int64(std::string_view bytes) noexcept {
  return big_endian<std::int64_t>(bytes);
}

std::int32_t read_int32(std::string_view bytes) noexcept {
  return big_endian<std::int32_t>(bytes);
}

std::int16_t read_int16(std::string_view bytes) noexcept {
  return big_endian<std::int16_t>(bytes);
}

std::string read_binary_id(std::string_view bytes, id_kind kind) {
  switch (kind) {
  case id_kind::uuid:
    return uuid_text(bytes);
  case id_kind::bigint:
    return std::to_string(read_int64(bytes));
  case id_kind::text:
    break;
  }
  return std::string{bytes};
}

void read_by_index(database& db) {
  for (auto* setting : detail::event_query_settings)
    db.run(std::string{"set "} + setting + " = off");
}

// -- event_pages --------------------------------------------------------------

event_pages::event_pages(journal& from, event_choice what, std::uint64_t after,
                         std::uint64_t up_to, std::size_t page_size)
  : from_(from),
    what_(std::move(what)),
    after_(after),
    up_to_(up_to),
    page_size_(page_size) {
  if (what_.id && what_.types.size() != 1)
    throw failure(exit_code::usage, "an ID needs the one type that it is of");
  if (what_.types.empty())
    what_.types = from_.types();
  over_ = what_.types.empty();
  read_by_index(from_.db);
  build();
  sql_ = select("seq_no, type_name, entity_id, version, slice, event_name, "
                "schema_version, append_id, created_at, event, metadata, "
                "to_jsonb(tags)",
                "asc");
}

void event_pages::build() {
  // The first three change from page to page.
  params_ = {after_, up_to_, page_size_};
  auto add = [this](parameter x) {
    params_.push_back(std::move(x));
    return "$" + std::to_string(params_.size());
  };
  std::string where = " and seq_no > $1::bigint and seq_no <= $2::bigint";
  if (what_.id)
    where += " and entity_id = " + add(to_string(*what_.id)) + "::{id_type}";
  if (what_.versions)
    where += " and version between " + add(what_.versions->first)
             + "::bigint and " + add(what_.versions->second) + "::bigint";
  if (!what_.names.empty()) {
    std::string list;
    for (auto& x : what_.names)
      list += (list.empty() ? "" : ", ") + add(x) + "::text";
    where += " and event_name in (" + list + ")";
  }
  if (what_.since)
    where += " and created_at >= " + add(*what_.since) + "::timestamptz";
  if (what_.before)
    where += " and created_at < " + add(*what_.before) + "::timestamptz";
  for (auto& x : what_.types)
    conditions_.push_back("type_name = " + add(x) + "::text" + where);
}

std::string event_pages::select(const std::string& columns,
                                const std::string& direction) const {
  // The versions of an entity have the same order as its numbers.
  auto order = (what_.id ? " order by version " : " order by seq_no ")
               + direction + " limit $3::bigint";
  std::string scans;
  for (auto& x : conditions_)
    scans += (scans.empty() ? "" : " union all ")
             + ("(select * from {schema}.event where " + x + order + ")");
  return from_.sql("select " + columns + " from (" + scans + ") as e" + order);
}

bool event_pages::next(const std::function<void(const event_view&)>& f) {
  if (over_)
    return false;
  params_[0] = after_;
  params_[1] = up_to_;
  std::size_t count = 0;
  from_.db.stream(sql_, params_, [&](const result& row) {
    auto x = read(row);
    ++count;
    after_ = static_cast<std::uint64_t>(x.seq_no);
    f(x);
  });
  over_ = count < page_size_;
  return !over_;
}

event_view event_pages::read(const result& row) const {
  event_view x;
  x.seq_no = read_int64(row.bytes(0, 0));
  x.type = row.bytes(0, 1);
  x.id = read_binary_id(row.bytes(0, 2), from_.options.ids);
  x.version = read_int64(row.bytes(0, 3));
  x.slice = read_int16(row.bytes(0, 4));
  x.name = row.bytes(0, 5);
  x.schema_version = read_int32(row.bytes(0, 6));
  x.append_id = row.bytes(0, 7);
  x.created_at = read_int64(row.bytes(0, 8));
  x.payload = row.bytes(0, 9);
  if (from_.options.payloads == codec::json)
    x.payload = jsonb(x.payload);
  if (!row.null(0, 10))
    x.metadata = jsonb(row.bytes(0, 10));
  if (!row.null(0, 11))
    x.tags = jsonb(row.bytes(0, 11));
  return x;
}

// -- looking back -------------------------------------------------------------

std::uint64_t event_pages::before_last() {
  if (over_ || page_size_ == 0)
    return up_to_;
  params_[0] = after_;
  params_[1] = up_to_;
  params_[2] = page_size_;
  auto found = from_.db.run("select min(seq_no) from ("
                              + select("seq_no", "desc") + ") as found",
                            params_);
  // Where there is nothing, there is nothing to look through again.
  return found.null(0, 0) ? up_to_
                          : static_cast<std::uint64_t>(found.number(0, 0)) - 1;
}

std::uint64_t before_last(journal& x, const event_choice& what,
                          std::uint64_t after, std::uint64_t up_to,
                          std::uint64_t count) {
  return event_pages{x, what, after, up_to, count}.before_last();
}

// -- writing ------------------------------------------------------------------

void append_event(std::string& to, const event_view& x,
                  const journal_options& options) {
  auto number = [&to](const char* key, std::int64_t value) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    to += key;
    to.append(digits, end);
  };
  number("{\"seq_no\":", x.seq_no);
  to += ",\"type\":";
  append_json(to, x.type);
  to += ",\"id\":";
  if (options.ids == id_kind::bigint)
    to += x.id;
  else
    append_json(to, x.id);
  number(",\"version\":", x.version);
  number(",\"slice\":", x.slice);
  to += ",\"name\":";
  append_json(to, x.name);
  number(",\"schema_version\":", x.schema_version);
  to += ",\"append_id\":\"";
  to += uuid_text(x.append_id);
  to += "\",\"created_at\":\"";
  append_time(to, x.created_at);
  to += "\",\"event\":";
  if (options.payloads == codec::json)
    to += x.payload;
  else
    append_base64(to, x.payload);
  if (x.metadata) {
    to += ",\"metadata\":";
    to += *x.metadata;
  }
  if (x.tags) {
    to += ",\"tags\":";
    to += *x.tags;
  }
  to += '}';
}

} // namespace evented::cli
