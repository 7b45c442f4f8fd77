// What an error of PostgreSQL's says: enough to find its cause, but none of the
// values, since it goes into logs.

#include "support/journals.hpp"

#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>

using namespace std::literals;

using namespace evented;

namespace {

class sql_errors : public testing::Test {
protected:
  sql_errors() : session(open_store(test::fresh_journal())->connect()) {
    session->query("create temporary table person (email text constraint "
                   "one_person unique, age integer constraint grown_up check "
                   "(age > 17), born date not null default now())",
                   {});
  }

  sql_error refused(const std::string& sql, const std::string& secret) {
    try {
      session->query(sql, {parameter{secret}});
    } catch (const sql_error& e) {
      EXPECT_EQ(std::string{e.what()}.find(secret), std::string::npos)
        << e.what();
      return e;
    }
    ADD_FAILURE() << "not refused: " << sql;
    return {"00000", ""};
  }

  std::unique_ptr<store_session> session;
};

TEST_F(sql_errors, name_the_constraint_and_not_the_key) {
  const auto* sql = "insert into person (email) values ($1)";
  session->query(sql, {parameter{"ada@example.org"}});
  auto e = refused(sql, "ada@example.org");
  EXPECT_EQ(e.sqlstate(), "23505");
  EXPECT_NE(std::string{e.what()}.find("one_person"), std::string::npos)
    << e.what();
  EXPECT_NE(e.detail().find("ada@example.org"), std::string::npos)
    << e.detail();
}

TEST_F(sql_errors, show_no_row) {
  for (const auto* sql : {"insert into person (email, born) values ($1, null)",
                          "insert into person (email, age) values ($1, 3)"}) {
    auto e = refused(sql, "ada@example.org");
    EXPECT_NE(e.detail().find("ada@example.org"), std::string::npos)
      << e.detail();
  }
}

TEST_F(sql_errors, show_no_value_that_does_not_fit) {
  for (const auto* sql :
       {"select $1::text::integer", "select $1::text::jsonb",
        "select $1::text::timestamptz", "select $1::text::uuid"})
    EXPECT_TRUE(refused(sql, "hunter \"2\"").sqlstate().starts_with("22"));
  EXPECT_TRUE(refused("select ('x' || chr(10) || $1::text)::integer", "hunter2")
                .sqlstate()
                .starts_with("22"));
  EXPECT_EQ(refused("select $1::text::smallint", "4711471147").sqlstate(),
            "22003");
}

TEST_F(sql_errors, show_no_statement) {
  try {
    session->query("do $do$ begin execute 'select ''hunter2'' frob nicate'; "
                   "end $do$",
                   {});
    ADD_FAILURE();
  } catch (const sql_error& e) {
    std::string what = e.what();
    EXPECT_NE(what.find("syntax error"), std::string::npos) << what;
    EXPECT_EQ(what.find("hunter2"), std::string::npos) << what;
    EXPECT_NE(e.detail().find("hunter2"), std::string::npos) << e.detail();
  }
}

TEST_F(sql_errors, keep_their_hint) {
  try {
    session->query("select nosuch('hunter2')", {});
    ADD_FAILURE();
  } catch (const sql_error& e) {
    EXPECT_NE(std::string{e.what()}.find("You might need"), std::string::npos)
      << e.what();
    EXPECT_EQ(std::string{e.what()}.find("hunter2"), std::string::npos);
  }
}

} // namespace
