#include <evented/frontier_watch.hpp>
#include <evented/membership.hpp>
#include <evented/projection_store.hpp>
#include <evented/sql_error.hpp>
#include <evented/testkit/faulty_store.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

namespace evented::testkit {

namespace {

constexpr auto calls = static_cast<std::size_t>(store_call::other) + 1;

constexpr std::size_t index_of(store_call x) {
  return static_cast<std::size_t>(x);
}

/// An append whose connection is gone.
struct late_append {
  std::unique_ptr<store_session> session;
  std::vector<append_request> requests;
};

[[noreturn]] void lose(store_call call, bool sent) {
  throw connection_lost(sent, "an injected fault: the connection broke in "
                                + std::string{to_string(call)});
}

} // namespace

// -- state --------------------------------------------------------------------

class faulty_store::state {
public:
  explicit state(std::shared_ptr<store> from) : inner(std::move(from)) {
    // nop
  }

  fault next(store_call call) {
    std::lock_guard guard{mutex};
    auto i = index_of(call);
    ++counts[i];
    auto result = fault::none;
    if (auto& from = script[i]; !from.empty()) {
      result = from.front();
      from.pop_front();
    } else if (by) {
      result = by(call);
    }
    if (result != fault::none)
      ++wrong[i];
    return result;
  }

  std::shared_ptr<store> inner;
  mutable std::recursive_mutex mutex;
  std::array<std::deque<fault>, calls> script;
  std::array<std::size_t, calls> counts{};
  std::array<std::size_t, calls> wrong{};
  policy by;
  rival competing;
  std::deque<late_append> late;
};

// -- session ------------------------------------------------------------------

class faulty_store::session : public store_session {
public:
  session(std::shared_ptr<state> all, std::unique_ptr<store_session> inner)
    : state_(std::move(all)), inner_(std::move(inner)) {
    // nop
  }

  bool append(std::span<append_request* const> batch) override {
    switch (state_->next(store_call::append)) {
    case fault::none:
      return inner().append(batch);
    case fault::fail:
      // What earlier calls have sent stays so.
      inner_.reset();
      lose(store_call::append, false);
    case fault::lose_reply:
      lose_reply(batch);
    case fault::late:
      be_late(batch);
    case fault::delay:
      for_pending(batch, [](append_step& step) {
        step.message = "an injected fault: delayed";
      });
      return false;
    case fault::conflict:
      compete(batch);
      return inner().append(batch);
    case fault::refuse:
      return refuse(batch);
    }
    return false;
  }

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    return call(store_call::load,
                [&] { return inner().load(batch, max_events); });
  }

  std::uint64_t frontier() override {
    return call(store_call::frontier, [&] { return inner().frontier(); });
  }

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    return call(store_call::read,
                [&] { return inner().read(filter, after, up_to, limit); });
  }

  void save_snapshots(std::span<const new_snapshot> batch,
                      unsigned keep) override {
    call(store_call::save_snapshots, [&] {
      inner().save_snapshots(batch, keep);
      return 0;
    });
  }

  std::size_t forget_commands(std::string_view type_name,
                              std::chrono::seconds age,
                              std::size_t limit) override {
    return call(store_call::forget_commands,
                [&] { return inner().forget_commands(type_name, age, limit); });
  }

  std::vector<event_shape> shapes(std::string_view type_name) override {
    return call(store_call::other, [&] { return inner().shapes(type_name); });
  }

  bool holds(std::string_view type_name, const event_shape& shape) override {
    return call(store_call::other,
                [&] { return inner().holds(type_name, shape); });
  }

  claimed_messages claim_messages(const message_claim& what) override {
    return call(store_call::other,
                [&] { return inner().claim_messages(what); });
  }

  void settle_messages(std::span<const settled_message> batch) override {
    call(store_call::other, [&] { return inner().settle_messages(batch); });
  }

  std::vector<std::string>
  waiting_targets(std::string_view type_name) override {
    return call(store_call::other,
                [&] { return inner().waiting_targets(type_name); });
  }

  std::vector<std::int32_t>
  snapshot_shapes(std::string_view type_name) override {
    return call(store_call::other,
                [&] { return inner().snapshot_shapes(type_name); });
  }

  rows query(std::string_view sql,
             const std::vector<parameter>& params) override {
    return call(store_call::other, [&] { return inner().query(sql, params); });
  }

