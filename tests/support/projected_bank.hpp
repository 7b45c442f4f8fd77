#pragma once

#include "support/bank.hpp"
#include "support/journals.hpp"
#include "support/log_lines.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace evented::test {

/// Holds handlers back until a test lets them go on. Opens when it goes away,
/// so that a failed test does not hang.
class gate {
public:
  ~gate() { open(); }

  void open() {
    std::lock_guard guard{state_->mutex};
    state_->open = true;
    state_->changed.notify_all();
  }

  /// Waits until a handler is held.
  [[nodiscard]] bool holds() {
    return wait_until([&] {
      std::lock_guard guard{state_->mutex};
      return state_->waiting > 0;
    });
  }

  /// Returns what a handler calls to be held.
  [[nodiscard]] std::function<void()> passage() const {
    return [state = state_] {
      std::unique_lock guard{state->mutex};
      ++state->waiting;
      state->changed.wait(guard, [&] { return state->open; });
      --state->waiting;
    };
  }

private:
  struct shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    int waiting = 0;
  };

  std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

/// Another process, as far as this library can tell: an actor system and a
/// journal of its own on the same database.
struct second_process {
  explicit second_process(const journal_options& options)
    : where(own.sys(), options) {
    // nop
  }

  bank own;
  journal where;
};

/// A bank whose accounts are projected into tables: `balance` adds the deposits
/// up, `handled` has a row for every event.
class projected_bank : public ::testing::Test {
protected:
  projected_bank() : projected_bank(fresh_journal()) {
    // nop
  }

  explicit projected_bank(journal_options options)
    : log_(&log_lines::instance()),
      options_(std::move(options)),
      journal_(bank_.sys(), options_) {
    log_->clear();
    make_tables("");
  }

  // -- the view ---------------------------------------------------------------

  /// Makes the tables of the version of the view whose names end in `suffix`.
  void make_tables(const std::string& suffix) {
    sql("create table SCHEMA.balance" + suffix
        + " (id uuid primary key, amount bigint not null)");
    sql("create table SCHEMA.handled" + suffix
        + " (place bigint generated always as identity, seq_no bigint primary "
          "key, id uuid not null, replayed boolean not null)");
  }

  /// Adds up deposits, and notes each event. Handling one twice fails.
  auto handler(const std::string& suffix = "") const {
    return [add = in_schema("insert into SCHEMA.balance" + suffix
                            + " as b values ($1, $2) on conflict (id) do "
                              "update set amount = b.amount + "
                              "excluded.amount"),
            note = in_schema("insert into SCHEMA.handled" + suffix
                             + " (seq_no, id, replayed) values ($1, $2, $3)")](
             const recorded<account>& e, transaction& tx) {
      tx.exec(note, e.seq_no, e.id, e.replayed);
      if (auto* x = e.as<deposited>())
        tx.exec(add, e.id, x->amount);
    };
  }

  /// Calls `first` with each event before the handler.
  template <class F>
  auto handler_after(F first) const {
    return [first, f = handler()](const recorded<account>& e, transaction& tx) {
      first(e);
      f(e, tx);
    };
  }

  /// What empties the view.
  auto emptying() const {
    return [a = in_schema("truncate SCHEMA.balance"),
            b = in_schema("truncate SCHEMA.handled")](transaction& tx,
                                                      std::int32_t) {
      tx.exec(a);
      tx.exec(b);
    };
  }

  /// Returns what is wrong with the view, empty where it is what the journal
  /// adds up to: each event once, and in order for each account.
  std::string faults(const std::string& suffix = "") {
    std::string result;
    auto check = [&](const char* what, const std::string& statement) {
      auto found = *sql(statement)[0][0];
      if (found != "0")
        result += found + " " + what + "; ";
    };
    check("events are missing",
          "select count(*) from SCHEMA.event as e where type_name = 'account' "
          "and not exists (select from SCHEMA.handled"
            + suffix + " as h where h.seq_no = e.seq_no)");
    check("events are out of order",
          "select count(*) from (select seq_no, lag(seq_no) over (partition by "
          "id order by place) as before from SCHEMA.handled"
            + suffix + ") as x where before > seq_no");
    check("balances are wrong",
          "select count(*) from (select entity_id as id, sum((event ->> "
          "'amount')::bigint) as amount from SCHEMA.event where event_name = "
          "'deposited' group by 1) as e full join SCHEMA.balance"
            + suffix
            + " as b using (id) where e.amount is distinct from b.amount");
    return result;
  }

  // -- the database -----------------------------------------------------------

  template <class... Ts>
  rows sql(std::string statement, Ts&&... params) {
    return evented::sql(journal_, in_schema(std::move(statement)),
                        std::forward<Ts>(params)...);
  }

  std::string in_schema(std::string statement) const {
    for (auto at = statement.find("SCHEMA"); at != std::string::npos;
         at = statement.find("SCHEMA"))
      statement.replace(at, 6, options_.schema);
    return statement;
  }

  std::string count(const std::string& table) {
    return *sql("select count(*) from SCHEMA." + table)[0][0];
  }

  // -- accounts ---------------------------------------------------------------

  /// Deposits and returns the event's number.
  std::uint64_t put(std::uint64_t amount = 1) { return put(id_, amount); }

