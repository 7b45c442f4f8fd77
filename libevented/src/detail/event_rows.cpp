#include "detail/event_rows.hpp"

#include "detail/arrays.hpp"

#include <algorithm>
#include <charconv>

namespace evented {

namespace detail {

timestamp microseconds(std::string_view text) {
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return timestamp{std::chrono::microseconds{count}};
}

entity_id read_id(id_kind kind, std::string_view text) {
  switch (kind) {
  case id_kind::uuid:
    return uuid::parse(text).value();
  case id_kind::text:
    return std::string{text};
  case id_kind::bigint:
    break;
  }
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string read_payload(const pqxx::field& x, codec payloads) {
  return payloads == codec::json ? std::string{pq::text(x)}
                                 : parse_bytea(pq::text(x));
}

stored_event read_event(const pqxx::row& row, int from, codec payloads) {
  stored_event result;
  pq::cells in{row, from};
  result.seq_no = pq::number(in.next());
  result.version = pq::number(in.next());
  result.name = pq::text(in.next());
  result.schema_version = static_cast<std::int32_t>(pq::number(in.next()));
  result.created_at = microseconds(pq::text(in.next()));
  result.payload = read_payload(in.next(), payloads);
  result.metadata = pq::text(in.next());
  result.tags = split_tags(pq::text(in.next()));
  return result;
}

read_result read_entries(const pqxx::result& found, const event_query& query,
                         const journal_options& options, std::uint64_t up_to,
                         std::size_t limit) {
  read_result result;
  result.up_to = up_to;
  result.entries.reserve(static_cast<std::size_t>(found.size()));
  for (const auto& row : found) {
    if (row[0].is_null()) {
      // Everything that was looked at is behind us, and no more than that.
      if (pq::number(row[5]) >= query.scan)
        result.up_to = pq::number(row[3]);
      break;
    }
    result.entries.push_back({std::string{pq::text(row[0])},
                              read_id(options.ids, pq::text(row[1])),
                              read_event(row, 2, options.payloads)});
  }
  if (!result.entries.empty() && result.entries.size() >= limit)
    result.up_to = result.entries.back().event.seq_no;
  return result;
}

std::string join_tags(const std::vector<std::string>& tags) {
  std::string result;
  for (auto& tag : tags) {
    if (!result.empty())
      result += '\n';
    result += tag;
  }
  return result;
}

std::vector<std::string> split_tags(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

} // namespace detail

} // namespace evented
