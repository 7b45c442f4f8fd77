// The verbs that only look: status, events, entity. And what all verbs share.

#include "cli/operator.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

// -- what all verbs share -----------------------------------------------------

TEST_F(cli, tells_each_verb_and_an_example_of_it) {
  auto all = run_plain({"--help"});
  EXPECT_EQ(all.code, 0);
  for (auto verb : {"status", "migrate", "nodes", "events", "entity",
                    "projection", "dead-letters", "verify", "export", "import",
                    "archive", "trim", "serve", "bench", "completion"}) {
    EXPECT_NE(all.out.find(verb), std::string::npos) << verb;
    auto one = run_plain({verb, "--help"});
    EXPECT_EQ(one.code, 0) << verb;
    EXPECT_NE(one.out.find("Examples:\n  evented"), std::string::npos) << verb;
  }
  for (auto [group, verbs] :
       {std::pair{"projection",
                  std::vector{"list", "pause", "resume", "skip", "rescale",
                              "reset", "rebuild", "wait"}},
        std::pair{"dead-letters",
                  std::vector{"list", "show", "replay", "drop"}}})
    for (auto* verb : verbs)
      EXPECT_NE(run_plain({group, verb, "--help"})
                  .out.find("Examples:\n  "
                            "evented"),
                std::string::npos)
        << verb;
}

TEST_F(cli, has_a_manual_page_that_tells_each_verb) {
  std::ostringstream all;
  all << std::ifstream{EVENTED_MANUAL}.rdbuf();
  auto manual = all.str();
  // The program itself knows which verbs there are.
  auto help = run_plain({"--help"}).out;
  auto verbs = 0;
  std::istringstream lines{help.substr(help.find("ubcommands:"))};
  for (std::string line; std::getline(lines, line);) {
    if (line.size() < 3 || line[0] != ' ' || line[2] == ' ')
      continue;
    auto verb = line.substr(2, line.find(' ', 2) - 2);
    if (auto dash = verb.find('-'); dash != std::string::npos)
      verb.insert(dash, "\\");
    EXPECT_NE(manual.find("\n.B " + verb + "\n"), std::string::npos) << verb;
    ++verbs;
  }
  EXPECT_GE(verbs, 15);
}

TEST_F(cli, ends_with_2_where_the_command_line_is_wrong) {
  for (auto& arguments : std::vector<std::vector<std::string>>{
         {}, {"stat"}, {"status", "--nonsense"}, {"events", "--limit", "x"}}) {
    auto x = run_plain(arguments);
    EXPECT_EQ(x.code, 2) << x.out << x.err;
  }
  open();
  EXPECT_EQ(run({"events", "--id", "a"}).code, 2);
  EXPECT_EQ(run({"events", "--since", "soon"}).code, 2);
}

TEST_F(cli, ends_with_3_where_the_database_is_out_of_reach) {
  auto x
    = run_plain({"--database", "postgresql:///x?host=/nonexistent", "status"});
  EXPECT_EQ(x.code, 3) << x.err;
}

TEST_F(cli, ends_with_4_where_there_is_no_journal) {
  auto x = run({"status"});
  EXPECT_EQ(x.code, 4) << x.err;
  EXPECT_NE(x.err.find("evented migrate"), std::string::npos);
  sql("create schema SCHEMA");
  sql("create table SCHEMA.meta (key text, value text)");
  EXPECT_EQ(run({"status"}).code, 4);
}

TEST_F(cli, ends_with_4_where_the_journal_is_of_another_version) {
  open();
  sql("update SCHEMA.meta set value = '999' where key = 'schema_version'");
  auto x = run({"status"});
  EXPECT_EQ(x.code, 4);
  EXPECT_NE(x.err.find("a newer evented"), std::string::npos) << x.err;
  sql("update SCHEMA.meta set value = '5' where key = 'schema_version'");
  x = run({"status"});
  EXPECT_EQ(x.code, 4);
  EXPECT_NE(x.err.find("evented migrate"), std::string::npos) << x.err;
}

TEST_F(cli, takes_the_database_from_the_environment) {
  open();
  auto x
    = run_plain({"status", "--json"}, {{"EVENTED_DATABASE_URL", server().url()},
                                       {"EVENTED_SCHEMA", options.schema}});
  EXPECT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.parsed()["schema"], options.schema);
}

