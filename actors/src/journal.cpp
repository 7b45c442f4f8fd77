#include "sessions.hpp"
#include "workers.hpp"

#include <evented/actors/journal.hpp>

#include <vector>

namespace evented {

class journal::state {
public:
  state(caf::actor_system& sys, std::shared_ptr<evented::store> opened)
    : store_(std::move(opened)),
      watch_(std::make_shared<frontier_watch>(store_)),
      metrics_(std::make_shared<evented::metrics>(watch_)),
      loader_(detail::spawn_loader(sys, store_, metrics_)),
      sessions_(detail::spawn_session_pool(sys, store_, metrics_)),
      snapshots_(detail::spawn_snapshot_writer(sys, store_, metrics_)) {
    for (unsigned i = 0; i < store_->options().writers; ++i)
      appenders_.push_back(
        detail::spawn_appender(sys, store_, watch_, metrics_));
  }

  ~state() {
    // Each ends once it has answered what it was asked.
    for (auto& x : appenders_)
      caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(loader_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(sessions_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(snapshots_, caf::exit_reason::user_shutdown);
  }

  state(const state&) = delete;
  state& operator=(const state&) = delete;

  std::shared_ptr<evented::store> store_;
  std::shared_ptr<frontier_watch> watch_;
  std::shared_ptr<evented::metrics> metrics_;
  std::shared_ptr<detail::address_book> regions_
    = std::make_shared<detail::address_book>();
  caf::actor loader_;
  caf::actor sessions_;
  caf::actor snapshots_;
  std::vector<caf::actor> appenders_;
};

journal::journal(caf::actor_system& sys, const journal_options& options)
  : journal(sys, open_store(options)) {
  // nop
}

journal::journal(caf::actor_system& sys, std::shared_ptr<evented::store> opened)
  : state_(std::make_shared<const state>(sys, std::move(opened))) {
  // nop
}

const std::shared_ptr<store>& journal::store() const noexcept {
  return state_->store_;
}

const journal_options& journal::options() const noexcept {
  return state_->store_->options();
}

const std::shared_ptr<metrics>& journal::metrics() const noexcept {
  return state_->metrics_;
}

const caf::actor& journal::appender(const entity_id& id) const {
  return state_->appenders_[slice_of(id) % state_->appenders_.size()];
}

const caf::actor& journal::loader() const {
  return state_->loader_;
}

const std::shared_ptr<detail::address_book>& journal::regions() const noexcept {
  return state_->regions_;
}

const caf::actor& journal::sessions() const {
  return state_->sessions_;
}

const caf::actor& journal::snapshots() const {
  return state_->snapshots_;
}

frontier_watch& journal::watch() const {
  return *state_->watch_;
}

} // namespace evented
