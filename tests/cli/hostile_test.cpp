// evented: what is hostile on the command line is refused and changes nothing.

#include "cli/operator.hpp"

#include <evented/projection_store.hpp>

#include <algorithm>
#include <filesystem>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class cli_hostile : public cli {
protected:
  cli_hostile() {
    append("account", "a"s, 3);
    session_ = open()->connect_projections();
    session_->declare("totals", 1, 1, from_beginning{});
  }

  /// Everything that somebody could have changed, but the log of attempts.
  std::string journal_hash() {
    std::string result;
    for (auto* name :
         {"event", "event_tag", "projection", "projection_range", "dead_letter",
          "meta", "snapshot", "outbox", "projection_request"})
      result += sql("select md5(coalesce(string_agg(x::text, '|' order by "
                    "x::text), '')) from SCHEMA."s
                    + name + " as x")
                + " ";
    return result;
  }

  /// Runs a verb that has to refuse what it is given.
  void refuses(const std::vector<std::string>& arguments,
               std::initializer_list<int> codes) {
    auto x = run(arguments);
    std::string what;
    for (auto& text : arguments)
      what += "[" + text + "] ";
    EXPECT_TRUE(std::find(codes.begin(), codes.end(), x.code) != codes.end())
      << what << "ended with " << x.code << ": " << x.out << x.err;
    // The operator's terminal is left alone.
    for (auto* text : {&x.out, &x.err})
      for (auto c : *text)
        EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20)
          << what << static_cast<int>(c);
    EXPECT_LT(x.err.size(), 20'000U) << what;
  }

  std::unique_ptr<projection_session> session_;

  const std::vector<std::string> texts{
    "'; drop schema public cascade; --",
    "' or '1'='1",
    "$1",
    "{schema}",
    "a'||(select pg_sleep(30))||'",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    std::string(5000, 'x'),
    "\xff\xfe",
    "a\xc3",
    "\x1b[31mred",
    "\xc2\x9b",
    "line\nanother",
    "%s%n%d",
    "",
  };
};

} // namespace

TEST_F(cli_hostile, names_find_nothing) {
  auto before = journal_hash();
  for (auto& text : texts) {
    // As a name or an ID it is none, or names nothing.
    refuses({"entity", "account", text}, {2, 6});
    refuses({"entity", text, "a"}, {2, 6});
    refuses({"events", "--type", text}, {0, 2});
    refuses({"events", "--name", text}, {0, 2});
    refuses({"events", "--type", "account", "--id", text}, {0, 2});
    if (!text.empty())
      refuses({"events", "--since", text}, {2});
    if (!text.empty())
      refuses({"projection", "list", text}, {2, 6});
    for (auto* verb : {"pause", "resume", "rebuild"})
      refuses({"projection", verb, text}, {2, 6});
    refuses({"projection", "reset", text, "--yes"}, {2, 6});
    refuses({"projection", "skip", text, "1", "--yes"}, {2, 6});
    refuses({"projection", "skip", "totals", "1", "--type", text, "--yes"},
            {2, 5});
    refuses({"projection", "rescale", text, "2"}, {2, 6});
    refuses({"projection", "wait", text, "--timeout", "0"}, {2, 6});
    refuses({"projection", "wait", "totals", "--seq-no", "1", "--id", text,
             "--timeout", "0"},
            {2, 7});
    refuses({"dead-letters", "show", text, "1"}, {2, 6});
    refuses({"dead-letters", "replay", text, "1"}, {2, 6});
    refuses({"dead-letters", "replay", text, "--all"}, {2, 6});
    refuses({"dead-letters", "drop", text, "1", "--yes"}, {2, 6});
    refuses({"verify", "--from", text}, {0, 2});
    refuses({"trim", text, "--all", "--yes"}, {0, 2});
    refuses({"trim", "account", "--id", text, "--yes"}, {2, 5});
    refuses({"trim", "account", "--all", "--before", text, "--yes"}, {0, 2});
    refuses(
      {"trim", "account", "--id", "a", "--ignore-projection", text, "--yes"},
      {2, 5, 6});
  }
  EXPECT_EQ(journal_hash(), before);
}

