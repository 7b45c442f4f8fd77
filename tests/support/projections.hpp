#pragma once

#include "support/journals.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <evented/projection_handler.hpp>
#include <evented/range_batch.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace evented::test {

// -- entities -----------------------------------------------------------------

struct happened {
  std::int64_t n = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(n));
  }
};

/// What `typed_handler` asks of an entity.
struct thing {
  static constexpr std::string_view type_name = "thing";
  using id_type = std::string;
  using events = evented::events<happened>;
};

struct gadget {
  static constexpr std::string_view type_name = "gadget";
  using id_type = std::string;
  using events = evented::events<happened>;
};

// -- handlers -----------------------------------------------------------------

/// A handler of single events that need not be decoded.
class event_function : public projection_handler {
public:
  using function
    = std::function<void(const journal_entry&, transaction&, const handling&)>;

  explicit event_function(function f) : f_(std::move(f)) {
    // nop
  }

  [[nodiscard]] bool takes_batches() const noexcept override { return false; }

  void handle(std::span<const journal_entry* const> entries,
              const handling& common, transaction& tx,
              effects&) const override {
    for (auto* x : entries)
      f_(*x, tx, common);
  }

private:
  function f_;
};

/// A handler of batches that need not be decoded.
class batch_function : public projection_handler {
public:
  using entries = std::span<const journal_entry* const>;
  using function = std::function<void(entries, transaction&)>;

  explicit batch_function(function f) : f_(std::move(f)) {
    // nop
  }

  [[nodiscard]] bool takes_batches() const noexcept override { return true; }

  void handle(entries list, const handling&, transaction& tx,
              effects&) const override {
    f_(list, tx);
  }

private:
  function f_;
};

/// Makes the handler that an application would have made of `f`.
template <class... Es, class F>
detail::typed_handler<F, Es...> typed(F f) {
  return {codec::json, std::move(f)};
}

// -- processes ----------------------------------------------------------------

/// What runs projections in one process: a connection and a name for it.
struct runner {
  std::unique_ptr<projection_session> session;
  uuid id = uuid::v4();

  projection_session* operator->() const noexcept { return session.get(); }
  projection_session& operator*() const noexcept { return *session; }
};

/// A point inside of a transaction at which a test holds another thread.
class gate {
public:
  /// Called by the thread that is to be held.
  void pass() {
    reached_.set_value();
    open_.get_future().wait();
  }

  /// Blocks until the other thread is there.
  void wait() { reached_.get_future().wait(); }

  /// Lets it go on.
  void open() { open_.set_value(); }

private:
  std::promise<void> reached_;
  std::promise<void> open_;
};

// -- fixture ------------------------------------------------------------------

/// A journal with one table that projections write: a row for each time that an
/// event was handled.
class projections : public testing::Test {
protected:
  projections() : options(fresh_journal()) { options.ids = id_kind::text; }

  evented::store& store() {
    if (!store_) {
      store_ = open_store(options);
      writer_ = store_->connect();
      db.exec("create table " + view
              + " (place bigserial, seq_no bigint, "
                "entity_id text, version bigint, view_version integer, "
                "replayed boolean)");
    }
    return *store_;
  }

  store_session& writer() {
    store();
    return *writer_;
  }

  // -- the journal ------------------------------------------------------------

  /// Stores events of one entity and returns the last number.
  std::uint64_t append(const std::string& id, std::size_t count = 1,
                       const std::string& type = "thing",
                       std::string_view name = "happened",
                       const std::string& payload = R"({"n":1})") {
    append_step step;
    step.append_id = uuid::v4();
    auto& version = versions_[type + "/" + id];
    step.after = version;
    step.events.assign(count, new_event{name, 1, payload, ""});
    append_request x{type, id, {step}, {}};
    append_all(writer(), {&x});
    EXPECT_EQ(x.steps[0].status, append_status::stored) << x.steps[0].message;
    version += count;
    return x.steps[0].seq_no;
  }

  /// Returns what appends one event of a new entity, over a raw connection.
  std::string raw_append(const std::string& id) const {
    return test::raw_append(options.schema, id);
  }

  [[nodiscard]] static event_filter all(slice_range slices = {}) {
    return {.types = {"gadget", "thing"}, .slices = slices};
  }

  // -- processes --------------------------------------------------------------

  /// Says that a process is alive, or that it was so until `lease` from now.
  void heartbeat(const uuid& id, const std::string& lease = "1 hour") {
    db.exec("select " + options.schema + ".heartbeat(array['" + to_string(id)
            + "'::uuid], array['host'], '" + lease + "')");
  }