private:
  store_session& inner() {
    if (inner_ == nullptr)
      throw connection_lost(false, "the connection is broken already");
    return *inner_;
  }

  template <class F>
  std::invoke_result_t<F> call(store_call what, F f) {
    switch (state_->next(what)) {
    case fault::fail:
    case fault::late:
    case fault::delay:
      inner_.reset();
      lose(what, false);
    case fault::lose_reply:
      f();
      inner_.reset();
      lose(what, true);
    case fault::refuse:
      throw sql_error("57014", "an injected fault: the statement was canceled");
    default:
      return f();
    }
  }

  template <class F>
  static void for_pending(std::span<append_request* const> batch, F f) {
    for (auto* request : batch)
      for (auto& step : request->steps)
        if (step.status == append_status::pending)
          f(step);
  }

  /// What an earlier attempt may have stored cannot be refused any more.
  static bool refuse(std::span<append_request* const> batch) {
    auto maybe_sent = false;
    for_pending(batch, [&](append_step& step) {
      maybe_sent = maybe_sent || step.maybe_sent;
    });
    for_pending(batch, [=](append_step& step) {
      step.message = "an injected fault: refused";
      if (maybe_sent)
        return;
      step.status = append_status::failed;
      step.failure = errc::refused;
    });
    return !maybe_sent;
  }

  static std::vector<append_request>
  copy_of(std::span<append_request* const> batch) {
    std::vector<append_request> result;
    for (auto* request : batch)
      result.push_back(*request);
    return result;
  }

  static std::vector<append_request*>
  pointers_to(std::vector<append_request>& all) {
    std::vector<append_request*> result;
    for (auto& x : all)
      result.push_back(&x);
    return result;
  }

  static void mark_sent(std::span<append_request* const> batch) {
    for_pending(batch, [](append_step& step) {
      step.maybe_sent = step.maybe_sent || step.stores();
    });
  }

  [[noreturn]] void lose_reply(std::span<append_request* const> batch) {
    auto copies = copy_of(batch);
    inner().append(pointers_to(copies));
    inner_.reset();
    mark_sent(batch);
    lose(store_call::append, true);
  }

  [[noreturn]] void be_late(std::span<append_request* const> batch) {
    inner();
    {
      std::lock_guard guard{state_->mutex};
      state_->late.push_back({std::move(inner_), copy_of(batch)});
    }
    mark_sent(batch);
    lose(store_call::append, true);
  }

  void compete(std::span<append_request* const> batch) {
    auto session = state_->inner->connect();
    for (auto* request : batch) {
      auto theirs = request_of_rival(*request);
      if (theirs.steps.empty())
        continue;
      std::vector<append_request*> one{&theirs};
      // Whatever becomes of it is the rival's business.
      for (auto rounds = 0; !session->append(one) && rounds < 100;)
        ++rounds;
    }
  }

  append_request request_of_rival(const append_request& from) {
    append_request result{from.type_name, from.id, {}, nullptr};
    std::vector<new_event> events;
    auto after = from.steps.empty() ? 0 : from.steps.front().after;
    for (auto& step : from.steps)
      if (events.empty() && step.status == append_status::pending) {
        after = step.after;
        if (!step.events.empty())
          events.push_back(step.events.front());
      }
    if (state_->competing)
      events = state_->competing(from);
    if (events.empty())
      return result;
    auto& step = result.steps.emplace_back();
    step.append_id = uuid::v4();
    step.after = after;
    step.events = std::move(events);
    return result;
  }

  std::shared_ptr<state> state_;
  std::unique_ptr<store_session> inner_;
};

// -- store --------------------------------------------------------------------

faulty_store::faulty_store(std::shared_ptr<store> inner)
  : state_(std::make_shared<state>(std::move(inner))) {
  // nop
}

void faulty_store::inject(store_call call, fault what, std::size_t times) {
  std::lock_guard guard{state_->mutex};
  state_->script[index_of(call)].insert(state_->script[index_of(call)].end(),
                                        times, what);
}

void faulty_store::decide_by(policy f) {
  std::lock_guard guard{state_->mutex};
  state_->by = std::move(f);
}

void faulty_store::compete_by(rival f) {
  std::lock_guard guard{state_->mutex};
  state_->competing = std::move(f);
}

std::size_t faulty_store::late() const {
  std::lock_guard guard{state_->mutex};
  return state_->late.size();
}

void faulty_store::advance_late(std::size_t index) {
  std::unique_lock guard{state_->mutex};
  auto place = state_->late.begin() + static_cast<std::ptrdiff_t>(index);
  auto x = std::move(*place);
  state_->late.erase(place);
  guard.unlock();
  std::vector<append_request*> batch;
  for (auto& request : x.requests)
    batch.push_back(&request);
  if (x.session->append(batch))
    return;
  guard.lock();
  index = std::min(index, state_->late.size());
  state_->late.insert(state_->late.begin() + static_cast<std::ptrdiff_t>(index),
                      std::move(x));
}

void faulty_store::drop_late(std::size_t index) {
  late_append dropped;
  std::lock_guard guard{state_->mutex};
  auto place = state_->late.begin() + static_cast<std::ptrdiff_t>(index);
  dropped = std::move(*place);
  state_->late.erase(place);
}

std::size_t faulty_store::count(store_call call) const {
  std::lock_guard guard{state_->mutex};
  return state_->counts[index_of(call)];
}

std::size_t faulty_store::faults(store_call call) const {
  std::lock_guard guard{state_->mutex};
  return state_->wrong[index_of(call)];
}

std::unique_ptr<store_session> faulty_store::connect() {
  auto what = state_->next(store_call::connect);
  if (what != fault::none && what != fault::conflict)
    lose(store_call::connect, false);
  return std::make_unique<session>(state_, state_->inner->connect());
}

std::unique_ptr<projection_session>
faulty_store::connect_projections(std::chrono::milliseconds limit) {
  return state_->inner->connect_projections(limit);
}

std::unique_ptr<watch_session> faulty_store::connect_watch() {
  return state_->inner->connect_watch();
}

std::unique_ptr<membership_session> faulty_store::connect_membership() {
  return state_->inner->connect_membership();
}

const journal_options& faulty_store::options() const noexcept {
  return state_->inner->options();
}

bool faulty_store::blocks() const noexcept {
  return state_->inner->blocks();
}

} // namespace evented::testkit
