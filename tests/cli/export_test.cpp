// evented export, evented import: there and back again.

#include "cli/operator.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace fs = std::filesystem;

namespace {

class cli_export : public cli {
protected:
  cli_export()
    : dir_(fs::temp_directory_path()
           / ("evented-export-" + std::to_string(::getpid()))) {
    fs::create_directories(dir_);
  }

  ~cli_export() override { fs::remove_all(dir_); }

  std::string file(const std::string& name) const { return dir_ / name; }

  /// A journal with a bit of everything.
  void fill() {
    append("account", "a"s, 5, 0, {"red", "blue"});
    append("account", "b\"\\\x01 ü"s, 2);
    append("order", "a"s, 3);
    append("account", "a"s, 2, 5);
    append("order", "gone"s, 4);
    sql("set evented.allow_change = 'on'; update SCHEMA.event set event = "
        "'{\"big\": 123456789012345678901234567890.123450, \"t\": "
        "\"\\\"\\\\\\n\\u2028\"}', metadata = null, created_at = "
        "'1999-12-31 23:59:59.999999Z' where seq_no = 2");
    sql("insert into SCHEMA.snapshot (type_name, entity_id, version, "
        "schema_version, state) values ('account', 'a', 4, 3, '{\"x\": 1}'), "
        "('order', 'gone', 3, 1, '{}')");
    sql("insert into SCHEMA.command (type_name, entity_id, command_id, "
        "append_id, fingerprint, outcome, version, seq_no, reply_type, reply) "
        "values ('account', 'a', 'c1', gen_random_uuid(), -5, 'accepted', 5, "
        "5, 'r', '\\x0001ff'), ('order', 'a', 'c2', gen_random_uuid(), 7, "
        "'rejected', 3, 0, '', '')");
    sql("select SCHEMA.trim_entity('order', 'gone', 3)");
    // Numbers that were drawn and rolled back.
    sql("select setval('SCHEMA.event_seq_no_seq', 20)");
  }

  /// Renders the whole of a journal.
  std::string content(const std::string& schema) {
    std::string result;
    for (auto table :
         {"event order by seq_no", "event_tag order by type_name, tag, seq_no",
          "event_shape order by 1, 2, 3",
          "horizon order by type_name, entity_id",
          "snapshot order by type_name, entity_id, version",
          "command order by type_name, entity_id, command_id"})
      result += db.exec("select string_agg(to_jsonb(x)::text, chr(10)) from "
                        "(select * from "
                        + schema + "." + table + ") as x")
                + "\n--\n";
    return result + db.exec("select " + schema + ".last_number()");
  }

  outcome import_into(const std::string& schema,
                      std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--database", server().url(),
                                         "--schema", schema, "import"});
    return run_plain(arguments);
  }

  outcome verify(const std::string& schema) {
    return run_plain(
      {"--database", server().url(), "--schema", schema, "verify"});
  }

  fs::path dir_;
};

} // namespace

TEST_F(cli_export, comes_back_as_it_was) {
  fill();
  for (auto name : {"a.jsonl", "b.jsonl.zst"}) {
    auto x = run_json({"export", file(name)});
    ASSERT_EQ(x.code, 0) << x.err;
    EXPECT_EQ(x.parsed()["events"], 13);
    auto copy = fresh_journal().schema;
    auto y = import_into(copy, {file(name)});
    ASSERT_EQ(y.code, 0) << y.err;
    EXPECT_EQ(content(copy), content(options.schema)) << name;
    EXPECT_EQ(verify(copy).code, 0) << verify(copy).out;
  }
}

TEST_F(cli_export, goes_on_where_the_journal_was) {
  fill();
  ASSERT_EQ(run({"export", file("x.zst")}).code, 0);
  auto copy = fresh_journal();
  ASSERT_EQ(import_into(copy.schema, {file("x.zst")}).code, 0);
  move_to(copy.schema);
  append("order", "gone"s, 1, 4);
  EXPECT_EQ(run_json({"events", "--last", "1"}).lines()[0]["seq_no"], 21);
}

