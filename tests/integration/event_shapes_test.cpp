// What a journal knows of the shapes of its events, so that a program can tell
// at its start whether it can read them.

#include "support/journals.hpp"

#include <evented/evolution.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;
using evented::test::raw_connection;

namespace {

new_event make_event(std::string_view name, std::int32_t schema_version) {
  return {name, schema_version, "{}", ""};
}

append_request make_request(std::string id, std::vector<new_event> events,
                            std::uint64_t after = 0,
                            std::string type_name = "thing") {
  append_step step;
  step.append_id = uuid::v4();
  step.after = after;
  step.events = std::move(events);
  return {std::move(type_name), std::move(id), {std::move(step)}, {}};
}

std::string render(const std::vector<event_shape>& shapes) {
  std::string result;
  for (auto& x : shapes)
    result += (result.empty() ? "" : " ") + x.name + "/"
              + std::to_string(x.schema_version);
  return result;
}

enum class backend { memory, postgres };

class event_shapes : public testing::TestWithParam<backend> {
protected:
  event_shapes() {
    journal_options options;
    if (GetParam() == backend::postgres)
      options = test::fresh_journal();
    options.ids = id_kind::text;
    store_ = GetParam() == backend::postgres ? open_store(options)
                                             : make_memory_store(options);
    session_ = store_->connect();
  }

  append_status append(append_request x) {
    append_all(*session_, {&x});
    return x.steps[0].status;
  }

  std::shared_ptr<store> store_;
  std::unique_ptr<store_session> session_;
};

INSTANTIATE_TEST_SUITE_P(stores, event_shapes,
                         testing::Values(backend::memory, backend::postgres),
                         [](auto& x) {
                           return x.param == backend::memory ? "memory"
                                                             : "postgres";
                         });

} // namespace

// -- both stores --------------------------------------------------------------

TEST_P(event_shapes, an_empty_journal_has_none) {
  EXPECT_EQ(render(session_->shapes("thing")), "");
  EXPECT_FALSE(session_->holds("thing", {"a", 1}));
}

TEST_P(event_shapes, are_those_of_what_was_appended) {
  append(make_request("1", {make_event("b", 2), make_event("a", 1)}));
  append(make_request("2", {make_event("b", 10), make_event("b", 2)}));
  append(make_request("1", {make_event("c", 1)}, 0, "other"));
  EXPECT_EQ(render(session_->shapes("thing")), "a/1 b/2 b/10");
  EXPECT_EQ(render(session_->shapes("other")), "c/1");
  EXPECT_EQ(render(session_->shapes("neither")), "");
  EXPECT_EQ(render(store_->connect()->shapes("thing")), "a/1 b/2 b/10");
}

TEST_P(event_shapes, are_held_where_such_an_event_is_stored) {
  append(make_request("1", {make_event("a", 1)}));
  EXPECT_EQ(append(make_request("1", {make_event("b", 1)}, 7)),
            append_status::conflict);
  EXPECT_EQ(append(make_request("2", {make_event("c", 1), {"d", 1, "no", ""}})),
            append_status::failed);
  EXPECT_TRUE(session_->holds("thing", {"a", 1}));
  for (auto& shape :
       {event_shape{"a", 2}, event_shape{"b", 1}, event_shape{"c", 1},
        event_shape{"d", 1}, event_shape{"e", 1}})
    EXPECT_FALSE(session_->holds("thing", shape)) << shape.name;
  EXPECT_FALSE(session_->holds("other", {"a", 1}));
}

TEST_P(event_shapes, are_missing_where_the_program_has_no_decoder) {
  append(make_request("1", {make_event("a", 1), make_event("a", 2),
                            make_event("b", 1), make_event("c", 1)}));
  append(make_request("2", {make_event("d", 1)}, 7));
  EXPECT_EQ(render(missing_shapes(*store_, {"thing", {{"a", 2}, {"c", 1}}})),
            "a/1 b/1");
  EXPECT_EQ(render(missing_shapes(*store_, {"other", {}})), "");
}

