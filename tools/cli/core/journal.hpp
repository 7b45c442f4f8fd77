#pragma once

#include "database.hpp"

#include <evented/entity_id.hpp>
#include <evented/options.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace evented {
class projection_session;
}

namespace evented::cli {

/// What the command line says to every verb.
struct globals {
  std::string database;
  std::string schema = "evented";
  bool json = false;
  /// Whether destructive verbs do not ask.
  bool yes = false;
};

/// A journal, its connection, and what it is made of.
struct journal {
  journal_options options;
  database db;
  /// The version of its schema, 0 where there is no journal.
  std::size_t version = 0;
  /// For whom operations are done, where that is not the user of this process.
  std::string on_behalf_of = {};

  /// Returns `text` with the journal's names in place of those in braces. What
  /// comes from outside is always a parameter, never part of the text.
  [[nodiscard]] std::string sql(std::string_view text) const;

  /// Runs `sql(text)`.
  result run(std::string_view text, const std::vector<parameter>& params = {},
             format how = format::text) {
    return db.run(sql(text), params, how);
  }

  /// Returns the number that the frontier is at.
  std::uint64_t frontier();

  /// Returns the names of all entity types, in order.
  std::vector<std::string> types();

  /// Returns `text` as an ID of this journal's kind.
  /// @throws failure(usage)
  [[nodiscard]] entity_id id(const std::string& text) const;
};

/// Checks what the command line says about the journal's place.
/// @throws failure(usage)
journal_options options_of(const globals& how);

/// Connects, and looks what is there.
journal connect(const globals& how);

/// Connects to a journal whose schema is the one that this program knows. Never
/// changes anything.
/// @throws failure(no_journal)
journal open_journal(const globals& how);

/// Connects once more, for what the library does with projections.
std::unique_ptr<projection_session> connect_projections(const journal& x);

/// @throws failure(usage) where no entity type can have this name
void check_type_name(const std::string& name);

} // namespace evented::cli
