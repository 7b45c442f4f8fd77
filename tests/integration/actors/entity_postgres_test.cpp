// What an entity promises where only a real PostgreSQL can show it.

#include "support/bank.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <gtest/gtest.h>

#include <thread>

using namespace evented;
using namespace evented::test;

namespace {

class entity_on_postgres : public ::testing::Test {
protected:
  caf::actor accounts(const entity_options<account>& entity = {}) {
    return spawn_entities<account>(bank_.sys(), journal_, entity);
  }

  template <class... Ts>
  rows sql(std::string statement, Ts&&... params) {
    auto at = statement.find("SCHEMA");
    if (at != std::string::npos)
      statement.replace(at, 6, options_.schema);
    return evented::sql(journal_, statement, std::forward<Ts>(params)...);
  }

  /// Puts an event into the table that no entity has written.
  void smuggle(std::uint64_t version, const char* name, int schema_version,
               const char* payload) {
    sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
        "event_name, schema_version, append_id, event) values ('account', $1, "
        "$2, 0, $3, $4, gen_random_uuid(), $5::jsonb)",
        id_, version, name, schema_version, payload);
  }

  bank bank_;
  journal_options options_ = fresh_journal();
  journal journal_{bank_.sys(), options_};
  uuid id_ = uuid::v4();
};

} // namespace

TEST_F(entity_on_postgres, stores_events_that_plain_sql_can_read) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{10});
  bank_.ask(region, id_, withdraw{3});
  auto found
    = sql("select version, event_name, schema_version, event, metadata, "
          "slice from SCHEMA.event where entity_id = $1 order by version",
          id_);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0][1], "deposited");
  EXPECT_EQ(found[0][2], "1");
  EXPECT_EQ(found[0][3], R"({"amount": 10})");
  EXPECT_EQ(found[0][4], R"({"who": "test"})");
  EXPECT_EQ(found[0][5], std::to_string(slice_of(id_)));
  EXPECT_EQ(found[1][1], "money-withdrawn");
  EXPECT_EQ(found[1][2], "3");
  EXPECT_EQ(found[1][4], std::nullopt);
}

TEST_F(entity_on_postgres, stops_at_an_event_that_it_does_not_know) {
  smuggle(1, "deposited", 1, R"({"amount": 1})");
  smuggle(2, "renamed", 1, "{}");
  auto region = accounts();
  auto answer = bank_.ask(region, id_, deposit{1});
  EXPECT_EQ(answer.code(), errc::corrupt_event);
  for (auto part : {"account " + to_string(id_), std::string{"version 2"},
                    std::string{"renamed"}})
    EXPECT_NE(answer.text().find(part), std::string::npos)
      << part << " is missing in: " << answer.text();
  EXPECT_EQ(history(journal_, id_), "1@deposited 2@renamed");
}

TEST_F(entity_on_postgres, stops_at_a_schema_version_that_it_does_not_know) {
  smuggle(1, "deposited", 2, R"({"amount": 1})");
  EXPECT_EQ(bank_.ask(accounts(), id_, deposit{1}).code(), errc::corrupt_event);
}

TEST_F(entity_on_postgres, stops_at_a_payload_that_cannot_be_decoded) {
  smuggle(1, "deposited", 1, R"({"amont": 1})");
  auto region = accounts();
  EXPECT_EQ(bank_.ask(region, id_, deposit{1}).code(), errc::corrupt_event);
  // Other entities are not concerned, and mending the event mends this one.
  EXPECT_TRUE(bank_.ask(region, uuid::v4(), deposit{1}).ok);
  sql("do $$ begin perform set_config('evented.allow_change', 'on', false); "
      "update "
      + options_.schema
      + ".event set event = '{\"amount\": 5}' "
        "where event ? 'amont'; end $$");
  EXPECT_EQ(bank_.balance(region, id_), 5u);
}

TEST_F(entity_on_postgres, stops_where_a_version_is_missing) {
  smuggle(2, "deposited", 1, R"({"amount": 1})");
  auto answer = bank_.ask(accounts(), id_, deposit{1});
  EXPECT_EQ(answer.code(), errc::corrupt_event) << answer.text();
}