TEST_P(event_shapes, are_checked_with_one_text_for_all_that_is_missing) {
  append(make_request(
    "1", {make_event("a", 1), make_event("a", 4), make_event("b", 1)}));
  append(make_request("1", {make_event("c", 1)}, 0, "other"));
  readable_type types[]
    = {{"thing", {{"a", 2}, {"a", 3}}}, {"other", {{"c", 2}}}};
  try {
    check_shapes(*store_, types);
    FAIL() << "nothing was thrown";
  } catch (const error& e) {
    EXPECT_EQ(e.code(), errc::incompatible);
    EXPECT_EQ(
      std::string{e.what()},
      "the journal holds events that this program cannot read: thing: \"a\" in "
      "schema version 1 (an old shape that is not in past_events); thing: "
      "\"a\" in schema version 4 (newer than version 3, the newest that this "
      "program knows: a newer program has written it, and this one is a "
      "downgrade); thing: \"b\" in schema version 1 (no event or past event "
      "has "
      "this name); other: \"c\" in schema version 1 (an old shape that is not "
      "in past_events)");
  }
  types[0].known.push_back({"a", 1});
  types[0].known.push_back({"a", 4});
  std::string names[] = {"a"};
  EXPECT_NO_THROW(check_shapes(*store_, types, names));
}

TEST_P(event_shapes, that_cannot_be_stored_fail_their_own_append_only) {
  std::vector<append_request> list;
  for (auto& event :
       {make_event("a", 1), make_event("b", 0), make_event("b\xff", 1),
        make_event("b\0b"sv, 1), make_event("c", 1)})
    list.push_back(make_request("id " + std::to_string(list.size()), {event}));
  append_all(*session_, {&list[0], &list[1], &list[2], &list[3], &list[4]});
  EXPECT_EQ(list[0].steps[0].status, append_status::stored);
  for (auto i : {1, 2, 3}) {
    EXPECT_EQ(list[i].steps[0].status, append_status::failed) << i;
    EXPECT_EQ(list[i].steps[0].failure, errc::invalid_event) << i;
  }
  EXPECT_EQ(list[4].steps[0].status, append_status::stored);
  EXPECT_EQ(render(session_->shapes("thing")), "a/1 c/1");
}

// -- PostgreSQL only ----------------------------------------------------------

namespace {

class recorded_shapes : public testing::Test {
protected:
  recorded_shapes() { options.ids = id_kind::text; }

  /// Runs a statement in which SCHEMA stands for the journal's schema.
  std::string exec(std::string sql) {
    for (auto at = sql.find("SCHEMA"); at != std::string::npos;
         at = sql.find("SCHEMA"))
      sql.replace(at, 6, options.schema);
    return db.exec(sql);
  }

  std::string recorded() {
    return exec("select string_agg(event_name || '/' || schema_version, ' ' "
                "order by event_name, schema_version) from SCHEMA.event_shape");
  }

  journal_options options = test::fresh_journal();
  raw_connection db;
};

} // namespace

TEST_F(recorded_shapes, are_filled_in_by_the_migration) {
  {
    auto session = open_store(options)->connect();
    auto x = make_request("1", {make_event("a", 1), make_event("a", 2),
                                make_event("a", 1), make_event("b", 1)});
    append_all(*session, {&x});
  }
  // What the later migrations make, the last one first.
  exec("drop function SCHEMA.append_event");
  for (auto name :
       {"lock_cluster", "join_cluster", "sync_node", "leave_cluster"})
    exec("drop function SCHEMA."s + name);
  exec("drop table SCHEMA.shard, SCHEMA.node, SCHEMA.cluster");
  for (auto name : {"begin_operation", "end_operation", "removal_obstacle",
                    "archive_entity", "take_request", "end_request"})
    exec("drop function SCHEMA."s + name);
  exec("drop table SCHEMA.operation, SCHEMA.projection_request");
  exec("drop trigger mark_heads on SCHEMA.outbox");
  exec("drop trigger keep_place on SCHEMA.outbox");
  for (auto name : {"mark_heads", "keep_place"})
    exec("drop function SCHEMA."s + name);
  exec("drop index SCHEMA.outbox_timers");
  exec("alter table SCHEMA.outbox drop column head, drop column timer");
  for (auto name : {"claim_messages", "next_message", "complete_messages",
                    "postpone_messages", "waiting_targets"})
    exec("drop function SCHEMA."s + name);
  exec("drop index SCHEMA.outbox_by_entity");
  exec("create index outbox_by_time on SCHEMA.outbox (due_at)");
  exec("alter table SCHEMA.outbox drop column claim, drop column "
       "claimed_until, drop column created_at");
  exec("drop table SCHEMA.event_shape");
  exec("drop function SCHEMA.find_shape");
  exec("update SCHEMA.meta set value = '4' where key = 'schema_version'");
  auto store = open_store(options);
  EXPECT_EQ(render(store->connect()->shapes("thing")), "a/1 a/2 b/1");
}

