#include "postgres_store.hpp"

namespace evented::detail {

std::unique_ptr<watch_session> make_watch_session(const journal_options&,
                                                  const pq::settings&,
                                                  std::shared_ptr<watchdog>,
                                                  bool) {
  throw error(errc::incompatible, "not there yet");
}

} // namespace evented::detail
