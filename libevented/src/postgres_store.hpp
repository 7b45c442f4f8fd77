#pragma once

#include "detail/pq.hpp"
#include "detail/watchdog.hpp"

#include <evented/store.hpp>

#include <memory>

namespace evented::detail {

/// A journal in PostgreSQL.
class postgres_store : public store {
public:
  explicit postgres_store(const journal_options& options);

  /// Makes, migrates or checks the schema.
  void open();

  std::unique_ptr<store_session> connect() override;

  [[nodiscard]] const journal_options& options() const noexcept override {
    return shown_;
  }

private:
  pq::settings settings() const;

  journal_options options_;
  journal_options shown_;
  /// Shared with the sessions, which may outlive the store.
  std::shared_ptr<watchdog> dog_ = std::make_shared<watchdog>();
};

/// Makes a session on a connection of its own.
std::unique_ptr<store_session>
make_postgres_session(const journal_options& options, const pq::settings& how,
                      std::shared_ptr<watchdog> dog);

} // namespace evented::detail