TEST_F(entity_on_postgres, rebuilds_itself_where_the_journal_has_lost_events) {
  auto region = accounts();
  bank_.ask(region, id_, deposit{1});
  bank_.ask(region, id_, deposit{2});
  // A failover to a replica that was behind.
  sql("do $$ begin perform set_config('evented.allow_change', 'on', false); "
      "delete from "
      + options_.schema + ".event where version = 2; end $$");
  auto answer = bank_.ask(region, id_, deposit{4});
  ASSERT_TRUE(answer.ok) << answer.text();
  EXPECT_EQ(answer.where.version, 2u);
  EXPECT_EQ(bank_.balance(region, id_), 5u);
  EXPECT_EQ(history(journal_, id_), "1@deposited 2@deposited");
}

TEST_F(entity_on_postgres, commits_the_view_of_a_listener_with_the_events) {
  sql("create table " + options_.schema
      + "_view (id uuid primary key, total bigint)");
  entity_options<account> entity;
  auto table = options_.schema + "_view";
  entity.listener([table](const committing<account>& x, transaction& tx) {
    if (auto* e = x.as<deposited>())
      tx.exec("insert into " + table
                + " values ($1, $2) on conflict (id) do "
                  "update set total = "
                + table + ".total + excluded.total",
              x.id, e->amount);
  });
  auto region = accounts(entity);
  std::vector<deposit> cmds(50, deposit{2});
  for (auto& x : bank_.ask_all(region, id_, cmds))
    EXPECT_TRUE(x.ok) << x.text();
  EXPECT_EQ(sql("select total from " + table)[0][0], "100");
}

TEST_F(entity_on_postgres, lets_one_of_two_take_a_unique_name) {
  auto table = options_.schema + "_names";
  sql("create table " + table + " (name text primary key)");
  entity_options<account> entity;
  entity.listener([table](const committing<account>& x,
                          transaction& tx) -> verdict<refused> {
    auto* e = x.as<noted>();
    if (e == nullptr)
      return pass{};
    auto taken = tx.exec(
      "insert into " + table + " values ($1) on conflict do nothing", e->text);
    if (taken.affected() == 0)
      return reject(refused{e->text + " is taken"});
    return pass{};
  });
  // Two processes race for every name with entities of their own.
  auto here = accounts(entity);
  auto there = spawn_entities<account>(
    bank_.sys(), journal{bank_.sys(), journal_.store()}, entity);
  auto winners = 0;
  auto losers = 0;
  auto& self = bank_.self();
  for (auto i = 0; i < 40; ++i) {
    auto name = "name" + std::to_string(i);
    auto a = self->request(here, std::chrono::seconds{30}, uuid::v4(),
                           write_note{name});
    auto b = self->request(there, std::chrono::seconds{30}, uuid::v4(),
                           write_note{name});
    auto count = [&](const caf::error& err) {
      auto why = rejection<refused>(err);
      ASSERT_TRUE(why.has_value()) << render(bank_.sys(), err);
      EXPECT_EQ(why->why, name + " is taken");
      ++losers;
    };
    a.receive([&](const accepted&) { ++winners; }, count);
    b.receive([&](const accepted&) { ++winners; }, count);
  }
  EXPECT_EQ(winners, 40);
  EXPECT_EQ(losers, 40);
  EXPECT_EQ(sql("select count(*) from SCHEMA.event")[0][0], "40");
}

TEST_F(entity_on_postgres, fails_the_command_of_a_listener_that_misbehaves) {
  struct misdeed {
    const char* what;
    std::function<void(transaction&)> act;
  };
  std::vector<misdeed> misdeeds{
    {"swallows a failed statement",
     [](transaction& tx) {
       try {
         tx.exec("select 1 / 0");
       } catch (const sql_error& e) {
         EXPECT_EQ(e.sqlstate(), "22012");
       }
     }},
    {"commits", [](transaction& tx) { tx.exec("commit"); }},
    {"commits and swallows the refusal",
     [](transaction& tx) {
       try {
         tx.exec("/* hidden */ -- twice\n COMMIT");
       } catch (const sql_error&) {
         // That is its misdeed.
       }
     }},
    {"rolls back", [](transaction& tx) { tx.exec("rollback"); }},
    {"takes too long", [](transaction& tx) { tx.exec("select pg_sleep(60)"); }},
    {"breaks a statement", [](transaction& tx) { tx.exec("nonsense"); }},
  };
  for (auto& x : misdeeds) {
    SCOPED_TRACE(x.what);
    entity_options<account> entity;
    entity.command_timeout = std::chrono::seconds{20};
    entity.listener([&](const committing<account>& event, transaction& tx) {
      auto* e = event.as<deposited>();
      if (e != nullptr && e->amount == 666)
        x.act(tx);
    });
    auto region = accounts(entity);
    auto good = uuid::v4();
    auto bad = uuid::v4();
    bank_.self()->send(region, good, deposit{1});
    auto answer = bank_.ask(region, bad, deposit_all{{1, 666, 1}});
    EXPECT_EQ(answer.code(), errc::listener_failed) << answer.text();
    EXPECT_EQ(history(journal_, bad), "");
    EXPECT_EQ(bank_.balance(region, good), 1u);
    EXPECT_TRUE(bank_.ask(region, bad, deposit{1}).ok);
  }
}

