#pragma once

// A journal that hands every call on to another one, for tests that change some of
// them.

#include <evented/frontier_watch.hpp>
#include <evented/membership.hpp>
#include <evented/projection_store.hpp>
#include <evented/store.hpp>

#include <memory>
#include <utility>

namespace evented::test {

class forwarding_session : public store_session {
public:
  explicit forwarding_session(std::unique_ptr<store_session> inner)
    : inner_(std::move(inner)) {
    // nop
  }

  bool append(std::span<append_request* const> batch) override {
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

protected:
  std::unique_ptr<store_session> inner_;
};

class forwarding_store : public store {
public:
  explicit forwarding_store(std::shared_ptr<store> inner)
    : inner_(std::move(inner)) {
    // nop
  }

  std::unique_ptr<store_session> connect() override {
    return inner_->connect();
  }

  std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds limit) override {
    return inner_->connect_projections(limit);
  }

  std::unique_ptr<watch_session> connect_watch() override {
    return inner_->connect_watch();
  }

  std::unique_ptr<membership_session> connect_membership() override {
    return inner_->connect_membership();
  }

  [[nodiscard]] const journal_options& options() const noexcept override {
    return inner_->options();
  }

  [[nodiscard]] bool blocks() const noexcept override {
    return inner_->blocks();
  }

protected:
  std::shared_ptr<store> inner_;
};

} // namespace evented::test
