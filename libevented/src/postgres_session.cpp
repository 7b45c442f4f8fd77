#include "detail/append_call.hpp"
#include "detail/append_checks.hpp"
#include "detail/append_errors.hpp"
#include "detail/arrays.hpp"
#include "detail/event_reader.hpp"
#include "detail/event_rows.hpp"
#include "detail/index_order.hpp"
#include "detail/listener_transaction.hpp"
#include "detail/outbox_calls.hpp"
#include "detail/schema.hpp"
#include "detail/shape_recorder.hpp"
#include "postgres_store.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

namespace evented::detail {

namespace {

/// Checks whether `e` leaves open what became of `call`: an earlier attempt,
/// whose reply was lost, may have met a database that did not refuse. Bad data
/// is refused every time.
bool says_too_little(const append_call& call, const sql_error& e) {
  return call.maybe_sent() && refusal(e) == errc::refused;
}

class postgres_session : public store_session {
public:
  postgres_session(const journal_options& options, const pq::settings& how,
                   std::shared_ptr<watchdog> dog)
    : options_(options), dog_(std::move(dog)), db_(how, *dog_) {
    auto name = [this](const char* key, const std::string& sql) {
      db_.prepare(key, fill_in(sql, options_));
    };
    name("evented_append",
         "select * from {schema}.append($1::text[], $2::{id_type}[], "
         "$3::bigint[], $4::smallint[], $5::text[], $6::integer[], "
         "$7::uuid[], $8::{payload_wire}[], $9::text[], $10::text[], "
         "$11::boolean[], $12::integer[], $13::integer[], "
         "$14::text[], $15::{id_type}[], $16::uuid[], $17::bigint[], "
         "$18::boolean[], $19::text[], $20::bigint[], $21::text[], "
         "$22::text[], $23::bytea[], "
         "$24::integer[], $25::text[], $26::bytea[], $27::timestamptz[], "
         "$28::text[], $29::{id_type}[], $30::bigint[])");
    name("evented_append_event",
         "select {schema}.append_event($1::text, $2::{id_type}, $3::bigint, "
         "$4::smallint, $5::text, $6::integer, $7::uuid, $8::{payload_wire}, "
         "nullif($9::text, ''))");
    // The lateral sub-selects make the primary keys the only plan.
    const std::string requests
      = "unnest($1::text[], $2::{id_type}[], $3::bigint[], $4::boolean[]) with "
        "ordinality as r (type_name, entity_id, after, fresh, place) ";
    const std::string event
      = "e.seq_no, e.version, e.event_name, e.schema_version, "
        "case when $6::boolean then (date_part('epoch', e.created_at) * "
        "1e6)::bigint "
        "end, e.event, case when $6::boolean then e.metadata end, "
        "case when $6::boolean then array_to_string(e.tags, chr(10)) end ";
    auto events_after = [](const std::string& version) {
      return "cross join lateral (select * from {schema}.event as x "
             "where x.type_name = r.type_name and x.entity_id = r.entity_id "
             "and x.version > "
             + version + " order by x.version limit $5::bigint) as e ";
    };
    name("evented_load", "select r.place, " + event + "from " + requests
                           + events_after("r.after"));
    // The same for entities that begin anew. Where seq_no is null: a snapshot
    // (kind 1) or a horizon (kind 0). A journal without any horizon does not
    // look for one per entity.
    const auto horizon = [](const std::string& from) {
      return "select place, 0 as kind, null::bigint as seq_no, h.version as "
             "version, h.archived::text as event_name, 0 as schema_version, "
             "0::bigint, null::{payload_type}, null::jsonb, null::text "
             "from "
             + from
             + " cross join lateral (select * from {schema}.horizon as x "
               "where r.after = 0 and x.type_name = r.type_name and "
               "x.entity_id = r.entity_id limit 1) as h "
               "where exists (select from {schema}.horizon) ";
    };
    name("evented_load_fresh",
         horizon(requests) + "union all select r.place, 2, " + event + "from "
           + requests + events_after("r.after"));
    // And for those of which some begin with a snapshot.
    name(
      "evented_load_snapshots",
      "with r as materialized (select r.*, s.version as base, "
      "s.schema_version, s.created_at, s.state from "
        + requests
        + "left join lateral (select * from {schema}.snapshot as x "
          "where r.fresh and x.type_name = r.type_name and x.entity_id = "
          "r.entity_id and x.version > r.after "
          "order by x.version desc limit 1) as s on true) "
        + horizon("r")
        + "union all select place, 1, null, base, null, schema_version, "
          "(date_part('epoch', created_at) * 1e6)::bigint, state, null, null "
          "from r where base is not null "
          "union all select r.place, 2, "
        + event + "from r " + events_after("greatest(r.after, r.base)"));
    name("evented_save_snapshots",
         "select {schema}.save_snapshots($1::text[], $2::{id_type}[], "
         "$3::bigint[], $4::bigint[], $5::integer[], $6::{payload_wire}[], "
         "$7::integer)");
    name("evented_forget_commands",
         "select {schema}.forget_commands($1::text, $2::bigint * interval '1 "
         "second', $3::integer)");
    name("evented_frontier", "select {schema}.frontier()");
  }