  std::uint64_t put(const uuid& id, std::uint64_t amount) {
    if (accounts_ == nullptr)
      accounts_ = spawn_entities<account>(bank_.sys(), journal_);
    auto answer = bank_.ask(accounts_, id, deposit{amount});
    if (!answer.ok)
      throw std::runtime_error("not accepted: " + render(answer));
    return answer.where.seq_no;
  }

  /// Returns an ID whose slice is in the lower or the upper half.
  static uuid id_in_half(bool upper) {
    for (;;)
      if (auto id = uuid::v4(); (slice_of(id) >= slice_count / 2) == upper)
        return id;
  }

  // -- asking -----------------------------------------------------------------

  template <class Answer, class Message>
  Answer ask(const caf::actor& whom, Message what) {
    auto err = caf::error{};
    auto result = try_ask<Answer>(whom, std::move(what), err);
    if (!result)
      throw std::runtime_error(evented::render(bank_.sys(), err));
    return std::move(*result);
  }

  template <class Answer, class Message>
  std::optional<Answer> try_ask(const caf::actor& whom, Message what,
                                caf::error& err) {
    std::optional<Answer> result;
    // An actor runs in the system of whoever wakes it up, and must not start
    // others there.
    auto home = caf::actor_cast<caf::strong_actor_ptr>(whom)->home_system;
    caf::scoped_actor self{*home};
    self->request(whom, std::chrono::seconds{30}, std::move(what))
      .receive([&](Answer& x) { result = std::move(x); },
               [&](caf::error& x) { err = std::move(x); });
    return result;
  }

  template <class Message>
  void tell(const caf::actor& whom, Message what) {
    ask<control::done>(whom, std::move(what));
  }

  /// Returns the code of the error that answers `what`.
  template <class Answer = control::done, class Message>
  errc refusal(const caf::actor& whom, Message what) {
    caf::error err;
    if (try_ask<Answer>(whom, std::move(what), err))
      return errc::none;
    EXPECT_NE(code_of(err), errc::none) << evented::render(bank_.sys(), err);
    return code_of(err);
  }

  projection_state state_of(const caf::actor& view) {
    return ask<projection_state>(view, control::get_state{});
  }

  std::string wait_for(const caf::actor& view, std::uint64_t seq_no) {
    return wait_for(view, id_, seq_no);
  }

  std::string wait_for(const caf::actor& view, const uuid& id,
                       std::uint64_t seq_no) {
    return ask<reached>(
             view, control::wait_until{id, seq_no, std::chrono::seconds{20}})
      .fate;
  }

  /// Waits until `condition(state)` holds.
  template <class F>
  bool wait_for_state(const caf::actor& view, F condition) {
    return wait_until(
      [&] {
        const auto state = state_of(view);
        return condition(state);
      },
      std::chrono::seconds{20});
  }

  /// Delays of minutes, for what must not wait for them.
  static error_strategy patient(error_strategy how = error_strategy::retry()) {
    how.min_delay = how.max_delay = std::chrono::minutes{10};
    return how;
  }

  /// Hardly any delays.
  static error_strategy eager(error_strategy how = error_strategy::retry()) {
    how.min_delay = how.max_delay = std::chrono::milliseconds{1};
    return how;
  }

  log_lines* log_;
  bank bank_;
  journal_options options_;
  journal journal_;
  uuid id_ = uuid::v4();
  caf::actor accounts_;
};

/// Deposits on a few accounts from another thread until it goes away.
class depositor {
public:
  depositor(bank& from, const journal& where, std::vector<uuid> ids,
            std::chrono::milliseconds pause = std::chrono::milliseconds{1})
    : thread_([&sys = from.sys(), where, ids = std::move(ids), pause,
               this](const std::stop_token& stopped) {
        auto accounts = spawn_entities<account>(sys, where);
        caf::scoped_actor self{sys};
        for (std::size_t i = 0; !stopped.stop_requested(); ++i) {
          self
            ->request(accounts, std::chrono::seconds{30}, ids[i % ids.size()],
                      deposit{1})
            .receive([&](const accepted& x) { last_ = x.seq_no; },
                     [&](const caf::error&) { ++failed_; });
          ++sent_;
          // Its pace, which ends with it.
          std::unique_lock lock{mutex_};
          stopping_.wait_for(lock, stopped, pause, [] { return false; });
        }
      }) {
    // nop
  }

  ~depositor() { stop(); }

  /// Ends it and returns the last number.
  std::uint64_t stop() {
    thread_.request_stop();
    if (thread_.joinable())
      thread_.join();
    return last_;
  }

  /// Waits until it has deposited `n` times more.
  [[nodiscard]] bool more(std::uint64_t n) {
    return wait_until([this, until = sent_ + n] { return sent_ >= until; },
                      std::chrono::seconds{30});
  }

private:
  std::mutex mutex_;
  std::condition_variable_any stopping_;
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> last_{0};
  std::jthread thread_;
};

/// Notices where a handler is called while another call is under way.
struct call_counter {
  std::atomic<int> inside{0};
  std::atomic<int> calls{0};
  std::atomic<bool> twice{false};

  template <class F>
  void call(F f) {
    struct leaving {
      std::atomic<int>& n;
      ~leaving() { --n; }
    } guard{inside};
    if (++inside > 1)
      twice = true;
    ++calls;
    f();
  }
};

} // namespace evented::test
