#include "postgres_store.hpp"

namespace evented::detail {

std::unique_ptr<projection_session>
make_projection_session(const journal_options&, const pq::settings&,
                        std::shared_ptr<watchdog>) {
  throw error(errc::incompatible, "not there yet");
}

} // namespace evented::detail