TEST_F(recorded_shapes, are_recorded_once_per_connection) {
  auto session = open_store(options)->connect();
  auto append = [&](store_session& by, const char* id, std::int32_t version) {
    auto x = make_request(id, {make_event("a", version)});
    append_all(by, {&x});
  };
  append(*session, "1", 1);
  exec("delete from SCHEMA.event_shape");
  append(*session, "2", 1);
  EXPECT_EQ(recorded(), "");
  append(*session, "3", 2);
  EXPECT_EQ(recorded(), "a/2");
  // As after a failover that has lost the row.
  append(*open_store(options)->connect(), "4", 1);
  EXPECT_EQ(recorded(), "a/1 a/2");
}

TEST_F(recorded_shapes, are_there_before_the_event) {
  auto session = open_store(options)->connect();
  exec("create function SCHEMA.refuse() returns trigger language plpgsql as $$ "
       "begin raise exception 'no'; end $$");
  exec("create trigger refuse before insert on SCHEMA.event for each row "
       "execute function SCHEMA.refuse()");
  auto x = make_request("1", {make_event("a", 1)});
  append_all(*session, {&x});
  EXPECT_EQ(x.steps[0].status, append_status::failed);
  EXPECT_EQ(recorded(), "a/1");
  EXPECT_FALSE(session->holds("thing", {"a", 1}));
}

TEST_F(recorded_shapes, that_are_refused_fail_only_who_needs_them) {
  auto session = open_store(options)->connect();
  exec("alter table SCHEMA.event_shape add check (event_name <> 'forbidden')");
  auto good = make_request("1", {make_event("a", 1)});
  auto bad = make_request("2", {make_event("b", 1)});
  append_step second;
  second.append_id = uuid::v4();
  second.after = 1;
  second.events = {make_event("b", 1), make_event("forbidden", 1)};
  append_step third;
  third.append_id = uuid::v4();
  third.after = 3;
  third.events = {make_event("b", 1)};
  bad.steps.push_back(second);
  bad.steps.push_back(third);
  append_all(*session, {&good, &bad});
  EXPECT_EQ(good.steps[0].status, append_status::stored);
  EXPECT_EQ(bad.steps[0].status, append_status::stored);
  EXPECT_EQ(bad.steps[1].status, append_status::failed);
  EXPECT_EQ(bad.steps[1].failure, errc::refused);
  EXPECT_EQ(bad.steps[2].status, append_status::skipped);
  EXPECT_EQ(recorded(), "a/1 b/1");
}

TEST_F(recorded_shapes, that_are_refused_say_nothing_about_an_earlier_attempt) {
  auto session = open_store(options)->connect();
  exec("alter table SCHEMA.event_shape add check (event_name <> 'forbidden')");
  auto x = make_request("1", {make_event("forbidden", 1)});
  x.steps[0].maybe_sent = true;
  append_request* batch[] = {&x};
  EXPECT_FALSE(session->append(batch));
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_NE(x.steps[0].message, "");
}