  bool append(std::span<append_request* const> batch) override {
    db_.check_alive();
    std::vector<append_request*> plain;
    std::vector<append_request*> listened;
    for (auto* request : batch) {
      for (auto& step : request->steps) {
        if (step.status == append_status::pending) {
          step.message.clear();
          refuse_bad_events(step);
          refuse_bad_record(step);
        }
      }
      append_call::settle(*request);
      if (kind(request->id) != options_.ids || !valid(request->id))
        refuse_id(*request);
      else if (request->listener == nullptr)
        plain.push_back(request);
      else
        listened.push_back(request);
    }
    // The order in which the append function wants its rows. It is the same in
    // every process, so that two writers cannot wait for each other.
    auto in_order = [](append_request* a, append_request* b) {
      return std::tie(a->type_name, a->id) < std::tie(b->type_name, b->id);
    };
    std::sort(plain.begin(), plain.end(), in_order);
    std::sort(listened.begin(), listened.end(), in_order);
    shapes_.record(plain);
    store_plain(plain);
    shapes_.record(listened);
    store_listened(listened);
    return std::none_of(batch.begin(), batch.end(), [](append_request* x) {
      return std::any_of(x->steps.begin(), x->steps.end(), [](auto& step) {
        return step.status == append_status::pending;
      });
    });
  }

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    std::vector<load_result> result(batch.size());
    if (batch.empty())
      return result;
    array_builder types{text_oid};
    array_builder ids{oid_of(options_.ids)};
    array_builder after{int8_oid};
    array_builder fresh{bool_oid};
    auto any_fresh = false;
    auto any_snapshot = false;
    auto whole = false;
    for (auto& x : batch) {
      if (kind(x.id) != options_.ids || !valid(x.id))
        throw error(errc::invalid_id,
                    "an ID of the wrong kind for this journal");
      types.add(x.type_name);
      ids.add_id(x.id);
      after.add_int64(static_cast<std::int64_t>(x.after));
      fresh.add_bool(x.snapshot);
      any_fresh = any_fresh || x.after == 0;
      any_snapshot = any_snapshot || x.snapshot;
      whole = whole || !x.lean;
    }
    auto limit = std::max<std::size_t>(16, max_events / batch.size());
    const auto* statement = any_snapshot ? "evented_load_snapshots"
                            : any_fresh  ? "evented_load_fresh"
                                         : "evented_load";
    auto found = load_order_.run([&] {
      return db_.call(statement, pq::binary{std::move(types).finish()},
                      pq::binary{std::move(ids).finish()},
                      pq::binary{std::move(after).finish()},
                      pq::binary{std::move(fresh).finish()},
                      std::uint64_t{limit},
                      std::string_view{whole ? "t" : "f"});
    });
    const auto first = any_fresh || any_snapshot ? 2 : 1;
    for (const auto& row : found) {
      pq::cells in{row};
      auto& to = result[pq::number(in.next()) - 1];
      if (first == 2)
        in.next();
      if (in.next().is_null())
        read_beginning(to, row);
      else
        to.events.push_back(read_event(row, first, options_.payloads));
    }
    for (auto& x : result) {
      // They come in order, but only a sort in the server would promise it.
      auto in_order = [](auto& a, auto& b) { return a.version < b.version; };
      if (!std::is_sorted(x.events.begin(), x.events.end(), in_order))
        std::sort(x.events.begin(), x.events.end(), in_order);
      x.more = x.events.size() >= limit;
    }
    return result;
  }

