// evented archive, evented trim

#include "cli/operator.hpp"

#include <evented/store.hpp>

#include <filesystem>
#include <fstream>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace fs = std::filesystem;

namespace {

class cli_removal : public cli {
protected:
  cli_removal()
    : dir_(fs::temp_directory_path()
           / ("evented-removal-" + std::to_string(::getpid()))) {
    fs::create_directories(dir_);
    append("account", "a"s, 5, 0, {"red"});
    append("account", "b"s, 3);
    append("order", "a"s, 2);
  }

  ~cli_removal() override { fs::remove_all(dir_); }

  std::string file(const std::string& name) const { return dir_ / name; }

  void snapshot(const std::string& id, int version, int shape = 1) {
    sql("insert into SCHEMA.snapshot (type_name, entity_id, version, "
        "schema_version, state) values ('account', '"
        + id + "', " + std::to_string(version) + ", " + std::to_string(shape)
        + ", '{}')");
  }

  /// Renders what is left: "account/a 1-5, account/b 1-3".
  std::string journal() {
    return sql("select string_agg(x, ', ' order by x) from (select type_name "
               "|| '/' || entity_id || ' ' || min(version) || '-' || "
               "max(version) from SCHEMA.event group by type_name, entity_id) "
               "as x (x)");
  }

  outcome archive(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"archive", "account", "--yes"});
    return run_json(arguments);
  }

  outcome trim(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"trim", "account", "--yes"});
    return run_json(arguments);
  }

  fs::path dir_;
  const std::string all = "account/a 1-5, account/b 1-3, order/a 1-2";
};

} // namespace

// -- archive ------------------------------------------------------------------

TEST_F(cli_removal, moves_an_entity_into_a_file_and_closes_it) {
  auto x = archive({"--id", "a", "--to", file("a.jsonl")});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["events"], 5);
  EXPECT_EQ(journal(), "account/b 1-3, order/a 1-2");
  EXPECT_EQ(sql("select version || ' ' || archived from SCHEMA.horizon"),
            "5 true");
  // A command to it finds it closed.
  EXPECT_EQ(try_append(*open(), "account", "a"s, 1, 5).status,
            append_status::conflict);
  EXPECT_TRUE(open()
                ->connect()
                ->load({{load_request{"account", "a"s}}}, 10)
                .at(0)
                .archived);
  // The file has it all.
  std::string text;
  auto* from = std::fopen(file("a.jsonl").c_str(), "r");
  char buffer[65536];
  text.assign(buffer, std::fread(buffer, 1, sizeof buffer, from));
  std::fclose(from);
  auto lines = outcome{0, text, {}}.lines();
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[5]["event"]["n"], 5);
  EXPECT_EQ(lines[6]["entity"]["version"], 5);
  EXPECT_EQ(run({"verify"}).code, 0) << run({"verify"}).out;
  EXPECT_NE(run({"entity", "account", "a"}).out.find("archived"),
            std::string::npos);
  EXPECT_EQ(sql("select verb || ' ' || outcome || ' ' || (arguments -> 'ids') "
                "from SCHEMA.operation"),
            "archive done [\"a\"]");
}

TEST_F(cli_removal, archives_all_that_were_idle) {
  sql("set evented.allow_change = 'on'; update SCHEMA.event set created_at = "
      "'2020-01-01Z' where entity_id = 'a' and version < 5 or entity_id = 'b'");
  auto x
    = archive({"--all", "--idle-since", "2021-01-01", "--to", file("old.zst")});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["entities"], 1);
  EXPECT_EQ(journal(), "account/a 1-5, order/a 1-2");
}

TEST_F(cli_removal, never_archives_all_without_a_time) {
  EXPECT_EQ(archive({"--all", "--to", file("x")}).code, 2);
  EXPECT_EQ(archive({"--to", file("x")}).code, 2);
  EXPECT_EQ(archive({"--id", "a"}).code, 2);
  EXPECT_EQ(journal(), all);
}

TEST_F(cli_removal, refuses_to_archive_what_a_projection_has_not_read) {
  auto session = open()->connect_projections();
  session->declare("slow", 1, 1, from_seq_no{4});
  auto x = archive({"--id", "a", "--to", file("x")});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("projection \"slow\" has read up to 4 only"),
            std::string::npos)
    << x.err;
  EXPECT_EQ(journal(), all);
  EXPECT_TRUE(fs::is_empty(dir_));
  EXPECT_EQ(
    archive({"--id", "a", "--to", file("y"), "--ignore-projection", "other"})
      .code,
    6);
  EXPECT_EQ(
    archive({"--id", "a", "--to", file("y"), "--ignore-projection", "slow"})
      .code,
    0);
}

