#include "detail/conninfo.hpp"

#include <evented/error.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <libpq-fe.h>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>

using evented::errc;
using evented::journal_options;
using evented::detail::conninfo;
using evented::detail::redact;

namespace {

using keywords = std::map<std::string, std::string>;

/// Returns what libpq makes of the connection string.
keywords parse(const std::string& text) {
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> list{
    PQconninfoParse(text.c_str(), nullptr), &PQconninfoFree};
  EXPECT_TRUE(list) << "libpq does not understand the result";
  keywords result;
  for (auto* x = list.get(); x != nullptr && x->keyword != nullptr; ++x)
    if (x->val != nullptr)
      result[x->keyword] = x->val;
  return result;
}

keywords parsed(const journal_options& options) {
  return parse(conninfo(options));
}

keywords of_url(const char* url) {
  journal_options options;
  options.url = url;
  return parsed(options);
}

std::string failure(const journal_options& options) {
  try {
    conninfo(options);
  } catch (const evented::error& e) {
    EXPECT_EQ(e.code(), errc::invalid_options);
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

/// Runs each test without what the environment says about PostgreSQL.
class conninfo_of : public testing::Test {
protected:
  void SetUp() override {
    for (auto* name : {"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER",
                       "PGPASSWORD", "PGSSLMODE", "PGSERVICE"})
      ::unsetenv(name);
  }

  void TearDown() override { SetUp(); }
};

} // namespace

TEST_F(conninfo_of, a_url_has_its_parts) {
  auto x = of_url("postgresql://ada:pw@db.example.org:6000/shop");
  EXPECT_EQ(x["host"], "db.example.org");
  EXPECT_EQ(x["port"], "6000");
  EXPECT_EQ(x["dbname"], "shop");
  EXPECT_EQ(x["user"], "ada");
  EXPECT_EQ(x["password"], "pw");
}

TEST_F(conninfo_of, fields_override_the_url) {
  journal_options options;
  options.url = "postgresql://ada:pw@one.example:6000/shop?sslmode=require";
  options.host = "two.example";
  options.port = 7000;
  options.database = "other";
  options.user = "bo";
  options.password = "secret";
  options.sslmode = "verify-ca";
  auto x = parsed(options);
  EXPECT_EQ(x["host"], "two.example");
  EXPECT_EQ(x["port"], "7000");
  EXPECT_EQ(x["dbname"], "other");
  EXPECT_EQ(x["user"], "bo");
  EXPECT_EQ(x["password"], "secret");
  EXPECT_EQ(x["sslmode"], "verify-ca");
}

TEST_F(conninfo_of, special_characters_survive) {
  journal_options options;
  options.host = "/tmp";
  options.user = "o'brien";
  options.password = R"( '\" $x = a\\b')";
  options.database = "a b";
  auto x = parsed(options);
  EXPECT_EQ(x["user"], "o'brien");
  EXPECT_EQ(x["password"], R"( '\" $x = a\\b')");
  EXPECT_EQ(x["dbname"], "a b");
}

TEST_F(conninfo_of, a_remote_host_verifies_its_certificate) {
  EXPECT_EQ(of_url("postgresql://db.example.org/x")["sslmode"], "verify-full");
  EXPECT_EQ(of_url("host=192.0.2.1")["sslmode"], "verify-full");
  EXPECT_EQ(of_url("postgresql://localhost,db.example.org/x")["sslmode"],
            "verify-full");
  EXPECT_EQ(of_url("host=localhost hostaddr=192.0.2.1")["sslmode"],
            "verify-full");
}

TEST_F(conninfo_of, a_local_host_has_no_sslmode) {
  for (auto* url : {"postgresql:///x", "postgresql://localhost/x",
                    "postgresql://127.0.0.1/x", "postgresql://[::1]/x",
                    "host=/var/run/postgresql", "host=@abstract",
                    "host=db.example.org hostaddr=127.0.0.1",
                    "postgresql:///x?host=/tmp/somewhere"})
    EXPECT_EQ(of_url(url).count("sslmode"), 0u) << url;
}

TEST_F(conninfo_of, an_sslmode_that_was_chosen_stays) {
  EXPECT_EQ(of_url("postgresql://db.example/x?sslmode=disable")["sslmode"],
            "disable");
  ::setenv("PGSSLMODE", "require", 1);
  EXPECT_EQ(of_url("postgresql://db.example/x").count("sslmode"), 0u);
}

TEST_F(conninfo_of, a_remote_host_from_the_environment_verifies_too) {
  ::setenv("PGHOST", "db.example.org", 1);
  EXPECT_EQ(of_url("postgresql:///x")["sslmode"], "verify-full");
}

TEST_F(conninfo_of, a_name_that_only_looks_local_verifies) {
  EXPECT_EQ(of_url("postgresql://localhost.example.org/x")["sslmode"],
            "verify-full");
  EXPECT_EQ(of_url("postgresql://127.example.org/x")["sslmode"], "verify-full");
}

TEST_F(conninfo_of, a_password_file_is_read_every_time) {
  auto file = std::filesystem::temp_directory_path()
              / ("evented-conninfo-" + std::to_string(::getpid()));
  journal_options options;
  options.host = "/tmp";
  options.password_file = file;
  std::ofstream{file} << "first\nsecond line\n";
  EXPECT_EQ(parsed(options)["password"], "first");
  std::ofstream{file} << "rotated";
  EXPECT_EQ(parsed(options)["password"], "rotated");
  std::filesystem::remove(file);
  EXPECT_NE(failure(options).find(file.string()), std::string::npos);
}

TEST_F(conninfo_of, a_bad_url_is_refused_without_quoting_it) {
  for (auto* url : {"postgresql://ada:hunter2/3@db/x", "hunter2",
                    "postgresql://ada:hunter2%zz@db/x", "password='hunter2",
                    "nosuchoption=hunter2"}) {
    journal_options options;
    options.url = url;
    auto what = failure(options);
    EXPECT_EQ(what.find("hunter2"), std::string::npos) << what;
    EXPECT_NE(what.find("URL"), std::string::npos) << what;
  }
}

TEST_F(conninfo_of, the_connect_timeout_is_set) {
  journal_options options;
  options.connect_timeout = std::chrono::seconds{7};
  EXPECT_EQ(parsed(options)["connect_timeout"], "7");
}

TEST_F(conninfo_of, keepalives_can_be_chosen) {
  EXPECT_EQ(of_url("host=/tmp keepalives_idle=60")["keepalives_idle"], "60");
  EXPECT_NE(of_url("host=/tmp")["keepalives_idle"], "");
}

TEST_F(conninfo_of, redacted_texts_hold_no_password) {
  journal_options options;
  options.host = "/tmp";
  options.password = "hunter2";
  auto info = conninfo(options);
  EXPECT_EQ(redact("the password hunter2 of hunter2hunter2 is wrong", info),
            "the password *** of ****** is wrong");
  EXPECT_EQ(redact("nothing", info), "nothing");
  EXPECT_EQ(redact("", info), "");
  EXPECT_EQ(redact(info, info).find("hunter2"), std::string::npos);
}

TEST_F(conninfo_of, redacting_without_a_password_changes_nothing) {
  journal_options options;
  options.host = "/tmp";
  EXPECT_EQ(redact("as it was", conninfo(options)), "as it was");
}

TEST_F(conninfo_of, redacting_a_short_password_ends) {
  journal_options options;
  options.host = "/tmp";
  options.password = "*";
  EXPECT_EQ(redact("a*b", conninfo(options)), "a***b");
}