  void save_snapshots(std::span<const new_snapshot> batch,
                      unsigned keep) override {
    array_builder types{text_oid};
    array_builder ids{oid_of(options_.ids)};
    array_builder versions{int8_oid};
    array_builder seq_nos{int8_oid};
    array_builder schema_versions{int4_oid};
    array_builder states{options_.payloads == codec::json ? text_oid
                                                          : bytea_oid};
    for (auto& x : batch) {
      types.add(x.type_name);
      ids.add_id(x.id);
      versions.add_int64(static_cast<std::int64_t>(x.version));
      seq_nos.add_int64(static_cast<std::int64_t>(x.seq_no));
      schema_versions.add_int32(x.schema_version);
      states.add(x.state);
    }
    db_.call("evented_save_snapshots", pq::binary{std::move(types).finish()},
             pq::binary{std::move(ids).finish()},
             pq::binary{std::move(versions).finish()},
             pq::binary{std::move(seq_nos).finish()},
             pq::binary{std::move(schema_versions).finish()},
             pq::binary{std::move(states).finish()}, std::uint64_t{keep});
  }

  std::vector<std::int32_t>
  snapshot_shapes(std::string_view type_name) override {
    auto found = db_.exec_params(
      fill_in("select {schema}.snapshot_shapes($1)", options_),
      {parameter{std::string{type_name}}});
    std::vector<std::int32_t> result;
    for (const auto& row : found)
      result.push_back(static_cast<std::int32_t>(pq::number(row[0])));
    return result;
  }

  std::size_t forget_commands(std::string_view type_name,
                              std::chrono::seconds age,
                              std::size_t limit) override {
    auto found
      = db_.call("evented_forget_commands", type_name,
                 static_cast<std::uint64_t>(age.count()), std::uint64_t{limit});
    return pq::number(found[0][0]);
  }

  claimed_messages claim_messages(const message_claim& what) override {
    return outbox_.claim(what);
  }

  void settle_messages(std::span<const settled_message> batch) override {
    outbox_.settle(batch);
  }

  std::vector<std::string>
  waiting_targets(std::string_view type_name) override {
    return outbox_.waiting_targets(type_name);
  }

  std::uint64_t frontier() override {
    try {
      return pq::number(db_.call("evented_frontier")[0][0]);
    } catch (const sql_error& e) {
      if (e.sqlstate() == "EV003")
        throw error(errc::incompatible, e.what());
      throw;
    }
  }

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    return reader_.read(filter, after, up_to, limit);
  }

  std::vector<event_shape> shapes(std::string_view type_name) override {
    return shapes_.shapes(type_name);
  }

  bool holds(std::string_view type_name, const event_shape& shape) override {
    return shapes_.holds(type_name, shape);
  }

  rows query(std::string_view sql,
             const std::vector<parameter>& params) override {
    return pq::to_rows(db_.exec_params(std::string{sql}, params));
  }

private:
  /// Reads a row that is no event: a snapshot, or a horizon.
  void read_beginning(load_result& to, const pqxx::row& row) const {
    auto version = pq::number(row[3]);
    if (pq::number(row[1]) == 0) {
      to.horizon = version;
      to.archived = pq::text(row[4]) == "true";
      return;
    }
    to.snapshot = stored_snapshot{
      version, static_cast<std::int32_t>(pq::number(row[5])),
      microseconds(pq::text(row[6])), read_payload(row[7], options_.payloads)};
  }

  void refuse_id(append_request& request) const {
    for (auto& step : request.steps) {
      step.status = append_status::failed;
      step.failure = errc::invalid_id;
      step.message = "this journal holds IDs of kind "
                     + std::string{to_string(options_.ids)};
    }
  }

  // -- entity types without a listener: one statement, autocommitted ----------

  void store_plain(std::span<append_request* const> requests) {
    append_call call{options_, requests};
    if (call.empty())
      return;
    try {
      with_retries([&] {
        if (!store_plain_event(call))
          call.take(run([&] { return execute(call); }));
      });
    } catch (const connection_lost&) {
      call.mark_sent();
      throw;
    } catch (const sql_error& e) {
      if (transient(e)) {
        call.note(e.what());
      } else if (requests.size() > 1) {
        // Something that fails before the function runs, for example a text
        // that is not valid in the server's encoding: find out whose it is.
        auto half = requests.size() / 2;
        store_plain(requests.first(half));
        store_plain(requests.subspan(half));
      } else {
        store_one_by_one(*requests.front());
      }
    }
  }

