#pragma once

#include "support/forwarding_store.hpp"

#include <evented/membership.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace evented::test {

/// A journal that can keep its node from saying that it is alive.
class cut_membership : public forwarding_store {
public:
  using forwarding_store::forwarding_store;

  std::unique_ptr<membership_session> connect_membership() override {
    return std::make_unique<session>(inner_->connect_membership(), cut_);
  }

  /// From now on, every visit fails as if the connection was broken.
  void cut() { *cut_ = true; }

  void heal() { *cut_ = false; }

private:
  class session : public membership_session {
  public:
    session(std::unique_ptr<membership_session> inner,
            std::shared_ptr<std::atomic<bool>> cut)
      : inner_(std::move(inner)), cut_(std::move(cut)) {
      // nop
    }

    void join(const node_description& self) override {
      check();
      inner_->join(self);
    }

    bool sync(const node_description& self, const membership_change& change,
              cluster_picture& known) override {
      check();
      return inner_->sync(self, change, known);
    }

    void leave(const node_description& self) override {
      check();
      inner_->leave(self);
    }

  private:
    void check() const {
      if (*cut_)
        throw connection_lost(false, "the test has cut this connection");
    }

    std::unique_ptr<membership_session> inner_;
    std::shared_ptr<std::atomic<bool>> cut_;
  };

  std::shared_ptr<std::atomic<bool>> cut_
    = std::make_shared<std::atomic<bool>>(false);
};

} // namespace evented::test