TEST_F(recorded_shapes, that_have_to_wait_hold_back_only_who_needs_them) {
  options.lock_timeout = 200ms;
  auto session = open_store(options)->connect();
  auto known = make_request("1", {make_event("a", 1)});
  append_all(*session, {&known});
  exec("begin");
  exec("lock table SCHEMA.event_shape in exclusive mode");
  auto more = make_request("1", {make_event("a", 1)}, 1);
  auto fresh = make_request("2", {make_event("b", 1)});
  append_request* batch[] = {&more, &fresh};
  EXPECT_FALSE(session->append(batch));
  EXPECT_EQ(more.steps[0].status, append_status::stored);
  EXPECT_EQ(fresh.steps[0].status, append_status::pending);
  EXPECT_FALSE(fresh.steps[0].maybe_sent);
  EXPECT_NE(fresh.steps[0].message, "");
  exec("rollback");
  append_all(*session, {&fresh});
  EXPECT_EQ(fresh.steps[0].status, append_status::stored);
}

TEST_F(recorded_shapes, leave_nothing_unknown_where_the_connection_breaks) {
  auto session = open_store(options)->connect();
  // The backend dies while it waits for the table.
  exec("begin");
  exec("lock table SCHEMA.event_shape in exclusive mode");
  auto x = make_request("1", {make_event("a", 1)});
  append_request* batch[] = {&x};
  std::jthread killer{[this] {
    raw_connection other;
    EXPECT_TRUE(test::wait_until([&] {
      return other.exec("select count(pg_terminate_backend(pid)) from pg_locks "
                        "where not granted and relation = '"
                        + options.schema + ".event_shape'::regclass")
             != "0";
    }));
  }};
  try {
    session->append(batch);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const connection_lost& e) {
    EXPECT_FALSE(e.sent());
  }
  killer.join();
  exec("rollback");
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_FALSE(x.steps[0].maybe_sent);
  append_all(*open_store(options)->connect(), {&x});
  EXPECT_EQ(x.steps[0].status, append_status::stored);
}

TEST_F(recorded_shapes, are_recorded_by_writers_at_the_same_time) {
  auto store = open_store(options);
  std::vector<std::jthread> writers;
  for (int w = 0; w < 8; ++w)
    writers.emplace_back([&, w] {
      auto session = store->connect();
      for (int i = 1; i <= 20; ++i) {
        auto x = make_request(std::to_string(w) + " " + std::to_string(i),
                              {make_event("a", i), make_event("b", 21 - i)});
        append_all(*session, {&x});
        EXPECT_EQ(x.steps[0].status, append_status::stored)
          << x.steps[0].message;
      }
    });
  writers.clear();
  EXPECT_EQ(exec("select count(*) from SCHEMA.event_shape"), "40");
}

TEST_F(recorded_shapes, are_recorded_behind_a_pooler) {
  options.pooler = pooler::transaction;
  auto session = open_store(options)->connect();
  for (int i = 1; i <= 2; ++i) {
    auto x = make_request(std::to_string(i), {make_event("a", i)});
    append_all(*session, {&x});
    EXPECT_EQ(x.steps[0].status, append_status::stored);
  }
  EXPECT_EQ(render(session->shapes("thing")), "a/1 a/2");
  EXPECT_TRUE(session->holds("thing", {"a", 2}));
  EXPECT_FALSE(session->holds("thing", {"a", 3}));
}

TEST_F(recorded_shapes, are_found_in_a_journal_of_many_pages) {
  auto session = open_store(options)->connect();
  exec("insert into SCHEMA.event (type_name, entity_id, version, slice, "
       "event_name, schema_version, append_id, event) select 'thing', 'id', i, "
       "0, case when i = 15000 then 'early' when i = 44999 then 'late' else "
       "'usual' end, 1, gen_random_uuid(), '{}' from generate_series(1, 45000) "
       "as i");
  EXPECT_TRUE(session->holds("thing", {"usual", 1}));
  EXPECT_TRUE(session->holds("thing", {"early", 1}));
  EXPECT_TRUE(session->holds("thing", {"late", 1}));
  EXPECT_FALSE(session->holds("thing", {"late", 2}));
  EXPECT_FALSE(session->holds("nothing", {"late", 1}));
}