TEST_F(cli_hostile, numbers_are_those_of_events) {
  auto before = journal_hash();
  for (auto* text :
       {"-1", "18446744073709551616", "18446744073709551615",
        "9223372036854775808", "1e3", "0x10", "1;", " ", "NaN", "١"}) {
    refuses({"events", "--after", text}, {2});
    refuses({"events", "--up-to", text}, {2});
    refuses({"events", "--limit", text}, {2});
    refuses({"events", "--last", text}, {2});
    refuses({"projection", "skip", "totals", text, "--yes"}, {2});
    refuses({"projection", "reset", "totals", "--after", text, "--yes"}, {2});
    refuses({"projection", "rescale", "totals", text}, {2});
    refuses({"projection", "wait", "totals", "--seq-no", text}, {2});
    refuses({"dead-letters", "list", "--after", text}, {2});
    refuses({"dead-letters", "show", "totals", text}, {2});
    refuses({"dead-letters", "drop", "totals", text, "--yes"}, {2});
    refuses({"trim", "account", "--id", "a", "--up-to", text, "--yes"}, {2});
    refuses({"verify", "--max-faults", text}, {2});
  }
  EXPECT_EQ(journal_hash(), before);
}

TEST_F(cli_hostile, places_are_no_journals) {
  auto before = journal_hash();
  for (auto& text : texts) {
    auto x
      = run_plain({"--database", server().url(), "--schema", text, "status"});
    EXPECT_EQ(x.code, 2) << text << x.out << x.err;
    x = run_plain({"--database", server().url(), "--schema", text, "migrate"});
    EXPECT_EQ(x.code, 2) << text << x.out << x.err;
  }
  for (auto* url : {"'", "postgresql://%zz", "host=", "a=b", "\x1b[31m"}) {
    auto x = run_plain({"--database", url, "status"});
    EXPECT_TRUE(x.code == 2 || x.code == 3) << url << x.code << x.err;
    EXPECT_EQ(x.err.find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(journal_hash(), before);
}

TEST_F(cli_hostile, files_are_no_exports) {
  auto dir = std::filesystem::temp_directory_path()
             / ("evented-hostile-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  auto here = options.schema;
  auto before = journal_hash();
  move_to(here + "_new");
  for (auto& text : texts) {
    auto file = (dir / "file").string();
    std::FILE* to = std::fopen(file.c_str(), "wb");
    ASSERT_NE(to, nullptr);
    std::fwrite(text.data(), 1, text.size(), to);
    std::fclose(to);
    refuses({"import", file}, {1, 2});
    // A name that is no file, or a directory.
    refuses({"import", "/nowhere/" + text}, {6});
  }
  refuses({"import", dir.string()}, {1, 2, 6, 8});
  refuses({"export", dir.string()}, {4, 5, 8});
  move_to(here);
  refuses({"export", dir.string()}, {5, 8});
  refuses({"export", "/nowhere/file"}, {6, 8});
  EXPECT_EQ(journal_hash(), before);
  EXPECT_EQ(
    sql("select count(*) from pg_namespace where nspname = '" + here + "_new'"),
    "0");
  std::filesystem::remove_all(dir);
}

TEST_F(cli, takes_no_harm_from_hostile_input) {
  append("account", "a"s);
  auto before = sql("select count(*) from SCHEMA.event");
  std::vector<std::string> hostile{
    "'; drop table event; --",
    "a' or '1'='1",
    "\"; drop schema public cascade; --",
    "$1",
    "{schema}",
    "%s%s%n",
    "../../etc/passwd",
    "a\nb",
    "\x1b[2J",
    "\xff\xfe",
    std::string(10'000, 'x'),
    "robert'); drop table students;--",
    "-- ",
    "/* */",
    "\\",
  };
  for (auto& text : hostile) {
    for (auto& arguments : std::vector<std::vector<std::string>>{
           {"events", "--type=" + text},
           {"events", "--type=account", "--id=" + text},
           {"events", "--name=" + text},
           {"events", "--since=" + text},
           {"entity", "--", "account", text},
           {"entity", "--", text, "a"}}) {
      auto x = run(arguments);
      EXPECT_TRUE(x.code == 0 || x.code == 2 || x.code == 6 || x.code == 8)
        << text << ": " << x.code << " " << x.err;
      EXPECT_EQ(x.out.find("happened"), std::string::npos) << text;
      EXPECT_EQ((x.out + x.err).find('\x1b'), std::string::npos) << text;
    }
    auto x
      = run_plain({"--database", server().url(), "--schema=" + text, "status"});
    EXPECT_EQ(x.code, 2) << text << ": " << x.err;
  }
  EXPECT_EQ(sql("select count(*) from SCHEMA.event"), before);
}
