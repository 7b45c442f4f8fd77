// evented migrate

#include "cli/operator.hpp"

using namespace evented;
using namespace evented::test;

TEST_F(cli, makes_a_journal_of_the_kind_that_is_asked_for) {
  auto x = run_json({"migrate", "--ids", "bigint", "--payloads", "binary"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["from"], 0);
  EXPECT_EQ(sql("select value from SCHEMA.meta where key = 'ids'"), "bigint");
  EXPECT_EQ(sql("select value from SCHEMA.meta where key = 'payloads'"),
            "binary");
  // An application that knows the kind opens it.
  options.ids = id_kind::bigint;
  options.payloads = codec::binary;
  EXPECT_NO_THROW(open_store(options));
  EXPECT_EQ(sql("select verb || ' ' || outcome from SCHEMA.operation"),
            "migrate done");
}

TEST_F(cli, changes_nothing_in_a_dry_run) {
  auto x = run({"migrate", "--dry-run"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_NE(x.out.find("would make version 1: journal"), std::string::npos);
  EXPECT_EQ(sql("select count(*) from pg_namespace where nspname = '"
                + options.schema + "'"),
            "0");
  auto statements = run({"migrate", "--dry-run", "--sql"}).out;
  EXPECT_NE(statements.find("create table \"" + options.schema + "\".event"),
            std::string::npos);
}

TEST_F(cli, brings_an_old_journal_up_to_date) {
  open();
  // As a journal that has just been made with the release before.
  auto newest
    = sql("select value from SCHEMA.meta where key = 'schema_version'");
  sql("update SCHEMA.meta set value = value::integer - 1 where key = "
      "'schema_version'");
  EXPECT_EQ(run({"status"}).code, 4);
  auto x = run({"migrate"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_NE(x.out.find(": lean_event"), std::string::npos) << x.out;
  EXPECT_EQ(sql("select value from SCHEMA.meta where key = 'schema_version'"),
            newest);
  EXPECT_NE(run({"migrate"}).out.find("Nothing to do"), std::string::npos);
  EXPECT_EQ(run({"status"}).code, 0);
}

TEST_F(cli, refuses_to_change_the_kind_of_a_journal) {
  open();
  EXPECT_EQ(run({"migrate", "--ids", "uuid"}).code, 2);
  EXPECT_EQ(run({"migrate", "--payloads", "binary"}).code, 2);
  EXPECT_EQ(run({"migrate", "--ids", "text"}).code, 0);
}
