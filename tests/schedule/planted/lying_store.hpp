#pragma once

// A journal that breaks a promise, for schedules to find out.

#include "schedule/planted/planted.hpp"

#include <evented/frontier_watch.hpp>
#include <evented/projection_store.hpp>
#include <evented/store.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace evented::test {

/// Lies when it appends, as `active_fault` says.
class lying_session : public store_session {
public:
  lying_session(store& journal, std::unique_ptr<store_session> inner)
    : watch_(journal.connect_watch()), inner_(std::move(inner)) {
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

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    return inner_->load(batch, max_events);
  }

  std::uint64_t frontier() override { return inner_->frontier(); }

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    return inner_->read(filter, after, up_to, limit);
  }

  void save_snapshots(std::span<const new_snapshot> batch,
                      unsigned keep) override {
    inner_->save_snapshots(batch, keep);
  }

  std::size_t forget_commands(std::string_view type_name,
                              std::chrono::seconds age,
                              std::size_t limit) override {
    return inner_->forget_commands(type_name, age, limit);
  }

  std::vector<event_shape> shapes(std::string_view type_name) override {
    return inner_->shapes(type_name);
  }

  bool holds(std::string_view type_name, const event_shape& shape) override {
    return inner_->holds(type_name, shape);
  }

  claimed_messages claim_messages(const message_claim& what) override {
    return inner_->claim_messages(what);
  }

  void settle_messages(std::span<const settled_message> batch) override {
    inner_->settle_messages(batch);
  }

  std::vector<std::string>
  waiting_targets(std::string_view type_name) override {
    return inner_->waiting_targets(type_name);
  }

  std::vector<std::int32_t>
  snapshot_shapes(std::string_view type_name) override {
    return inner_->snapshot_shapes(type_name);
  }

  rows query(std::string_view sql,
             const std::vector<parameter>& params) override {
    return inner_->query(sql, params);
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
  std::unique_ptr<store_session> inner_;
  std::vector<append_request> early_;
  /// Whether this connection has appended before.
  bool in_progress_ = false;
};

class lying_store : public store {
public:
  explicit lying_store(std::shared_ptr<store> inner)
    : inner_(std::move(inner)) {
    // nop
  }

  std::unique_ptr<store_session> connect() override {
    return std::make_unique<lying_session>(*inner_, inner_->connect());
  }

  std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds limit) override {
    return inner_->connect_projections(limit);
  }

  std::unique_ptr<watch_session> connect_watch() override {
    return inner_->connect_watch();
  }

  [[nodiscard]] const journal_options& options() const noexcept override {
    return inner_->options();
  }

  [[nodiscard]] bool blocks() const noexcept override {
    return inner_->blocks();
  }

private:
  std::shared_ptr<store> inner_;
};

} // namespace evented::test
