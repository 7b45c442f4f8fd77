#pragma once

#include <evented/store.hpp>

#include <spdlog/spdlog.h>

#include <exception>
#include <memory>

namespace evented::detail {

/// A connection that is made when it is needed and thrown away when it breaks.
class lazy_session {
public:
  explicit lazy_session(std::shared_ptr<store> where)
    : where_(std::move(where)) {
    // nop
  }

  store_session& get() {
    if (session_ == nullptr) {
      session_ = where_->connect();
      if (failing_)
        SPDLOG_INFO("evented: the database is back");
      failing_ = false;
    }
    return *session_;
  }

  void drop(const std::exception& why) {
    session_.reset();
    if (!failing_)
      SPDLOG_WARN("evented: {}; trying again until it works", why.what());
    failing_ = true;
  }

private:
  std::shared_ptr<store> where_;
  std::unique_ptr<store_session> session_;
  bool failing_ = false;
};

} // namespace evented::detail