  void store_one_by_one(append_request& request) {
    append_request* one = &request;
    append_call call{options_, {&one, 1}, 1};
    while (!call.empty()) {
      try {
        call.take(run([&] { return execute(call); }));
      } catch (const connection_lost&) {
        call.mark_sent();
        throw;
      } catch (const sql_error& e) {
        if (transient(e) || says_too_little(call, e)) {
          call.note(e.what());
          return;
        }
        call.fail(refusal(e), e.what());
      }
      call = append_call{options_, {&one, 1}, 1};
    }
  }

  /// Tries the short way. Returns whether it led to the end; where not, nothing
  /// was stored, and only the append function can tell why.
  bool store_plain_event(append_call& call) {
    if (!call.is_plain_event())
      return false;
    auto found = run([&] {
      return std::apply(
        [this](const auto&... x) {
          return db_.call("evented_append_event", x...);
        },
        call.event_parameters());
    });
    if (found[0][0].is_null())
      return false;
    call.take(pq::number(found[0][0]));
    return true;
  }

  /// Runs `execute`, which sends one statement, as a transaction of its own.
  template <class F>
  pqxx::result run(F&& execute) {
    if (options_.pooler != pooler::transaction)
      return execute();
    // What a session cannot be trusted to keep is set per transaction.
    begin(options_.statement_timeout);
    try {
      auto result = execute();
      db_.exec("commit");
      return result;
    } catch (const sql_error&) {
      db_.exec("rollback");
      throw;
    }
  }

  pqxx::result execute(append_call& call) {
    auto xs = call.parameters();
    return std::apply(
      [this](const auto&... x) { return db_.call("evented_append", x...); },
      xs);
  }

  void begin(std::chrono::milliseconds limit) {
    auto ms = [](auto x) { return std::to_string(x.count()); };
    std::string sql = "begin isolation level read committed; "
                      "set local statement_timeout = "
                      + ms(limit);
    if (options_.pooler == pooler::transaction)
      sql += "; set local lock_timeout = " + ms(options_.lock_timeout)
             + "; set local idle_in_transaction_session_timeout = "
             + ms(options_.statement_timeout)
             + "; set local synchronous_commit = on"
               "; set local bytea_output = hex";
    db_.exec(sql);
  }

  // -- entity types with a listener: one transaction --------------------------

  /// Nothing that the server has seen before COMMIT can become durable, so a
  /// connection that breaks earlier leaves nothing unknown.
  template <class F>
  void before_commit(F&& f) {
    try {
      f();
    } catch (const connection_lost& e) {
      throw connection_lost(false, e.what());
    }
  }

  /// Commits. Where the connection breaks now, the steps of `call` are unknown.
  void commit(append_call& call) {
    try {
      db_.exec("commit");
    } catch (const connection_lost&) {
      call.mark_sent();
      throw;
    }
  }

  void store_listened(std::span<append_request* const> requests) {
    append_call call{options_, requests};
    if (call.empty())
      return;
    try {
      // Listeners rarely object, so all go without savepoints first; where one
      // does, everything is rolled back and repeated with one savepoint a
      // command.
      if (!store_together(call))
        store_guarded(requests, 64);
    } catch (const sql_error& e) {
      if (!transient(e))
        SPDLOG_WARN("evented: an append with a listener is refused: {}",
                    e.what());
      call.note(e.what());
    }
  }

  bool store_together(append_call& call) {
    auto clean = false;
    append_call::outcomes result;
    before_commit([&] {
      begin(options_.listener_timeout);
      try {
        result = call.read(execute(call));
        clean = true;
        for (auto& x : result.steps) {
          if (x.status == append_status::stored && !x.found) {
            auto verdict = ask_listener(x);
            if (verdict.status != append_status::stored) {
              clean = false;
              break;
            }
          }
        }
      } catch (const sql_error& e) {
        db_.exec("rollback");
        if (transient(e))
          throw;
        clean = false;
        return;
      }
      if (!clean)
        db_.exec("rollback");
    });
    if (!clean)
      return false;
    try {
      commit(call);
    } catch (const sql_error&) {
      // A deferred constraint, say: somebody's, but whose?
      return false;
    }
    call.apply(result);
    return true;
  }

