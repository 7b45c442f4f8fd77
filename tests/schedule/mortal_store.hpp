#pragma once

// The journal as one process sees it, until that process dies.

#include "support/forwarding_store.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <type_traits>
#include <utility>

namespace evented::test {

/// Which sessions are in the middle of a commit.
struct open_commits {
  std::set<const void*> sessions;
  /// How many calls came in between the steps of others.
  std::uint64_t interleaved = 0;
};

/// Whether a process lives. From its death on, nothing that its actors do
/// reaches the journal, and they come to an end soon.
struct life {
  bool over = false;
  /// Asked before and after each call of a session: is this where it dies?
  std::function<bool(const char* where)> ends;
  std::shared_ptr<open_commits> commits;

  bool goes_on(const char* where) {
    over = over || (ends && ends(where));
    return !over;
  }
};

class mortal_session : public store_session {
public:
  mortal_session(std::shared_ptr<life> whose,
                 std::unique_ptr<store_session> inner)
    : life_(std::move(whose)), inner_(std::move(inner)) {
    // nop
  }

  ~mortal_session() override { life_->commits->sessions.erase(this); }

  bool append(std::span<append_request* const> batch) override {
    if (life_->goes_on("before append")) {
      auto& open = life_->commits->sessions;
      if (open.size() > open.count(this))
        ++life_->commits->interleaved;
      auto result = inner_->append(batch);
      if (result)
        open.erase(this);
      else
        open.insert(this);
      if (life_->goes_on("after append"))
        return result;
    }
    last_breath(batch);
    for (auto* request : batch)
      for (auto& step : request->steps)
        if (step.status == append_status::pending) {
          step.status = append_status::failed;
          step.failure = errc::refused;
        }
    return true;
  }

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    return call("load", [&] { return inner_->load(batch, max_events); });
  }

  std::uint64_t frontier() override {
    return call("frontier", [&] { return inner_->frontier(); });
  }

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    return call("read",
                [&] { return inner_->read(filter, after, up_to, limit); });
  }

  void save_snapshots(std::span<const new_snapshot> batch,
                      unsigned keep) override {
    call("save_snapshots", [&] {
      inner_->save_snapshots(batch, keep);
      return 0;
    });
  }

  std::size_t forget_commands(std::string_view type_name,
                              std::chrono::seconds age,
                              std::size_t limit) override {
    return call("forget_commands",
                [&] { return inner_->forget_commands(type_name, age, limit); });
  }

  std::vector<event_shape> shapes(std::string_view type_name) override {
    return call("shapes", [&] { return inner_->shapes(type_name); });
  }

  bool holds(std::string_view type_name, const event_shape& shape) override {
    return call("holds", [&] { return inner_->holds(type_name, shape); });
  }

  claimed_messages claim_messages(const message_claim& what) override {
    return call("claim_messages", [&] { return inner_->claim_messages(what); });
  }

  void settle_messages(std::span<const settled_message> batch) override {
    call("settle_messages", [&] {
      inner_->settle_messages(batch);
      return 0;
    });
  }

  std::vector<std::string>
  waiting_targets(std::string_view type_name) override {
    return call("waiting_targets",
                [&] { return inner_->waiting_targets(type_name); });
  }

  std::vector<std::int32_t>
  snapshot_shapes(std::string_view type_name) override {
    return call("snapshot_shapes",
                [&] { return inner_->snapshot_shapes(type_name); });
  }

  rows query(std::string_view sql,
             const std::vector<parameter>& params) override {
    return call("query", [&] { return inner_->query(sql, params); });
  }

private:
  /// What was under way when the process died may reach the server yet.
  void last_breath(std::span<append_request* const> batch) {
    if (inner_ == nullptr)
      return;
    try {
      inner_->append(batch);
    } catch (const connection_lost&) {
      // As it should be: faults see to that.
    }
    inner_.reset();
  }

  template <class F>
  std::invoke_result_t<F> call(const char* what, F f) {
    if (life_->goes_on(what)) {
      auto result = f();
      if (life_->goes_on(what))
        return result;
    }
    throw error(errc::refused, "the process is dead");
  }

  std::shared_ptr<life> life_;
  std::unique_ptr<store_session> inner_;
};

class mortal_store : public forwarding_store {
public:
  mortal_store(std::shared_ptr<life> whose, std::shared_ptr<store> inner)
    : forwarding_store(std::move(inner)), life_(std::move(whose)) {
    // nop
  }

  std::unique_ptr<store_session> connect() override {
    if (life_->over)
      return std::make_unique<mortal_session>(life_, nullptr);
    return std::make_unique<mortal_session>(life_, inner_->connect());
  }

private:
  std::shared_ptr<life> life_;
};

} // namespace evented::test
