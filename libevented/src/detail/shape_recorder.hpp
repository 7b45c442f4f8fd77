#pragma once

#include "detail/pq.hpp"

#include <evented/options.hpp>
#include <evented/store.hpp>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evented::detail {

/// Keeps the table event_shape ahead of the journal: records the shapes of
/// events before these are appended, over a connection that belongs to somebody
/// else.
///
/// What is known to be recorded is remembered for one connection only: another
/// one may lead to a server that has lost it, after a failover.
class shape_recorder {
public:
  shape_recorder(pq::connection& db, const journal_options& options);

  /// Records what the pending steps of `requests` need. Fails the steps whose
  /// shapes are refused, and takes requests out of the list that have to wait,
  /// with the reason in their steps.
  /// @throws connection_lost with `sent() == false`: no event was sent
  void record(std::vector<append_request*>& requests);

  /// See `store_session`.
  std::vector<event_shape> shapes(std::string_view type_name);
  bool holds(std::string_view type_name, const event_shape& shape);

private:
  /// A type and a shape, in the order in which rows are inserted: the same in
  /// every process, so that two cannot wait for each other.
  using shape_set = std::set<std::pair<std::string, event_shape>>;

  [[nodiscard]] shape_set new_shapes(const append_request& request) const;
  /// @throws sql_error where it is refused
  void insert(const shape_set& shapes);
  void insert_for(append_request& request, const shape_set& shapes,
                  std::vector<append_request*>& waiting);
  void remember(const shape_set& shapes);

  pq::connection& db_;
  const journal_options& options_;
  /// Per type, what is recorded. Few, so that a look along the list is the
  /// fastest.
  std::map<std::string, std::vector<event_shape>, std::less<>> known_;
};

} // namespace evented::detail
