#pragma once

// A journal whose loads can be held back once they have read, and its appends
// before they write, so that tests can let something happen meanwhile.

#include "support/forwarding_store.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>

namespace evented::test {

/// Holds back what was loaded, or is to be appended.
struct load_gate {
  std::atomic<bool> closed{false};
  std::atomic<int> held_back{0};
  std::atomic<bool> closed_to_appends{false};
  std::atomic<int> appends_held_back{0};
};

class gated_session : public forwarding_session {
public:
  gated_session(std::unique_ptr<store_session> inner,
                std::shared_ptr<load_gate> at)
    : forwarding_session(std::move(inner)), gate_(std::move(at)) {
    // nop
  }

  bool append(std::span<append_request* const> batch) override {
    if (gate_->closed_to_appends) {
      ++gate_->appends_held_back;
      EXPECT_TRUE(wait_until([&] { return !gate_->closed_to_appends; }));
    }
    return inner_->append(batch);
  }

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    auto result = inner_->load(batch, max_events);
    if (gate_->closed) {
      ++gate_->held_back;
      EXPECT_TRUE(wait_until([&] { return !gate_->closed; }));
    }
    return result;
  }

private:
  std::shared_ptr<load_gate> gate_;
};

class gated_store : public forwarding_store {
public:
  gated_store(std::shared_ptr<store> inner, std::shared_ptr<load_gate> at)
    : forwarding_store(std::move(inner)), gate_(std::move(at)) {
    // nop
  }

  std::unique_ptr<store_session> connect() override {
    return std::make_unique<gated_session>(inner_->connect(), gate_);
  }

private:
  std::shared_ptr<load_gate> gate_;
};

} // namespace evented::test
