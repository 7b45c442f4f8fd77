#pragma once

#include "failure.hpp"
#include "journal.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace evented::cli {

/// How events leave the journal.
enum class removal_kind {
  /// All of an entity, which is closed for ever.
  archive,
  /// Those that a snapshot of the entity covers.
  trim,
};

/// Which events are to leave the journal, and how.
struct removal_options {
  removal_kind kind = removal_kind::archive;
  std::string type;
  /// Empty: all entities of the type.
  std::vector<std::string> ids;
  bool all = false;
  /// To archive: only entities without an event since then. To trim: only
  /// events from before it.
  std::string before;
  /// To trim: not beyond this version, 0 for no limit.
  std::uint64_t up_to = 0;
  /// Projections that may lose events that they have not read.
  std::vector<std::string> ignored;
  /// Where a copy goes; empty: nowhere.
  std::string file;
  /// Whether to go on with what is in the file already.
  bool resume = false;
  bool dry_run = false;
};

/// An entity, up to which version its events may go, or why not.
struct candidate {
  std::string id;
  std::int64_t version = 0;
  std::string obstacle;
};

/// Calls `f` for each entity that is meant, in the order of IDs. In bulk, those
/// that have nothing to remove are left out.
void for_each_candidate(journal& x, const removal_options& how,
                        const std::function<void(const candidate&)>& f);

/// Removes the events of one entity in a transaction, after a last look at what
/// may be in the way. Returns how many there were.
/// @throws failure(refused)
std::uint64_t remove_events(journal& x, const removal_options& how,
                            const candidate& whom);

/// Runs the whole verb: counts, writes the copy, asks, and removes.
exit_code run_removal(const globals& how, const removal_options& options);

} // namespace evented::cli
