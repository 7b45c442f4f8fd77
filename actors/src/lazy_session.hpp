#pragma once

#include <evented/actors/metrics.hpp>
#include <evented/store.hpp>

#include <spdlog/spdlog.h>

#include <exception>
#include <memory>

namespace evented::detail {

/// A connection that is made when it is needed and thrown away when it breaks.
class lazy_session {
public:
  lazy_session(std::shared_ptr<store> where, std::shared_ptr<metrics> counts)
    : where_(std::move(where)), counts_(std::move(counts)) {
    // nop
  }

  ~lazy_session() {
    close();
    set_failing(false);
  }

  lazy_session(const lazy_session&) = delete;
  lazy_session& operator=(const lazy_session&) = delete;

  store_session& get() {
    if (session_ == nullptr) {
      session_ = where_->connect();
      counts_->connections_open.add(1);
      if (failing_)
        SPDLOG_INFO("evented: the database is back");
      set_failing(false);
    }
    return *session_;
  }

  void drop(const std::exception& why) {
    close();
    counts_->connections_lost.add();
    if (!failing_)
      SPDLOG_WARN("evented: {}; trying again until it works", why.what());
    set_failing(true);
  }

private:
  void close() noexcept {
    if (session_ != nullptr)
      counts_->connections_open.add(-1);
    session_.reset();
  }

  void set_failing(bool now) noexcept {
    if (now != failing_)
      counts_->connections_failing.add(now ? 1 : -1);
    failing_ = now;
  }

  std::shared_ptr<store> where_;
  std::shared_ptr<metrics> counts_;
  std::unique_ptr<store_session> session_;
  bool failing_ = false;
};

} // namespace evented::detail
