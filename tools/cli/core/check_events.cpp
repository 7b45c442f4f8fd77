#include "check_events.hpp"

#include "event_pages.hpp"

#include <set>
#include <tuple>
#include <vector>

namespace evented::cli {

namespace {

constexpr int page_size = 50'000;

/// The entities of one type.
class walk {
public:
  walk(journal& x, std::string type, std::optional<std::string> id, faults& to,
       checked_events& totals, progress& bar)
    : x_(x),
      type_(std::move(type)),
      id_text_(std::move(id)),
      to_(to),
      totals_(totals),
      bar_(bar) {
    auto found = x_.run("select event_name, schema_version from "
                        "{schema}.event_shape where type_name = $1",
                        {type_});
    for (int i = 0; i < found.size(); ++i)
      shapes_.insert(
        {found.text(i, 0), static_cast<std::int32_t>(found.number(i, 1))});
  }

  /// Checks the next page. Returns whether there may be more.
  bool next() {
    first_ = id_text_;
    auto tagged = false;
    auto count = 0;
    suspects_.clear();
    x_.db.stream(
      x_.sql("select entity_id, version, seq_no, slice, event_name, "
             "schema_version, tags is not null from {schema}.event where "
             "type_name = $1"
             + std::string{id_text_ ? " and (entity_id, version) > "
                                      "($3::{id_type}, $4::bigint)"
                                    : " and $3::{id_type} is null and "
                                      "$4::bigint = 0"}
             + " order by entity_id, version limit $2::bigint"),
      {type_, page_size, id_text_, id_text_ ? version_ : 0},
      [&](const result& row) {
        check(row);
        tagged = tagged || row.bytes(0, 6)[0] != 0;
        ++count;
        bar_.add();
      });
    if (!id_.empty())
      id_text_ = read_binary_id(id_, x_.options.ids);
    look_at_suspects();
    if (tagged)
      check_tags();
    totals_.events += static_cast<std::uint64_t>(count);
    return count == page_size;
  }

  /// Where to begin again: with the entity at hand, whose events up to here
  /// were only a part of it.
  [[nodiscard]] entity_place place() const { return {type_, id_text_}; }

private:
  /// A version that does not follow the one before, unless a horizon explains
  /// it.
  struct suspect {
    std::string id;
    std::int64_t before = 0;
    std::int64_t version = 0;
  };

  void check(const result& row) {
    auto id = row.bytes(0, 0);
    auto version = read_int64(row.bytes(0, 1));
    auto seq_no = read_int64(row.bytes(0, 2));
    auto slice = read_int16(row.bytes(0, 3));
    if (id != id_) {
      id_ = id;
      auto text = read_binary_id(id_, x_.options.ids);
      // A walk that goes on in the middle of an entity knows nothing of what
      // came before.
      version_ = 0;
      seq_no_ = 0;
      auto parsed = parse_entity_id(x_.options.ids, text);
      slice_ = parsed ? static_cast<std::int16_t>(slice_of(*parsed))
                      : std::int16_t{-1};
      ++totals_.entities;
    }
    if (version != version_ + 1)
      suspects_.push_back(
        {read_binary_id(id_, x_.options.ids), version_, version});
    if (seq_no <= seq_no_)
      fault("order", version,
            "its number " + std::to_string(seq_no)
              + " is not above that of the version before, "
              + std::to_string(seq_no_));
    if (slice != slice_)
      fault("slice", version,
            "it is in slice " + std::to_string(slice) + ", its ID is of slice "
              + std::to_string(slice_));
    check_shape(row.bytes(0, 4), read_int32(row.bytes(0, 5)), version);
    version_ = version;
    seq_no_ = seq_no;
  }

  void check_shape(std::string_view name, std::int32_t shape,
                   std::int64_t version) {
    if (name == last_name_ && shape == last_shape_)
      return;
    last_name_ = name;
    last_shape_ = shape;
    // Told once.
    if (shapes_.insert({last_name_, shape}).second)
      fault("shape", version,
            "the shape " + last_name_ + "/" + std::to_string(shape)
              + " is not recorded");
  }

  void look_at_suspects() {
    for (auto& s : suspects_) {
      auto found = x_.run("select version from {schema}.horizon where "
                          "type_name = $1 and entity_id = $2::{id_type}",
                          {type_, s.id});
      // Trimming may have overtaken this walk.
      if (!found.empty() && found.number(0, 0) == s.version - 1)
        continue;
      to_.add("versions", type_ + "/" + s.id,
              "version " + std::to_string(s.version) + " comes after "
                + (s.before == 0 && !found.empty()
                     ? "the horizon " + found.text(0, 0)
                     : "version " + std::to_string(s.before)));
    }
  }

  void check_tags() {
    auto found = x_.run(
      "select e.entity_id, e.version from {schema}.event as e where "
      "e.type_name = $1 and e.tags is not null and ($2::{id_type} is null or "
      "e.entity_id >= $2::{id_type}) and e.entity_id <= $3::{id_type} and "
      "exists (select from unnest(e.tags) as t (tag) where not exists (select "
      "from {schema}.event_tag as x where x.type_name = e.type_name and x.tag "
      "= t.tag and x.seq_no = e.seq_no)) limit 100",
      {type_, first_, id_text_});
    for (int i = 0; i < found.size(); ++i)
      to_.add("tags", type_ + "/" + found.text(i, 0) + "@" + found.text(i, 1),
              "it cannot be found by one of its tags");
  }

  void fault(const char* check, std::int64_t version, const std::string& what) {
    to_.add(check,
            type_ + "/" + read_binary_id(id_, x_.options.ids) + "@"
              + std::to_string(version),
            what);
  }

  journal& x_;
  std::string type_;
  std::optional<std::string> id_text_;
  std::optional<std::string> first_;
  faults& to_;
  checked_events& totals_;
  progress& bar_;

  /// The entity at hand, in the binary format, and its last event.
  std::string id_;
  std::int16_t slice_ = 0;
  std::int64_t version_ = 0;
  std::int64_t seq_no_ = 0;
  std::vector<suspect> suspects_;

  std::set<std::tuple<std::string, std::int32_t>> shapes_;
  std::string last_name_;
  std::int32_t last_shape_ = 0;
};

} // namespace

checked_events check_events(journal& x, const entity_place& from, faults& to) {
  checked_events result;
  auto rows = x.run("select greatest(reltuples, 0)::bigint from pg_class "
                    "where oid = '{schema}.event'::regclass")
                .number(0, 0);
  progress bar{"events", static_cast<std::uint64_t>(rows)};
  for (auto& type : x.types()) {
    if (type < from.type)
      continue;
    walk entities{x,  type,   type == from.type ? from.id : std::nullopt,
                  to, result, bar};
    while (entities.next()) {
      if (interrupted() || to.enough()) {
        result.stopped_at = entities.place();
        return result;
      }
    }
    if (interrupted() || to.enough()) {
      result.stopped_at = entities.place();
      return result;
    }
  }
  return result;
}

} // namespace evented::cli