TEST_F(cli_export, is_the_same_for_all_kinds_of_journals) {
  for (auto kind : {id_kind::uuid, id_kind::bigint, id_kind::text}) {
    options = fresh_journal();
    options.ids = kind;
    options.payloads = codec::binary;
    auto session = open_store(options)->connect();
    auto id = kind == id_kind::uuid     ? entity_id{uuid::v7()}
              : kind == id_kind::bigint ? entity_id{INT64_MIN}
                                        : entity_id{"x"s};
    append_request request{"thing", id, {}, nullptr};
    append_step step;
    step.append_id = uuid::v4();
    for (auto size : {0, 1, 2, 3, 300}) {
      new_event event;
      event.name = "happened";
      event.payload
        = std::string(static_cast<std::size_t>(size), '\xfe') + "\0"s;
      step.events.push_back(event);
    }
    request.steps.push_back(step);
    append_all(*session, {&request});
    auto name = file("k" + std::to_string(static_cast<int>(kind)));
    ASSERT_EQ(run({"export", name}).code, 0);
    auto copy = fresh_journal().schema;
    auto x = import_into(copy, {name});
    ASSERT_EQ(x.code, 0) << x.err;
    EXPECT_EQ(content(copy), content(options.schema));
  }
}

TEST_F(cli_export, writes_to_the_standard_output) {
  fill();
  auto x = run({"export", "-"});
  ASSERT_EQ(x.code, 0) << x.err;
  auto lines = x.lines();
  EXPECT_EQ(lines.front()["evented_export"], 1);
  EXPECT_EQ(lines.back()["end"]["events"], 13);
}

TEST_F(cli_export, can_be_read_by_others) {
  fill();
  ASSERT_EQ(run({"export", file("x.zst")}).code, 0);
  ASSERT_EQ(run({"export", file("x")}).code, 0);
  EXPECT_EQ(
    std::system(
      ("zstd -q -d -c " + file("x.zst") + " | cmp - " + file("x")).c_str()),
    0);
}

TEST_F(cli_export, refuses_to_overwrite) {
  fill();
  std::ofstream{file("x")} << "precious";
  EXPECT_EQ(run({"export", file("x")}).code, 5);
  std::ofstream{file("y.part")} << "precious";
  EXPECT_EQ(run({"export", file("y")}).code, 5);
  EXPECT_EQ(run({"export", file("z"), "--resume"}).code, 5);
  EXPECT_EQ(run({"export", file("no/such/dir")}).code, 8);
  std::ostringstream left;
  left << std::ifstream{file("x")}.rdbuf();
  EXPECT_EQ(left.str(), "precious");
}

