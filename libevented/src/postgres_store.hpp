#pragma once

#include "detail/pq.hpp"
#include "detail/watchdog.hpp"

#include <evented/frontier_watch.hpp>
#include <evented/membership.hpp>
#include <evented/projection_store.hpp>
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
  std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds limit) override;
  std::unique_ptr<watch_session> connect_watch() override;
  std::unique_ptr<membership_session> connect_membership() override;

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

/// Each makes a session on a connection of its own.
std::unique_ptr<store_session>
make_postgres_session(const journal_options& options, const pq::settings& how,
                      std::shared_ptr<watchdog> dog);

std::unique_ptr<projection_session>
make_projection_session(const journal_options& options, const pq::settings& how,
                        std::shared_ptr<watchdog> dog);

std::unique_ptr<membership_session>
make_membership_session(const journal_options& options, const pq::settings& how,
                        std::shared_ptr<watchdog> dog);

/// @param listens whether LISTEN works on this connection
std::unique_ptr<watch_session>
make_watch_session(const journal_options& options, const pq::settings& how,
                   std::shared_ptr<watchdog> dog, bool listens);

} // namespace evented::detail
