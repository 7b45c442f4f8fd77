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
  auto found = order_.run([&] {
    // Behind a pooler, a prepared statement is somewhere else.
    return options_.pooler == pooler::transaction
             ? db_.exec_params(query.sql, query.params)
             : db_.exec_cached(query.sql, query.params);
  });
  return read_entries(found, query, options_, up_to, limit);
}

} // namespace evented::detail
