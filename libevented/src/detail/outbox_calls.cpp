#include "detail/outbox_calls.hpp"

#include "detail/append_errors.hpp"
#include "detail/arrays.hpp"
#include "detail/event_rows.hpp"
#include "detail/schema.hpp"

#include <algorithm>

namespace evented::detail {

outbox_calls::outbox_calls(pq::connection& db, const journal_options& options)
  : db_(db), options_(options) {
  auto name = [this](const char* key, const char* sql) {
    db_.prepare(key, fill_in(sql, options_));
  };
  name(
    "evented_claim_messages",
    "select id, entity_id, version, append_id, target, message, attempts "
    "from {schema}.claim_messages($1::text, $2::text[], $3::uuid, $4::bigint "
    "* interval '1 millisecond', $5::integer) order by due_at, id");
  name("evented_next_message",
       "select {schema}.next_message($1::text, $2::text[])");
  name("evented_complete_messages",
       "select {schema}.complete_messages($1::bigint[], $2::uuid[])");
  name("evented_postpone_messages",
       "select {schema}.postpone_messages($1::bigint[], $2::uuid[], "
       "$3::bigint[], $4::boolean[])");
  name("evented_waiting_targets", "select {schema}.waiting_targets($1::text)");
}

claimed_messages outbox_calls::claim(const message_claim& what) {
  auto targets = [&] {
    array_builder names{text_oid};
    for (auto& x : what.targets)
      names.add(x);
    return pq::binary{std::move(names).finish()};
  };
  auto claim = uuid::v4();
  pqxx::result found;
  // A claim skips what is locked. Where it has to follow a message to a version
  // that somebody has just written, PostgreSQL lets it wait all the same, and it
  // may be the one in a circle that has to give way.
  with_retries([&] {
    found = db_.call("evented_claim_messages", what.type_name, targets(),
                     to_string(claim),
                     static_cast<std::uint64_t>(what.lease.count()),
                     std::uint64_t{what.limit});
  });
  claimed_messages result;
  for (const auto& row : found) {
    if (row[0].is_null()) {
      result.next = std::chrono::milliseconds{0};
      continue;
    }
    auto& x = result.messages.emplace_back();
    x.id = pq::number(row[0]);
    x.claim = claim;
    x.entity = read_id(options_.ids, pq::text(row[1]));
    x.version = pq::number(row[2]);
    x.append_id = uuid::parse(pq::text(row[3])).value_or(uuid{});
    x.target = pq::text(row[4]);
    x.message = parse_bytea(pq::text(row[5]));
    x.attempts = static_cast<std::uint32_t>(pq::number(row[6]));
  }
  // Whoever gets as many as asked for comes back at once.
  if (!result.next && result.messages.size() < what.limit) {
    auto next = db_.call("evented_next_message", what.type_name, targets());
    if (!next[0][0].is_null())
      // It may have fallen due since.
      result.next = std::chrono::milliseconds{
        std::max<std::int64_t>(0, next[0][0].as<std::int64_t>())};
  }
  return result;
}

void outbox_calls::settle(std::span<const settled_message> batch) {
  array_builder done{int8_oid};
  array_builder done_claims{uuid_oid};
  array_builder again{int8_oid};
  array_builder again_claims{uuid_oid};
  array_builder delays{int8_oid};
  array_builder failed{bool_oid};
  std::size_t delivered = 0;
  // In the order in which appends take timers away, so that two cannot wait for
  // each other.
  std::vector<settled_message> in_order{batch.begin(), batch.end()};
  std::sort(in_order.begin(), in_order.end(),
            [](auto& a, auto& b) { return a.id < b.id; });
  for (auto& x : in_order) {
    auto id = static_cast<std::int64_t>(x.id);
    if (!x.again) {
      done.add_int64(id);
      done_claims.add_uuid(x.claim);
      ++delivered;
      continue;
    }
    again.add_int64(id);
    again_claims.add_uuid(x.claim);
    delays.add_int64(x.again->count());
    failed.add_bool(x.failed);
  }
  auto complete = [this, ids = pq::binary{std::move(done).finish()},
                   claims = pq::binary{std::move(done_claims).finish()}] {
    db_.call("evented_complete_messages", ids, claims);
  };
  auto postpone = [this, ids = pq::binary{std::move(again).finish()},
                   claims = pq::binary{std::move(again_claims).finish()},
                   delays = pq::binary{std::move(delays).finish()},
                   failed = pq::binary{std::move(failed).finish()}] {
    db_.call("evented_postpone_messages", ids, claims, delays, failed);
  };
  if (options_.pooler != pooler::transaction) {
    if (delivered > 0)
      with_retries(complete);
    if (delivered < batch.size())
      with_retries(postpone);
    return;
  }
  with_retries([&] {
    // What moves up is told by what was committed meanwhile, and behind a pooler
    // the session's isolation level cannot be trusted.
    db_.exec("begin isolation level read committed");
    try {
      if (delivered > 0)
        complete();
      if (delivered < batch.size())
        postpone();
      db_.exec("commit");
    } catch (const sql_error&) {
      db_.exec("rollback");
      throw;
    }
  });
}

std::vector<std::string>
outbox_calls::waiting_targets(std::string_view type_name) {
  std::vector<std::string> result;
  for (const auto& row : db_.call("evented_waiting_targets", type_name))
    result.emplace_back(pq::text(row[0]));
  return result;
}

} // namespace evented::detail
