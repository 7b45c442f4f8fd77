#pragma once

#include "detail/pq.hpp"

#include <evented/options.hpp>
#include <evented/outbox.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evented::detail {

/// The outbox over a connection that belongs to somebody else.
class outbox_calls {
public:
  outbox_calls(pq::connection& db, const journal_options& options);

  /// See `store_session`.
  claimed_messages claim(const message_claim& what);
  void settle(std::span<const settled_message> batch);
  std::vector<std::string> waiting_targets(std::string_view type_name);

private:
  pq::connection& db_;
  const journal_options& options_;
};

} // namespace evented::detail