  void declare_dead(const uuid& id) { heartbeat(id, "-1 second"); }

  runner connect(evented::store& where) {
    runner result{where.connect_projections()};
    heartbeat(result.id);
    return result;
  }

  runner connect() { return connect(store()); }

  void declare(std::uint16_t ranges = 1) {
    store().connect_projections()->declare(projection, 1, ranges,
                                           from_beginning{});
  }

  std::optional<range_lease> try_take(const runner& who,
                                      std::uint16_t first = 0,
                                      std::int32_t version = 1,
                                      std::int32_t revision = 1) const {
    return who->acquire({projection, version, first}, revision, who.id);
  }

  range_lease take(const runner& who, std::uint16_t first = 0,
                   std::int32_t version = 1) const {
    auto result = try_take(who, first, version);
    if (!result)
      throw std::runtime_error("the range cannot be taken");
    return *result;
  }

  /// Reads what a range has to handle next.
  range_batch read(const runner& who, const range_lease& lease,
                   std::size_t limit = 1000) {
    auto up_to = writer().frontier();
    if (lease.barrier)
      up_to = std::min(up_to, *lease.barrier);
    range_batch result;
    result.lease = lease;
    result.up_to = lease.seq_no;
    if (up_to <= lease.seq_no)
      return result;
    auto found = who->read(all(lease.slices), lease.seq_no, up_to, limit);
    result.entries = std::move(found.entries);
    result.up_to = found.up_to;
    return result;
  }

  /// Handles everything that waits for a range.
  range_batch run(const runner& who, range_lease& lease,
                  const projection_handler& handler, std::size_t limit = 1000) {
    for (;;) {
      auto x = read(who, lease, limit);
      auto before = lease.seq_no;
      handle_batch(*who, handler, x, false, never);
      lease = x.lease;
      if (x.outcome != batch_outcome::committed || lease.seq_no == before)
        return x;
    }
  }

  // -- the view ---------------------------------------------------------------

  /// Writes the view.
  void write(const journal_entry& x, transaction& tx,
             const handling& common = {}) const {
    tx.exec("insert into " + view
              + " (seq_no, entity_id, version, view_version, replayed) "
                "values ($1, $2, $3, $4, $5)",
            x.event.seq_no, x.type_name + "/" + to_string(x.id),
            x.event.version, common.view_version,
            x.event.seq_no <= common.mark);
  }

  [[nodiscard]] event_function writing_handler() const {
    return event_function{
      [this](const journal_entry& x, transaction& tx, const handling& common) {
        write(x, tx, common);
      }};
  }

  /// A step that writes one row.
  projection_step step(std::uint64_t up_to) const {
    projection_step result;
    result.up_to = up_to;
    result.work = [this, up_to](transaction& tx) {
      tx.exec("insert into " + view + " (seq_no) values ($1)", up_to);
    };
    return result;
  }

  /// Renders the sequence numbers in the view in the order of their handling.
  std::string handled(const std::string& where = "true") {
    return db.exec("select string_agg(seq_no::text, ' ' order by place) from "
                   + view + " where " + where);
  }

  /// Renders the dead letters: "3 parked, 4 behind".
  std::string letters(const runner& who) {
    std::string result;
    for (auto& x : who->letters(projection, 0, 1000))
      result += (result.empty() ? "" : ", ") + std::to_string(x.seq_no) + " "
                + std::string{to_string(x.kind)};
    return result;
  }

  std::uint64_t checkpoint(std::uint16_t first = 0, std::int32_t version = 1) {
    return std::stoull(db.exec("select seq_no from " + options.schema
                               + ".projection_range where name = '" + projection
                               + "' and version = " + std::to_string(version)
                               + " and slice_from = " + std::to_string(first)));
  }

  /// Blocks until `count` server processes of this test wait for a lock.
  static bool wait_for_blocked(int count = 1) {
    raw_connection watcher;
    return wait_until([&] {
      return std::stoi(watcher.exec("select count(*) from pg_stat_activity "
                                    "where wait_event_type = 'Lock'"))
             >= count;
    });
  }

  journal_options options;
  /// What the functions above are about.
  std::string projection = "p";
  raw_connection db;
  std::string view = options.schema + ".view";
  std::atomic<bool> never{false};

private:
  std::shared_ptr<evented::store> store_;
  std::unique_ptr<store_session> writer_;
  std::map<std::string, std::uint64_t> versions_;
};

/// Returns the error that `f` throws, `none` where it throws nothing.
template <class F>
errc code_thrown_by(F&& f) {
  try {
    f();
  } catch (const error& e) {
    return e.code();
  }
  return errc::none;
}

} // namespace evented::test