TEST_F(cli, never_shows_a_password) {
  auto secret = "s3cret-word"s;
  for (auto& url : {"postgresql://u:" + secret + "@127.0.0.1:1/x",
                    "postgresql://u:" + secret + "/@127.0.0.1/x",
                    "host=127.0.0.1 port=1 password='" + secret + "'",
                    "host=/nonexistent password=" + secret + " nonsense"}) {
    auto x = run_plain({"--database", url, "status"});
    EXPECT_NE(x.code, 0);
    EXPECT_EQ((x.out + x.err).find(secret), std::string::npos) << x.err;
  }
}

TEST_F(cli, shows_no_password_of_the_environment_in_its_help) {
  auto x = run_plain({"--help"},
                     {{"EVENTED_DATABASE_URL", "postgresql://u:s3cret@h/x"}});
  EXPECT_EQ(x.code, 0);
  EXPECT_EQ((x.out + x.err).find("s3cret"), std::string::npos);
}

TEST_F(cli, tells_errors_as_json_where_json_is_asked_for) {
  auto x = run_json({"status"});
  EXPECT_EQ(json::parse(x.err)["code"], 4);
}

TEST_F(cli, completes_verbs_and_options) {
  auto x = run_plain({"completion", "bash"});
  ASSERT_EQ(x.code, 0) << x.err;
  // What a shell makes of it.
  auto ask = [&](const std::string& words, int place) {
    auto file = "/tmp/evented-completion-" + std::to_string(::getpid());
    std::FILE* to = std::fopen(file.c_str(), "w");
    std::fputs((x.out + "\nCOMP_WORDS=(evented " + words
                + ")\nCOMP_CWORD=" + std::to_string(place)
                + "\n_evented\necho \"${COMPREPLY[@]}\"\n")
                 .c_str(),
               to);
    std::fclose(to);
    std::string result;
    auto* from = ::popen(("bash " + file).c_str(), "r");
    char buffer[4096];
    while (std::fgets(buffer, sizeof buffer, from) != nullptr)
      result += buffer;
    ::pclose(from);
    std::remove(file.c_str());
    return result;
  };
  EXPECT_EQ(ask("stat", 1), "status\n");
  EXPECT_EQ(ask("events --fol", 2), "--follow\n");
  EXPECT_EQ(run_plain({"completion", "zsh"}).out.substr(0, 8), "#compdef");
  EXPECT_EQ(run_plain({"completion", "fish"}).code, 2);
}

TEST_F(cli, shows_what_was_stored_without_obeying_it) {
  append("account", "\x1b]0;owned\x07"s);
  auto x = run({"events"});
  EXPECT_EQ(x.code, 0) << x.err;
  EXPECT_EQ(x.out.find('\x1b'), std::string::npos);
  EXPECT_NE(x.out.find("\\u001b]0;owned\\u0007"), std::string::npos) << x.out;
  EXPECT_EQ(run_json({"events"}).lines().at(0)["id"], "\x1b]0;owned\x07");
}

// -- status -------------------------------------------------------------------

TEST_F(cli, shows_types_with_entities_events_and_growth) {
  append("account", "a"s, 3);
  append("account", "b"s, 2);
  append("order", "a"s, 1);
  auto x = run_json({"status"});
  ASSERT_EQ(x.code, 0) << x.err;
  auto found = x.parsed();
  ASSERT_EQ(found["types"].size(), 2U);
  auto& account = found["types"][0];
  EXPECT_EQ(account["type"], "account");
  EXPECT_EQ(account["entities"], 2);
  EXPECT_EQ(account["events"], 5);
  EXPECT_EQ(account["last_hour"], 5);
  EXPECT_EQ(found["types"][1]["events"], 1);
  EXPECT_EQ(found["last_day"], 6);
  EXPECT_EQ(found["frontier"], 6);
  EXPECT_EQ(found["last_number"], 6);
  EXPECT_EQ(found["frontier_holders"], json::array());
  auto text = run({"status"});
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.out.find("account         2       5"), std::string::npos)
    << text.out;
}

TEST_F(cli, tells_old_growth_from_new) {
  append("account", "a"s, 10);
  sql("set evented.allow_change = 'on'; update SCHEMA.event set created_at = "
      "now() - (case when seq_no <= 4 then interval '3 days' when seq_no <= 7 "
      "then interval '3 hours' else interval '1 minute' end)");
  auto found = run_json({"status"}).parsed();
  EXPECT_EQ(found["last_hour"], 3);
  EXPECT_EQ(found["last_day"], 6);
}