  /// Stores up to `limit` commands in one transaction, a savepoint each. More
  /// than 64 subtransactions would make every snapshot of the server slow.
  void store_guarded(std::span<append_request* const> requests,
                     std::size_t limit) {
    std::vector<append_call> calls;
    std::vector<append_call::outcomes> results;
    before_commit([&] {
      begin(options_.listener_timeout);
      // The lock must be taken outside of the savepoints: rolling back to one
      // would release it.
      db_.exec(fill_in("select {schema}.hold_frontier()", options_));
      try {
        for (auto* request : requests) {
          append_request* one = request;
          auto skip = std::size_t{0};
          while (calls.size() < limit) {
            append_call call{options_, {&one, 1}, 1, skip};
            if (call.empty())
              break;
            auto result = store_in_savepoint(call);
            auto failed = result.steps.back().status != append_status::stored;
            skip += result.steps.size();
            calls.push_back(std::move(call));
            results.push_back(std::move(result));
            if (failed)
              break;
          }
        }
      } catch (const sql_error&) {
        db_.exec("rollback");
        throw;
      }
    });
    try {
      try {
        db_.exec("commit");
      } catch (const connection_lost&) {
        for (auto& call : calls)
          call.mark_sent();
        throw;
      }
    } catch (const sql_error& e) {
      if (transient(e))
        throw;
      if (calls.size() > 1) {
        for (auto* request : requests)
          store_guarded({&request, 1}, 1);
        return;
      }
      for (auto& call : calls)
        call.fail(errc::listener_failed,
                  std::string{"refused at commit: "} + e.what());
      return;
    }
    for (std::size_t i = 0; i < calls.size(); ++i)
      calls[i].apply(results[i]);
  }

  append_call::outcomes store_in_savepoint(append_call& call) {
    db_.exec("savepoint evented");
    append_call::outcomes result;
    try {
      result = call.read(execute(call));
    } catch (const sql_error& e) {
      if (transient(e) || says_too_little(call, e))
        throw;
      db_.exec("rollback to savepoint evented");
      result = call.all_failed(refusal(e), e.what());
      return result;
    }
    auto& step = result.steps.back();
    if (step.status == append_status::stored && !step.found)
      step = ask_listener(step);
    db_.exec(step.status == append_status::stored
               ? "release savepoint evented"
               : "rollback to savepoint evented");
    return result;
  }

  /// Shows the events of a stored step to the listener and returns the step's
  /// outcome.
  append_call::outcome ask_listener(append_call::outcome from) {
    auto& request = *from.request;
    auto& step = *from.step;
    if (step.events.empty())
      return from;
    listener_transaction tx{db_, options_.listener_timeout};
    auto fail = [&](std::string why) {
      from.status = append_status::failed;
      from.failure = errc::listener_failed;
      from.message = std::move(why);
      // Known for sure, even if the connection does not survive it.
      if (tx.overdue()) {
        step.status = from.status;
        step.failure = from.failure;
        step.message = from.message;
      }
      return from;
    };
    for (std::size_t i = 0; i < step.events.size(); ++i) {
      std::any veto;
      try {
        veto = request.listener->on_event({request.id, step.events[i],
                                           step.after + 1 + i, from.seq_nos[i],
                                           step.typed.get(), i},
                                          tx);
      } catch (const std::exception& e) {
        tx.check();
        return fail(std::string{"the event listener threw: "} + e.what());
      } catch (...) {
        tx.check();
        return fail("the event listener threw something that is no "
                    "std::exception");
      }
      if (tx.overdue())
        return fail("the event listener took longer than "
                    + std::to_string(options_.listener_timeout.count())
                    + " ms");
      tx.check();
      if (auto swallowed = tx.failure(); !swallowed.empty())
        return fail("the event listener went on after a failed statement: "
                    + swallowed);
      if (veto.has_value()) {
        from.status = append_status::vetoed;
        from.veto = std::move(veto);
        return from;
      }
    }
    return from;
  }

  journal_options options_;
  std::shared_ptr<watchdog> dog_;
  pq::connection db_;
  event_reader reader_{db_, options_};
  index_order load_order_{db_, options_, true};
  shape_recorder shapes_{db_, options_};
  outbox_calls outbox_{db_, options_};
};

} // namespace

std::unique_ptr<store_session>
make_postgres_session(const journal_options& options, const pq::settings& how,
                      std::shared_ptr<watchdog> dog) {
  return std::make_unique<postgres_session>(options, how, std::move(dog));
}

} // namespace evented::detail
