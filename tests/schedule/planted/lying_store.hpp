#pragma once

// A journal that breaks a promise, for schedules to find out.

#include "schedule/planted/planted.hpp"
#include "support/forwarding_store.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace evented::test {

/// Lies when it appends, as `active_fault` says.
class lying_session : public forwarding_session {
public:
  lying_session(store& journal, std::unique_ptr<store_session> inner)
    : forwarding_session(std::move(inner)), watch_(journal.connect_watch()) {
    // nop
  }

  bool append(std::span<append_request* const> batch) override {
    if (planted(planted_fault::reply_before_commit))
      return reply_early(batch);
    if (planted(planted_fault::outcome_looked_up))
      look_up(batch);
    if (planted(planted_fault::batch_blamed) && blame_all(batch))
      return true;
    return inner_->append(batch);
  }

private:
  /// Says `stored` once the numbers are drawn, and goes on behind the back of
  /// whoever asked.
  bool reply_early(std::span<append_request* const> batch) {
    while (!early_.empty())
      if (append_early())
        early_.clear();
    for (auto* request : batch)
      early_.push_back(*request);
    if (append_early()) {
      // Only what was asked is known at once.
      for (std::size_t i = 0; i < batch.size(); ++i)
        batch[i]->steps = early_[i].steps;
      early_.clear();
      return true;
    }
    auto number = watch_->look().last;
    for (auto& request : batch)
      for (auto& step : request->steps)
        number -= step.events.size();
    for (auto& request : batch)
      for (auto& step : request->steps) {
        number += step.events.size();
        step.seq_no = step.events.empty() ? 0 : number;
        step.status = append_status::stored;
      }
    return true;
  }

  bool append_early() {
    std::vector<append_request*> batch;
    for (auto& x : early_)
      batch.push_back(&x);
    return inner_->append(batch);
  }

  /// Takes what the journal does not show after a lost reply for not stored.
  void look_up(std::span<append_request* const> batch) {
    for (auto* request : batch)
      for (auto& step : request->steps) {
        if (step.status != append_status::pending || !step.maybe_sent
            || in_progress_ || step.events.empty())
          continue;
        load_request what{request->type_name, request->id, step.after, false};
        if (!inner_->load({&what, 1}, 100)[0].events.empty())
          continue;
        step.status = append_status::failed;
        step.failure = errc::refused;
      }
    in_progress_ = true;
  }

  /// Fails all of a batch because of one.
  static bool blame_all(std::span<append_request* const> batch) {
    auto bad = [](auto& event) {
      return !std::all_of(event.tags.begin(), event.tags.end(), valid_tag);
    };
    auto any = false;
    for (auto* request : batch)
      for (auto& step : request->steps)
        any = any || std::any_of(step.events.begin(), step.events.end(), bad);
    if (any)
      for (auto* request : batch)
        for (auto& step : request->steps) {
          step.status = append_status::failed;
          step.failure = errc::invalid_event;
        }
    return any;
  }

  std::unique_ptr<watch_session> watch_;
  std::vector<append_request> early_;
  /// Whether this connection has appended before.
  bool in_progress_ = false;
};

class lying_store : public forwarding_store {
public:
  using forwarding_store::forwarding_store;

  std::unique_ptr<store_session> connect() override {
    return std::make_unique<lying_session>(*inner_, inner_->connect());
  }
};

} // namespace evented::test