TEST_F(cli, names_who_holds_the_frontier) {
  append("account", "a"s, 2);
  raw_connection slow;
  slow.exec("begin");
  slow.exec("select " + options.schema + ".hold_frontier()");
  append("account", "b"s, 2);
  auto found = run_json({"status"}).parsed();
  EXPECT_EQ(found["frontier"], 2);
  EXPECT_EQ(found["last_number"], 4);
  ASSERT_EQ(found["frontier_holders"].size(), 1U);
  EXPECT_EQ(std::to_string(found["frontier_holders"][0]["pid"].get<int>()),
            slow.exec("select pg_backend_pid()"));
  EXPECT_NE(run({"status"}).out.find("Frontier 2 of 4, held back by:"),
            std::string::npos);
}

TEST_F(cli, shows_projections_with_their_lag) {
  append("account", "a"s, 5);
  auto session = open()->connect_projections();
  session->declare("totals", 1, 2, from_seq_no{2});
  session->declare("all", 1, 1, from_beginning{});
  session->pause("all", true);
  auto found = run_json({"status"}).parsed()["projections"];
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0]["name"], "all");
  EXPECT_EQ(found[0]["state"], "paused");
  EXPECT_EQ(found[0]["lag_events"], 5);
  EXPECT_EQ(found[1]["state"], "not running");
  EXPECT_EQ(found[1]["seq_no"], 2);
  EXPECT_EQ(found[1]["lag_events"], 3);
  EXPECT_GE(found[1]["lag_seconds"], 0.0);
  EXPECT_NE(run({"status"}).out.find("paused"), std::string::npos);
}

// -- events -------------------------------------------------------------------

namespace {

std::string numbers(const std::vector<json>& lines) {
  std::string result;
  for (auto& x : lines)
    result += (result.empty() ? "" : " ") + x["seq_no"].dump();
  return result;
}

} // namespace

TEST_F(cli, shows_events_in_the_order_of_the_journal) {
  append("b", "x"s, 2);
  append("a", "y"s, 2, 0, {"red", "blue"});
  append("b", "x"s, 1, 2);
  auto all = run_json({"events"}).lines();
  EXPECT_EQ(numbers(all), "1 2 3 4 5");
  auto& one = all[2];
  EXPECT_EQ(one["type"], "a");
  EXPECT_EQ(one["id"], "y");
  EXPECT_EQ(one["version"], 1);
  EXPECT_EQ(one["slice"], slice_of("y"s));
  EXPECT_EQ(one["name"], "happened");
  EXPECT_EQ(one["schema_version"], 1);
  EXPECT_EQ(one["event"], (json{{"n", 1}}));
  EXPECT_EQ(one["metadata"], (json{{"by", "a test"}}));
  EXPECT_EQ(one["tags"], (json{"red", "blue"}));
  EXPECT_EQ(one["append_id"].get<std::string>(),
            sql("select append_id from SCHEMA.event where seq_no = 3"));
  EXPECT_EQ(one["created_at"].get<std::string>(),
            sql("select to_char(created_at at time zone 'UTC', "
                "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from SCHEMA.event where "
                "seq_no = 3"));
  auto text = run({"events"}).out;
  EXPECT_NE(text.find("b/x@3  happened  {\"n\": 3}"), std::string::npos)
    << text;
}

TEST_F(cli, chooses_events) {
  append("a", "x"s, 3);
  append("b", "y"s, 3);
  append("a", "z"s, 3);
  sql("set evented.allow_change = 'on'; update SCHEMA.event set created_at = "
      "'2026-01-01 00:00Z'::timestamptz + seq_no * interval '1 hour', "
      "event_name = case when seq_no % 2 = 0 then 'even' else 'odd' end");
  auto chosen = [this](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "events");
    auto x = run_json(arguments);
    EXPECT_EQ(x.code, 0) << x.err;
    return numbers(x.lines());
  };
  EXPECT_EQ(chosen({"--type", "a"}), "1 2 3 7 8 9");
  EXPECT_EQ(chosen({"--type", "a", "--id", "z"}), "7 8 9");
  EXPECT_EQ(chosen({"--type", "a", "--type", "b", "--name", "even"}),
            "2 4 6 8");
  EXPECT_EQ(chosen({"--after", "3", "--up-to", "6"}), "4 5 6");
  EXPECT_EQ(chosen({"--last", "2"}), "8 9");
  EXPECT_EQ(chosen({"--type", "b", "--last", "2"}), "5 6");
  EXPECT_EQ(chosen({"--name", "odd", "--last", "3"}), "5 7 9");
  EXPECT_EQ(chosen({"--limit", "2"}), "1 2");
  EXPECT_EQ(chosen({"--limit", "2", "--after", "4"}), "5 6");
  EXPECT_EQ(
    chosen({"--since", "2026-01-01T03:00Z", "--before", "2026-01-01 05:00"}),
    "3 4");
  EXPECT_EQ(chosen({"--type", "c"}), "");
}

