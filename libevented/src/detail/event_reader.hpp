#pragma once

#include "detail/index_order.hpp"
#include "detail/pq.hpp"

#include <evented/event_filter.hpp>
#include <evented/options.hpp>

#include <cstdint>

namespace evented::detail {

/// Reads parts of the journal over a connection that belongs to somebody else.
class event_reader {
public:
  event_reader(pq::connection& db, const journal_options& options)
    : db_(db), options_(options), order_(db, options, false) {
    // nop
  }

  /// See `store_session::read`.
  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit);

private:
  pq::connection& db_;
  const journal_options& options_;
  index_order order_;
};

} // namespace evented::detail
