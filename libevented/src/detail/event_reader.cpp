#include "detail/event_reader.hpp"

#include "detail/event_query.hpp"
#include "detail/event_rows.hpp"

namespace evented::detail {

read_result event_reader::read(const event_filter& filter, std::uint64_t after,
                               std::uint64_t up_to, std::size_t limit) {
  // A page without room leads nowhere.
  if (limit == 0)
    return {{}, after};
  auto query = make_event_query(options_, filter, after, up_to, limit);
  auto plan = [this](const char* scope) {
    for (auto* setting : event_query_settings)
      db_.exec(std::string{scope} + setting + " = off");
  };
  if (options_.pooler == pooler::transaction) {
    db_.exec("begin isolation level read committed; set local bytea_output = "
             "hex");
    try {
      plan("set local ");
      auto found = db_.exec_params(query.sql, query.params);
      db_.exec("commit");
      return read_entries(found, query, options_, up_to, limit);
    } catch (const sql_error&) {
      db_.exec("rollback");
      throw;
    }
  }
  if (!ready_) {
    plan("set ");
    ready_ = true;
  }
  return read_entries(db_.exec_cached(query.sql, query.params), query, options_,
                      up_to, limit);
}

} // namespace evented::detail