TEST_F(cli, limits_the_events_it_shows_unless_told_otherwise) {
  append("a", "x"s, 150);
  EXPECT_EQ(run_json({"events"}).lines().size(), 100U);
  EXPECT_EQ(run_json({"events", "--limit", "0"}).lines().size(), 150U);
  EXPECT_EQ(run_json({"events", "--last", "120"}).lines().size(), 120U);
}

TEST_F(cli, follows_the_journal_without_skipping_a_late_commit) {
  append("a", "x"s, 2);
  program follower{here({"events", "--follow", "--after", "0", "--json"})};
  auto seen = [&](std::size_t lines) {
    return follower.read_until([lines](const std::string& out) {
      return static_cast<std::size_t>(std::count(out.begin(), out.end(), '\n'))
             >= lines;
    });
  };
  EXPECT_TRUE(seen(2));
  // Draws the number 3 and is slow to commit.
  raw_connection slow;
  slow.exec("begin");
  slow.exec(raw_append(options.schema, "late"));
  append("a", "x"s, 2, 2);
  append("a", "y"s, 1);
  slow.exec("commit");
  append("a", "y"s, 1, 1);
  EXPECT_TRUE(seen(7));
  follower.signal(SIGINT);
  follower.finish();
  outcome all{0, follower.out(), {}};
  EXPECT_EQ(numbers(all.lines()), "1 2 3 4 5 6 7");
}

TEST_F(cli, shows_payloads_of_the_binary_codec) {
  options.payloads = codec::binary;
  append("a", "x"s, 1);
  EXPECT_EQ(run_json({"events"}).lines().at(0)["event"], "eyJuIjogMX0=");
  EXPECT_NE(run({"events"}).out.find("(8 bytes)"), std::string::npos);
}

TEST_F(cli, knows_all_kinds_of_ids) {
  for (auto kind : {id_kind::uuid, id_kind::bigint}) {
    options = fresh_journal();
    options.ids = kind;
    auto store = open_store(options);
    auto id = kind == id_kind::uuid ? entity_id{uuid::v7()}
                                    : entity_id{std::int64_t{-42}};
    auto text = to_string(id);
    sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
        "event_name, schema_version, append_id, event) values ('a', '"
        + text + "', 1, " + std::to_string(slice_of(id))
        + ", 'happened', 1, gen_random_uuid(), '{}')");
    auto x = run_json({"events", "--type", "a", "--id=" + text});
    ASSERT_EQ(x.code, 0) << x.err;
    auto found = x.lines().at(0)["id"];
    EXPECT_EQ(found, kind == id_kind::uuid ? json(text) : json(-42));
    EXPECT_EQ(run({"entity", "--", "a", text}).code, 0);
    EXPECT_EQ(run({"entity", "a", "no id"}).code, 2);
  }
}

// -- entity -------------------------------------------------------------------

TEST_F(cli, shows_the_history_of_an_entity) {
  append("account", "a"s, 2);
  append("account", "b"s, 1);
  append("account", "a"s, 1, 2);
  auto x = run_json({"entity", "account", "a"});
  ASSERT_EQ(x.code, 0) << x.err;
  auto lines = x.lines();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0]["version"], 3);
  EXPECT_EQ(lines[0]["slice"], slice_of("a"s));
  EXPECT_EQ(lines[0]["archived"], false);
  EXPECT_EQ(lines[3]["seq_no"], 4);
  EXPECT_NE(run({"entity", "account", "a"}).out.find("is at version 3"),
            std::string::npos);
}

TEST_F(cli, ends_with_6_where_there_is_no_such_entity) {
  append("account", "a"s);
  EXPECT_EQ(run({"entity", "account", "b"}).code, 6);
  EXPECT_EQ(run({"entity", "order", "a"}).code, 6);
}