TEST_F(cli_removal, refuses_to_archive_above_the_frontier) {
  raw_connection slow;
  slow.exec("begin");
  slow.exec("select " + options.schema + ".hold_frontier()");
  append("account", "a"s, 1, 5);
  auto x = archive({"--id", "a", "--to", file("x")});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("above the frontier"), std::string::npos) << x.err;
}

TEST_F(cli_removal, refuses_to_archive_while_messages_or_letters_wait) {
  sql("insert into SCHEMA.outbox (type_name, entity_id, slice, version, "
      "append_id, target, message, due_at) values ('account', 'a', 1, 1, "
      "gen_random_uuid(), 't', '', now())");
  auto x = archive({"--id", "a", "--to", file("x")});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("1 messages of it wait"), std::string::npos) << x.err;
  sql("delete from SCHEMA.outbox");
  sql("insert into SCHEMA.dead_letter (name, version, seq_no, type_name, "
      "entity_id, slice, kind, error) values ('p', 1, 3, 'account', 'a', 1, "
      "'parked', 'x')");
  x = archive({"--id", "a", "--to", file("x")});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("event 3 is a dead letter"), std::string::npos) << x.err;
}

TEST_F(cli_removal, asks_before_it_archives) {
  auto x = run({"archive", "account", "--id", "a", "--to", file("x")});
  EXPECT_EQ(x.code, 5);
  EXPECT_EQ(journal(), all);
  // The copy is whole, so that one may go on with it.
  EXPECT_TRUE(fs::exists(file("x")));
  EXPECT_EQ(archive({"--id", "a", "--to", file("x")}).code, 5);
  EXPECT_EQ(archive({"--id", "a", "--to", file("x"), "--resume"}).code, 0);
  EXPECT_EQ(journal(), "account/b 1-3, order/a 1-2");
}

TEST_F(cli_removal, does_not_go_on_with_a_damaged_copy) {
  auto attempt = [&](const std::string& line) {
    std::ofstream{file("x")} << line << '\n';
    return archive({"--id", "a", "--to", file("x"), "--resume"});
  };
  for (std::string line :
       {R"({"entity":)", R"({"entity":{}})", R"({"entity":[1]})",
        R"({"entity":{"type":"account","id":7,"version":5}})",
        R"({"entity":{"type":"account","id":"a","version":-5}})",
        // The database would take this for another one.
        R"({"entity":{"type":"account","id":"a\u0000b","version":5}})"}) {
    auto x = attempt(line);
    EXPECT_EQ(x.code, 1) << line << x.err;
    EXPECT_NE(x.err.find("is damaged"), std::string::npos) << x.err;
  }
  EXPECT_EQ(attempt(R"({"entity":{"type":"order","id":"a","version":2}})").code,
            2);
  EXPECT_EQ(journal(), all);
}

TEST_F(cli_removal, leaves_an_entity_alone_that_has_moved_on_since_the_copy) {
  run({"archive", "account", "--id", "a", "--to", file("x")});
  append("account", "a"s, 1, 5);
  auto x = archive({"--id", "a", "--to", file("x"), "--resume"});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("not at version 5 any more"), std::string::npos)
    << x.err;
  EXPECT_EQ(journal(), "account/a 1-6, account/b 1-3, order/a 1-2");
}

TEST_F(cli_removal, waits_for_an_append_that_is_under_way) {
  raw_connection writer;
  writer.exec("begin");
  writer.exec("insert into " + options.schema
              + ".event (type_name, entity_id, version, slice, event_name, "
                "schema_version, append_id, event) values ('account', 'a', 6, "
              + std::to_string(slice_of("a"s))
              + ", 'happened', 1, gen_random_uuid(), '{}')");
  program x{
    here({"archive", "account", "--id", "a", "--to", file("x"), "--yes"})};
  ASSERT_TRUE(wait_until([&] {
    return db.exec("select count(*) from pg_locks where not granted and mode = "
                   "'ShareRowExclusiveLock'")
           == "1";
  }));
  writer.exec("commit");
  EXPECT_EQ(x.finish(), 5) << x.err();
  EXPECT_EQ(journal(), "account/a 1-6, account/b 1-3, order/a 1-2");
}

