#include "memory_journal.hpp"

#include <evented/frontier_watch.hpp>
#include <evented/membership.hpp>
#include <evented/projection_store.hpp>

#include <algorithm>
#include <poll.h>

namespace evented {

namespace {

using detail::memory_journal;

/// Nobody but this process can append, so there is nothing to announce.
class memory_watch : public watch_session {
public:
  explicit memory_watch(std::shared_ptr<memory_journal> all)
    : journal_(std::move(all)) {
    // nop
  }

  [[nodiscard]] bool listens() const override { return true; }

  look_result look() override {
    std::lock_guard guard{journal_->mutex};
    return {journal_->frontier(), journal_->last};
  }

  void announce() override {
    // nop
  }

  void heartbeat(const std::vector<uuid>&) override {
    // nop
  }

  bool wait(int wake_fd, std::chrono::milliseconds limit) override {
    limit = std::min<std::chrono::milliseconds>(limit, std::chrono::hours{1});
    pollfd x{wake_fd, POLLIN, 0};
    ::poll(&x, 1, static_cast<int>(limit.count()));
    return false;
  }

private:
  std::shared_ptr<memory_journal> journal_;
};

// -- store --------------------------------------------------------------------

class memory_store : public store {
public:
  memory_store(const journal_options& options, memory_commits how)
    : options_(options), how_(how) {
    options_.url = secret{};
    options_.password = secret{};
  }

  std::unique_ptr<store_session> connect() override {
    return detail::make_memory_session(journal_, options_, how_);
  }

  std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds) override {
    throw error(errc::incompatible, "projections need a journal in PostgreSQL");
  }

  std::unique_ptr<watch_session> connect_watch() override {
    return std::make_unique<memory_watch>(journal_);
  }

  std::unique_ptr<membership_session> connect_membership() override {
    throw error(errc::incompatible, "nodes need a journal in PostgreSQL");
  }

  [[nodiscard]] const journal_options& options() const noexcept override {
    return options_;
  }

  [[nodiscard]] bool blocks() const noexcept override { return false; }

private:
  std::shared_ptr<memory_journal> journal_ = std::make_shared<memory_journal>();
  journal_options options_;
  memory_commits how_;
};

} // namespace

std::shared_ptr<store> make_memory_store(const journal_options& options,
                                         memory_commits how) {
  return std::make_shared<memory_store>(options, how);
}

} // namespace evented
