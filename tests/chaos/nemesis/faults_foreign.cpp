#include "chaos/nemesis/faults.hpp"

#include <array>

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

/// Makes a fault out of a session that begins something and holds it.
fault held(const std::string& name,
           std::function<std::string(const std::string& schema, dice&)> sql) {
  return {name, 300ms, 2500ms,
          [name, sql = std::move(sql)](bed& on, dice& from) {
            foreign_session session{on.url()};
            session.send(sql(on.schema(), from));
            on.sessions().insert_or_assign(name, std::move(session));
          },
          [name](bed& on) { on.sessions().erase(name); }};
}

/// The same for what is to run to its end; mended when it is there.
fault maintenance(
  const std::string& name,
  std::function<std::string(const std::string& schema, dice&)> sql,
  std::function<void(bed&)> after = nullptr) {
  auto result = held(name, std::move(sql));
  result.mend = [name, after = std::move(after)](bed& on) {
    if (auto found = on.sessions().find(name); found != on.sessions().end()) {
      (void)found->second.finish(3s);
      on.sessions().erase(found);
    }
    if (after)
      after(on);
  };
  return result;
}

/// Ends the transactions that `prepare` has left, as an operator would.
void end_prepared(bed& on) {
  on.sessions().erase("prepare_transaction");
  observer db{on.url()};
  for (auto& row : db.query("select gid from pg_prepared_xacts"))
    db.query("rollback prepared '" + row[0] + "'");
}

} // namespace

void add_foreign_faults(faults& to) {
  to.push_back(held("lock_journal", [](auto& schema, dice& from) {
    static constexpr std::array modes{"access exclusive", "exclusive", "share"};
    return "begin; lock table " + schema + ".event in "
           + modes[from.below(modes.size())] + " mode";
  }));
  to.push_back(held("lock_other_tables", [](auto& schema, dice& from) {
    static constexpr std::array tables{"command",    "projection_range",
                                       "runner",     "snapshot",
                                       "view_total", "event_shape"};
    return "begin; lock table " + schema + "."
           + tables[from.below(tables.size())] + " in access exclusive mode";
  }));
  to.push_back(held("lock_rows", [](auto& schema, dice&) {
    return "begin; select from " + schema
           + ".projection_range for update; "
             "select from "
           + schema + ".view_total for update";
  }));
  to.push_back(held("long_transaction", [](auto& schema, dice&) {
    return "begin isolation level repeatable read; create table " + schema
           + ".foreign_table as select * from " + schema + ".event";
  }));
  // Holds the frontier, as an append would whose commit is in doubt.
  to.push_back(held("prepare_transaction", [](auto& schema, dice&) {
    return "begin; select " + schema + ".hold_frontier(); select nextval('"
           + schema + ".event_seq_no_seq'); prepare transaction 'foreign'";
  }));
  to.back().mend = end_prepared;
  to.push_back(maintenance("vacuum_full", [](auto& schema, dice& from) {
    static constexpr std::array tables{"event", "command", "projection_range"};
    return "vacuum full " + schema + "." + tables[from.below(tables.size())];
  }));
  to.push_back(maintenance(
    "build_index",
    [](auto& schema, dice& from) {
      return "create index "
             + std::string{from.percent(50) ? "concurrently " : ""}
             + "if not exists foreign_index on " + schema
             + ".event (created_at)";
    },
    [](bed& on) {
      observer db{on.url()};
      db.query("set lock_timeout = '300ms'");
      db.query("drop index if exists " + on.schema() + ".foreign_index");
    }));
}

} // namespace evented::test::nemesis
