#pragma once

#include "database.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace evented::cli {

/// Says where the tables of the Rust crate evented 0.2 are, and how its events
/// become ours. Its one table is
///   event (seq_no bigserial, entity_id uuid, version bigint, type_name text,
///          event jsonb, metadata jsonb)
/// where `event` is what serde makes of an enum, so that the name of the event
/// is in it.
struct crate_options {
  std::string database;
  std::string schema = "public";
  /// The member that holds the name, for enums with #[serde(tag = ..)]. Empty:
  /// serde's default, {"Name": {..}}.
  std::string tag;
  /// Whether names such as ItemAdded become item_added.
  bool snake_case = false;
};

/// Reads such tables as lines of an export.
class crate {
public:
  /// @throws failure(usage), failure(no_journal)
  explicit crate(const crate_options& how);

  /// Returns the first line.
  nlohmann::json header();

  /// Calls `f` with each further line, until it returns false.
  /// @throws failure(fault) where an event has no name
  void read(const std::function<bool(std::string_view)>& f);

private:
  crate_options how_;
  database db_;
};

} // namespace evented::cli