// -- trim ---------------------------------------------------------------------

TEST_F(cli_removal, trims_what_a_snapshot_covers) {
  snapshot("a", 4);
  auto x = trim({"--id", "a"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["events"], 4);
  EXPECT_EQ(journal(), "account/a 5-5, account/b 1-3, order/a 1-2");
  append("account", "a"s, 1, 5);
  EXPECT_EQ(run({"verify"}).code, 0) << run({"verify"}).out;
}

TEST_F(cli_removal, trims_no_more_than_it_is_told) {
  snapshot("a", 4);
  EXPECT_EQ(trim({"--id", "a", "--up-to", "5"}).code, 5);
  ASSERT_EQ(trim({"--id", "a", "--up-to", "2"}).code, 0);
  EXPECT_EQ(journal(), "account/a 3-5, account/b 1-3, order/a 1-2");
  sql("set evented.allow_change = 'on'; update SCHEMA.event set created_at = "
      "'2020-01-01Z' where entity_id = 'a' and version < 4");
  ASSERT_EQ(trim({"--all", "--before", "2021-01-01"}).code, 0);
  EXPECT_EQ(journal(), "account/a 4-5, account/b 1-3, order/a 1-2");
}

TEST_F(cli_removal, trims_nothing_without_a_good_snapshot) {
  auto x = trim({"--id", "a"});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("no snapshot"), std::string::npos) << x.err;
  EXPECT_EQ(trim({"--id", "a", "--up-to", "2", "--to", file("x")}).code, 5);
  EXPECT_EQ(trim({"--id", "a", "--before", "2100-01-01"}).code, 5);
  EXPECT_EQ(trim({"--all", "--before", "2100-01-01"}).parsed()["entities"], 0);
  EXPECT_TRUE(fs::is_empty(dir_));
  // Programs of today write another shape.
  snapshot("a", 4, 1);
  snapshot("b", 2, 2);
  EXPECT_EQ(trim({"--id", "a"}).code, 5);
  // One whose event is not in the journal.
  snapshot("a", 9, 2);
  EXPECT_EQ(trim({"--id", "a"}).code, 5);
  EXPECT_EQ(journal(), all);
}

TEST_F(cli_removal, trims_nothing_that_a_projection_has_not_read) {
  snapshot("a", 4);
  open()->connect_projections()->declare("slow", 1, 1, from_seq_no{3});
  auto x = trim({"--id", "a"});
  EXPECT_EQ(x.code, 5);
  EXPECT_NE(x.err.find("\"slow\""), std::string::npos) << x.err;
  EXPECT_EQ(trim({"--id", "a", "--up-to", "3"}).code, 0);
}

TEST_F(cli_removal, keeps_a_copy_of_what_it_trims) {
  snapshot("a", 4);
  snapshot("b", 1);
  ASSERT_EQ(trim({"--all", "--to", file("x.zst")}).code, 0);
  EXPECT_EQ(journal(), "account/a 5-5, account/b 2-3, order/a 1-2");
  EXPECT_EQ(std::system(("test $(zstd -dc " + file("x.zst")
                         + " | grep -c '^{\"seq_no\"') = 5")
                          .c_str()),
            0);
}

TEST_F(cli_removal, only_tells_in_a_dry_run) {
  snapshot("a", 4);
  auto x = run_json({"trim", "account", "--all", "--dry-run"});
  ASSERT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["events"], 4);
  x = run_json(
    {"archive", "account", "--id", "a", "--to", file("x"), "--dry-run"});
  EXPECT_EQ(x.parsed()["events"], 5);
  EXPECT_FALSE(fs::exists(file("x")));
  EXPECT_EQ(journal(), all);
  EXPECT_EQ(sql("select count(*) from SCHEMA.operation"), "0");
}

TEST_F(cli_removal, takes_no_harm_from_hostile_input) {
  snapshot("a", 4);
  for (auto text : {"'; drop table x; --", "{schema}", "\"", "\\", "{a,b}",
                    "a\",\"b", "\x1b[2J"}) {
    auto id = "--id="s + text;
    EXPECT_EQ(archive({id, "--to", file("x")}).code, 5) << text;
    EXPECT_EQ(trim({id}).code, 5) << text;
    EXPECT_EQ(trim({"--id=a", "--ignore-projection="s + text}).code, 6) << text;
    EXPECT_EQ(trim({"--id=a", "--before="s + text}).code, 2) << text;
  }
  EXPECT_EQ(journal(), all);
}
