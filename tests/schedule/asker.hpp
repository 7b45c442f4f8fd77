#pragma once

#include <caf/all.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace evented::test {

/// Asks for a schedule and hands the answers over as soon as they are sent,
/// without a turn of its own.
class asker : public caf::event_based_actor {
public:
  using callback = std::function<void(std::size_t, const caf::message&)>;

  explicit asker(caf::actor_config& cfg) : caf::event_based_actor(cfg) {
    // nop
  }

  caf::behavior make_behavior() override {
    return {[](caf::unit_t) {}};
  }

  const char* name() const override { return "asker"; }

  /// Sets what is called with each answer from now on; what was asked before
  /// gets none.
  void on_answer(callback f) {
    on_answer_ = std::move(f);
    attempts_.clear();
  }

  void ask(std::size_t attempt, const caf::actor& whom, caf::message what) {
    auto id = new_request_id(caf::message_priority::normal);
    attempts_.emplace(id.response_id().integer_value(), attempt);
    whom->enqueue(ctrl(), id, std::move(what), nullptr);
  }

  void enqueue(caf::mailbox_element_ptr x,
               caf::execution_unit* context) override {
    if (!x->mid.is_response()) {
      caf::event_based_actor::enqueue(std::move(x), context);
      return;
    }
    auto found = attempts_.find(x->mid.integer_value());
    if (found != attempts_.end() && on_answer_)
      on_answer_(found->second, x->move_content_to_message());
  }

private:
  callback on_answer_;
  std::map<std::uint64_t, std::size_t> attempts_;
};

} // namespace evented::test
