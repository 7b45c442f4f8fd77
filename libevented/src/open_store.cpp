#include "detail/schema.hpp"
#include "postgres_store.hpp"

#include <evented/store.hpp>

namespace evented {

std::shared_ptr<store> open_store(const journal_options& options) {
  detail::check(options);
  auto result = std::make_shared<detail::postgres_store>(options);
  result->open();
  return result;
}

} // namespace evented
