#pragma once

#include "detail/event_query.hpp"
#include "detail/pq.hpp"

#include <evented/options.hpp>

#include <string>
#include <type_traits>

namespace evented::detail {

/// Makes a session's statements walk the indexes in their order, whatever the
/// planner believes about the tables: a plan that was made while they were empty
/// is kept, and sorts all events of a type when there are some.
class index_order {
public:
  /// @param generic whether prepared statements keep one plan for all parameters:
  ///        else a call with little to do looks cheaper than that plan, and is
  ///        planned each time, for longer than it takes
  index_order(pq::connection& db, const journal_options& options, bool generic)
    : db_(db),
      pooled_(options.pooler == pooler::transaction),
      generic_(generic) {
    // nop
  }

  /// Runs `f`, which sends statements. Behind a pooler that is a transaction,
  /// else the session stays told.
  template <class F>
  auto run(F&& f) {
    if (pooled_) {
      db_.exec("begin isolation level read committed; set local bytea_output = "
               "hex; "
               + settings("set local "));
      try {
        auto result = f();
        db_.exec("commit");
        return result;
      } catch (const sql_error&) {
        db_.exec("rollback");
        throw;
      }
    }
    if (!ready_) {
      db_.exec(settings("set "));
      ready_ = true;
    }
    return f();
  }

private:
  [[nodiscard]] std::string settings(const std::string& scope) const {
    std::string result;
    for (auto* setting : event_query_settings)
      result += scope + setting + " = off; ";
    if (generic_)
      result += scope + "plan_cache_mode = force_generic_plan; ";
    return result;
  }

  pq::connection& db_;
  bool pooled_;
  bool generic_;
  bool ready_ = false;
};

} // namespace evented::detail