TEST_F(cli_export, is_nobody_elses_to_read) {
  fill();
  ASSERT_EQ(run({"export", file("x")}).code, 0);
  EXPECT_EQ(fs::status(file("x")).permissions() & fs::perms::all,
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(cli_export, goes_on_after_it_was_killed) {
  append_many("a", 400000);
  program first{here({"export", file("x.zst")})};
  // Killed once something of it is safe.
  ASSERT_TRUE(wait_until(
    [&] {
      std::ifstream in{file("x.zst.part.state")};
      auto state = json::parse(in, nullptr, false);
      return state.is_object() && state["bytes"] > 100;
    },
    std::chrono::seconds{60}));
  first.signal(SIGKILL);
  first.finish();
  ASSERT_FALSE(fs::exists(file("x.zst")));
  // Behind what is safe, there may be anything.
  std::ofstream{file("x.zst.part"), std::ios::app} << "torn";
  EXPECT_EQ(run({"export", file("x.zst")}).code, 5);
  auto x = run_json({"export", file("x.zst"), "--resume"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["events"], 400000);
  EXPECT_FALSE(fs::exists(file("x.zst.part")));
  ASSERT_EQ(run({"export", file("y.zst")}).code, 0);
  // The same text, in other frames.
  auto text = [this](const char* name) {
    return "zstd -q -d -c " + file(name) + " > " + file(name) + ".text; ";
  };
  EXPECT_EQ(std::system((text("x.zst") + text("y.zst") + "cmp "
                         + file("x.zst.text") + " " + file("y.zst.text"))
                          .c_str()),
            0);
}

TEST_F(cli_export, leaves_out_what_is_not_below_the_frontier) {
  append("account", "a"s, 2);
  raw_connection slow;
  slow.exec("begin");
  slow.exec(raw_append(options.schema, "late"));
  append("account", "a"s, 2, 2);
  auto x = run_json({"export", file("x")});
  slow.exec("commit");
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["events"], 2);
}

TEST_F(cli_export, says_that_the_outbox_stays) {
  fill();
  sql("insert into SCHEMA.outbox (type_name, entity_id, slice, version, "
      "append_id, target, message, due_at) values ('account', 'a', 1, 1, "
      "gen_random_uuid(), 't', '', now())");
  EXPECT_NE(
    run({"export", file("x")}).err.find("1 messages wait in the outbox"),
    std::string::npos);
}

// -- import -------------------------------------------------------------------

TEST_F(cli_export, goes_into_an_empty_journal_only) {
  fill();
  ASSERT_EQ(run({"export", file("x")}).code, 0);
  auto before = content(options.schema);
  EXPECT_EQ(import_into(options.schema, {file("x")}).code, 5);
  EXPECT_EQ(content(options.schema), before);
  // Empty, but of another kind.
  auto other = fresh_journal();
  other.ids = id_kind::bigint;
  open_store(other);
  EXPECT_EQ(import_into(other.schema, {file("x")}).code, 5);
}

TEST_F(cli_export, is_not_taken_where_it_is_damaged) {
  fill();
  ASSERT_EQ(run({"export", file("x")}).code, 0);
  ASSERT_EQ(run({"export", file("x.zst")}).code, 0);
  std::ostringstream whole;
  whole << std::ifstream{file("x")}.rdbuf();
  auto text = whole.str();
  auto attempt = [&](const std::string& content) {
    std::ofstream{file("bad")} << content;
    auto x = import_into(fresh_journal().schema, {file("bad")});
    EXPECT_NE(x.code, 0);
    return x.code;
  };
  EXPECT_EQ(attempt(""), 2);
  EXPECT_EQ(attempt("nonsense\n"), 2);
  EXPECT_EQ(attempt("{\"evented_export\": 99}\n"), 2);
  // What nests so deeply that nobody should walk through it.
  auto deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_EQ(attempt(text.substr(0, text.find('}')) + ",\"x\":" + deep + "}\n"),
            2);
  // Without its last line; in the middle of a line; with a line less.
  EXPECT_EQ(attempt(text.substr(0, text.rfind("{\"end\""))), 1);
  EXPECT_EQ(attempt(text.substr(0, text.size() / 2)), 1);
  auto second = text.find('\n') + 1;
  auto third = text.find('\n', second) + 1;
  EXPECT_EQ(attempt(text.substr(0, second) + text.substr(third)), 1);
  // What is no event, and an end that is not the end.
  EXPECT_EQ(
    attempt(text.substr(0, second) + "{\"seq_no\": \"'; drop table x\"}\n"), 1);
  EXPECT_EQ(attempt(text.substr(0, second) + "{\"seq_no\": \xff}\n"), 1);
  EXPECT_EQ(attempt(text.substr(0, second) + "{\"seq_no\":\n"), 1);
  EXPECT_EQ(attempt(text + "{}\n"), 1);
  // Events that the table would take.
  for (auto odd : {"\"version\":0", "\"slice\":1024"}) {
    std::string_view name{odd};
    name = name.substr(0, name.find(':') + 1);
    auto begin = text.find(name, second);
    ASSERT_NE(begin, std::string::npos) << name;
    auto end = text.find_first_of(",}", begin);
    std::ofstream{file("odd")}
      << text.substr(0, begin) + odd + text.substr(end);
    auto x = import_into(fresh_journal().schema, {file("odd")});
    EXPECT_EQ(x.code, 1);
    EXPECT_NE(x.err.find("a version or a slice that no event has"),
              std::string::npos)
      << x.err;
  }
  fs::resize_file(file("x.zst"), fs::file_size(file("x.zst")) - 10);
  EXPECT_EQ(import_into(fresh_journal().schema, {file("x.zst")}).code, 1);
  EXPECT_EQ(import_into(fresh_journal().schema, {file("none")}).code, 6);
}

TEST_F(cli_export, does_not_go_on_with_a_damaged_state) {
  fill();
  auto attempt = [&](const std::string& state) {
    std::ofstream{file("x.part")} << "{}\n";
    std::ofstream{file("x.part.state")} << state;
    auto x = run({"export", file("x"), "--resume"});
    EXPECT_FALSE(fs::exists(file("x")));
    return x.code;
  };
  EXPECT_EQ(attempt(""), 5);
  EXPECT_EQ(attempt("[1]"), 5);
  EXPECT_EQ(attempt(R"({"bytes":-1,"state":"{}"})"), 5);
  // More than there is.
  EXPECT_EQ(attempt(R"({"bytes":4000,"state":"{}"})"), 5);
  EXPECT_EQ(attempt(R"({"bytes":3,"state":"nonsense"})"), 1);
  EXPECT_EQ(attempt(R"({"bytes":3,"state":"{\"after\":\"1\"}"})"), 1);
}

TEST_F(cli_export, is_imported_on_after_a_crash) {
  append_many("a", 100000);
  ASSERT_EQ(run({"export", file("x.zst")}).code, 0);
  auto copy = fresh_journal().schema;
  std::vector<std::string> arguments{
    "--database", server().url(), "--schema", copy, "import", file("x.zst")};
  program first{arguments};
  ASSERT_TRUE(wait_until(
    [&] {
      return db.try_exec("select 1 / count(*) from " + copy + ".event")
             == "00000";
    },
    std::chrono::seconds{60}));
  first.signal(SIGKILL);
  first.finish();
  // Whoever is in the middle of a batch holds its lock.
  auto x = import_into(copy, {file("x.zst")});
  EXPECT_EQ(x.code, 5) << x.out << x.err;
  x = import_into(copy, {file("x.zst"), "--resume"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(content(copy), content(options.schema));
  EXPECT_EQ(import_into(copy, {file("x.zst"), "--resume"}).code, 5);
}

// -- the Rust crate -----------------------------------------------------------

namespace {

class cli_crate : public cli_export {
protected:
  cli_crate() {
    options.ids = id_kind::uuid;
    source = fresh_journal().schema;
    db.exec("create schema " + source);
    // As the crate makes it.
    db.exec("create table " + source
            + ".event (seq_no bigserial primary key, entity_id uuid not null, "
              "version bigint not null, type_name text not null, event jsonb "
              "not null, metadata jsonb not null, unique (entity_id, "
              "type_name, version))");
  }

  void store(int version, const std::string& event,
             const std::string& metadata = "null") {
    db.exec("insert into " + source
            + ".event (entity_id, version, type_name, event, metadata) values "
              "('0190e3a2-7c11-7e11-8000-3f1f1a2b3c4d', "
            + std::to_string(version) + ", 'counter', '" + event + "', '"
            + metadata + "')");
  }

  std::string source;
};

} // namespace

TEST_F(cli_crate, has_its_events_imported) {
  store(1, R"({"ValueIncreased": {"inc": 40, "big": 1234567890123456789012}})",
        R"({"user": "x"})");
  store(2, R"({"ValueDecreased": {"dec": 2}})");
  db.exec("select nextval('" + source + ".event_seq_no_seq')");
  store(3, R"("Closed")");
  auto x = run({"import", "--crate", "--crate-schema", source, "--snake-case"});
  ASSERT_EQ(x.code, 0) << x.err;
  auto lines = run_json({"events"}).lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0]["name"], "value_increased");
  EXPECT_EQ(lines[0]["type"], "counter");
  EXPECT_EQ(lines[0]["metadata"], (json{{"user", "x"}}));
  EXPECT_EQ(sql("select event from SCHEMA.event where seq_no = 1"),
            R"({"big": 1234567890123456789012, "inc": 40})");
  EXPECT_EQ(lines[1].count("metadata"), 0U);
  EXPECT_EQ(lines[2]["seq_no"], 4);
  EXPECT_EQ(lines[2]["name"], "closed");
  EXPECT_EQ(run({"verify"}).code, 0) << run({"verify"}).out;
}

TEST_F(cli_crate, may_have_tagged_events) {
  store(1, R"({"type": "ValueIncreased", "inc": 40})");
  auto x = run({"import", "--crate", "--crate-schema", source});
  EXPECT_EQ(x.code, 1);
  EXPECT_NE(x.err.find("event 1 has no name"), std::string::npos);
  options.schema = fresh_journal().schema;
  ASSERT_EQ(
    run({"import", "--crate", "--crate-schema", source, "--tag", "type"}).code,
    0);
  auto event = run_json({"events"}).lines()[0];
  EXPECT_EQ(event["name"], "ValueIncreased");
  EXPECT_EQ(event["event"], (json{{"inc", 40}}));
}

TEST_F(cli_crate, is_looked_for_where_it_is) {
  EXPECT_EQ(run({"import", "--crate"}).code, 4);
  EXPECT_EQ(run({"import", "--crate", "--crate-schema", "\"; drop"}).code, 2);
  EXPECT_EQ(run({"import"}).code, 2);
}