TEST_F(entity_on_postgres, answers_unavailable_while_there_is_no_database) {
  dev::postgres mine{{.directory = {}, .fsync = false, .settings = {}}};
  journal_options where;
  where.url = mine.url();
  journal away{bank_.sys(), where};
  mine.stop();
  entity_options<account> entity;
  entity.command_timeout = std::chrono::milliseconds{300};
  auto region = spawn_entities<account>(bank_.sys(), away, entity);
  auto answer = bank_.ask(region, id_, deposit{1});
  EXPECT_EQ(answer.code(), errc::unavailable) << answer.text();
  mine.start();
  EXPECT_TRUE(
    wait_until([&] { return bank_.ask(region, id_, deposit{1}).ok; }));
  EXPECT_EQ(bank_.balance(region, id_), 1u);
}

TEST_F(entity_on_postgres, takes_text_and_number_ids) {
  auto texts = fresh_journal();
  texts.ids = id_kind::text;
  journal by_text{bank_.sys(), texts};
  auto region
    = spawn_entities<basic_account<std::string>>(bank_.sys(), by_text);
  EXPECT_TRUE(bank_.ask(region, std::string{"Zoë"}, deposit{1}).ok);
  EXPECT_TRUE(bank_.ask(region, std::string{"Zoë"}, withdraw{1}).ok);
  EXPECT_EQ(bank_.ask(region, std::string{}, deposit{1}).code(),
            errc::invalid_id);
  EXPECT_EQ(bank_.ask(region, std::string("a\0b", 3), deposit{1}).code(),
            errc::invalid_id);
  EXPECT_EQ(bank_.ask(region, std::string{"\xc3"}, deposit{1}).code(),
            errc::invalid_id);
  EXPECT_EQ(bank_.ask(region, std::string(513, 'x'), deposit{1}).code(),
            errc::invalid_id);
  EXPECT_EQ(bank_.ask(region, id_, deposit{1}).code(), errc::invalid_id);

  auto numbers = fresh_journal();
  numbers.ids = id_kind::bigint;
  numbers.payloads = codec::binary;
  journal by_number{bank_.sys(), numbers};
  auto other
    = spawn_entities<basic_account<std::int64_t>>(bank_.sys(), by_number);
  EXPECT_TRUE(bank_.ask(other, std::int64_t{-5}, deposit{1}).ok);
  other = nullptr;
  other = spawn_entities<basic_account<std::int64_t>>(bank_.sys(), by_number);
  EXPECT_TRUE(bank_.ask(other, std::int64_t{-5}, withdraw{1}).ok);
}

TEST_F(entity_on_postgres, refuses_a_journal_with_ids_of_another_kind) {
  EXPECT_THROW(
    spawn_entities<basic_account<std::string>>(bank_.sys(), journal_), error);
}

TEST_F(entity_on_postgres, groups_the_commits_of_many_entities) {
  constexpr auto count = 1000;
  auto one = fresh_journal();
  one.writers = 1;
  journal narrow{bank_.sys(), one};
  auto region = spawn_entities<account>(bank_.sys(), narrow);
  std::vector<uuid> ids(count);
  for (auto& id : ids)
    id = uuid::v4();
  // Counted by the server: how many transactions wrote events.
  auto& self = bank_.self();
  using handle = decltype(self->request(region, std::chrono::seconds{30},
                                        ids[0], deposit{1}));
  std::vector<handle> pending;
  for (auto& id : ids)
    pending.push_back(
      self->request(region, std::chrono::seconds{30}, id, deposit{1}));
  auto stored = 0;
  for (auto& x : pending)
    x.receive([&](const accepted&) { ++stored; },
              [&](const caf::error& err) {
                ADD_FAILURE() << render(bank_.sys(), err);
              });
  EXPECT_EQ(stored, count);
  auto commits = evented::sql(narrow, "select count(distinct xmin::text) from "
                                        + one.schema + ".event");
  auto mean = count / std::stod(commits[0][0].value());
  EXPECT_GT(mean, 50) << commits[0][0].value() << " transactions";
}
