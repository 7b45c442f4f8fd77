// What docs/operations.md promises: its roles, and a journal that was restored.

#include "cli/operator.hpp"

#include <evented/frontier_watch.hpp>
#include <evented/membership.hpp>
#include <evented/store.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace fs = std::filesystem;

namespace {

class cli_operations : public cli {
protected:
  /// Returns the statements of the section on roles, for this journal and with
  /// roles of its own.
  std::string grants() const {
    std::ostringstream all;
    all << std::ifstream{EVENTED_OPERATIONS}.rdbuf();
    auto text = all.str();
    auto begin = text.find("```sql\n", text.find("## Roles")) + 7;
    text = text.substr(begin, text.find("```", begin) - begin);
    auto replace = [&text](const std::string& from, const std::string& to) {
      for (auto at = text.find(from); at != std::string::npos;
           at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    };
    replace("schema evented", "schema " + options.schema);
    replace(" evented.", " " + options.schema + ".");
    for (auto role : {"app", "reader", "operator"})
      replace("evented_"s + role, options.schema + "_" + role);
    return text;
  }

  /// Returns a URL of sessions that run as a role of this journal.
  std::string as(const std::string& role) const {
    auto url = server().url();
    return url + (url.find('?') == std::string::npos ? "?" : "&")
           + "options=-c%20role%3D" + options.schema + "_" + role;
  }

  /// Runs the projection "p" up to an event.
  static void project(projection_session& session, std::uint64_t up_to) {
    session.declare("p", 1, 1, from_beginning{});
    auto lease = session.acquire({"p", 1, 0}, 1, uuid::v4());
    ASSERT_TRUE(lease);
    projection_step step;
    step.up_to = up_to;
    session.commit(*lease, step);
  }

  /// Takes the projection "p" over, and returns the numbers that it goes on with.
  static std::string rest_of(store& where) {
    auto session = where.connect_projections();
    std::optional<range_lease> lease;
    EXPECT_TRUE(wait_until(
      [&] {
        lease = session->acquire({"p", 1, 0}, 1, uuid::v4());
        return lease.has_value();
      },
      std::chrono::seconds{60}));
    std::string result;
    if (!lease)
      return result;
    event_filter filter;
    filter.types = {"account"};
    for (auto& x : session->read(filter, lease->seq_no, 1000, 100).entries)
      result += std::to_string(x.event.seq_no) + " ";
    return result;
  }

  outcome run_as(const std::string& role, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--database", as(role), "--schema",
                                         options.schema, "--yes"});
    return run_plain(arguments);
  }
};

} // namespace

// -- roles --------------------------------------------------------------------

TEST_F(cli_operations, let_an_application_add_events_and_never_change_one) {
  append("account", "a"s, 3, 0, {"red"});
  db.exec(grants());
  auto mine = options;
  mine.url = as("app");
  auto store = open_store(mine);
  auto session = store->connect();

  // All that an application does.
  append_request request{"account", "b"s, {}, nullptr};
  append_step step;
  step.append_id = uuid::v4();
  step.record = command_record{"c", 1, command_outcome::accepted, "", ""};
  step.messages.push_back({"mailer", "hello", {}});
  new_event event;
  event.name = "new shape";
  event.payload = "{}";
  event.tags = {"blue"};
  step.events.push_back(event);
  request.steps.push_back(step);
  append_all(*session, {&request});
  ASSERT_EQ(request.steps[0].status, append_status::stored)
    << request.steps[0].message;
  new_snapshot snapshot{"account", "b"s, 1, 1, "{}", request.steps[0].seq_no};
  session->save_snapshots({{snapshot}}, 1);
  EXPECT_EQ(
    session->load({{load_request{"account", "b"s}}}, 10)[0].events.size(), 1U);
  session->forget_commands("account", 0s, 10);
  auto claimed = session->claim_messages({"account", {"mailer"}, 10s, 10});
  EXPECT_EQ(claimed.messages.size(), 1U);

  node_description node;
  node.cluster = "c";
  node.name = "a";
  node.incarnation = uuid::v4();
  cluster_picture known;
  auto membership = store->connect_membership();
  membership->join(node);
  EXPECT_TRUE(membership->sync(node, {.take = {0, 1}}, known));
  EXPECT_TRUE(membership->sync(node, {.give = {{0, uuid{}}}}, known));
  membership->leave(node);

  auto runner = store->connect_projections();
  runner->declare("p", 1, 1, from_beginning{});
  auto owner = uuid::v4();
  store->connect_watch()->heartbeat({owner});
  auto lease = runner->acquire({"p", 1, 0}, 1, owner);
  ASSERT_TRUE(lease);
  projection_step work;
  work.up_to = 1;
  work.letters = {{"account", "a"s, 1, letter_kind::parked, "x"}};
  runner->commit(*lease, work);
  runner->pause("p", true);
  runner->pause("p", false);
  EXPECT_TRUE(runner->drop("p", 1));
  EXPECT_FALSE(runner->take_request("p"));
  runner->rescale("p", 2);
  EXPECT_TRUE(runner->finish_rescale("p"));
  runner->reset("p", {}, nullptr);
  runner->rebuild("p", {}, nullptr);
  runner->approach_swap("p");
  EXPECT_TRUE(runner->swap("p", nullptr));
  EXPECT_EQ(sql("insert into SCHEMA.projection_request (name, what, "
                "expires_at) values ('p', 'rebuild', now() + interval '1 "
                "minute') returning name"),
            "p");
  auto asked = runner->take_request("p");
  ASSERT_TRUE(asked);
  runner->end_request(asked->id, "", 0);

  // And what it must not.
  raw_connection own{as("app")};
  for (auto statement :
       {"update SCHEMA.event set version = 9", "delete from SCHEMA.event",
        "truncate SCHEMA.event", "delete from SCHEMA.event_tag",
        "alter table SCHEMA.event disable trigger all",
        "drop table SCHEMA.event",
        "insert into SCHEMA.horizon values "
        "('account', 'a', 1)",
        "select SCHEMA.trim_entity('account', 'b', 1)",
        "select SCHEMA.archive_entity('account', 'b', 1)",
        "update SCHEMA.meta set value = 'x'"}) {
    std::string text = statement;
    text.replace(text.find("SCHEMA"), 6, options.schema);
    own.exec("set evented.allow_change = 'on'");
    EXPECT_EQ(own.try_exec(text), "42501") << text;
  }
  EXPECT_EQ(run({"verify"}).code, 0) << run({"verify"}).out;
}

TEST_F(cli_operations, let_a_reader_look) {
  append("account", "a"s, 3);
  open()->connect_projections()->declare("p", 1, 1, from_beginning{});
  db.exec(grants());
  for (auto& arguments :
       std::vector<std::vector<std::string>>{{"status"},
                                             {"events"},
                                             {"entity", "account", "a"},
                                             {"projection", "list"},
                                             {"dead-letters", "list"},
                                             {"verify"}}) {
    auto x = run_as("reader", arguments);
    EXPECT_EQ(x.code, 0) << arguments[0] << ": " << x.err;
  }
  auto x = run_as("reader", {"projection", "pause", "p"});
  EXPECT_EQ(x.code, 8);
  EXPECT_NE(x.err.find("see the roles"), std::string::npos) << x.err;
}

TEST_F(cli_operations, let_an_operator_do_the_rest) {
  append("account", "a"s, 3);
  append("account", "b"s, 3);
  sql("insert into SCHEMA.snapshot (type_name, entity_id, version, "
      "schema_version, state) values ('account', 'b', 2, 1, '{}')");
  open()->connect_projections()->declare("p", 1, 1, from_now{});
  db.exec(grants());
  auto file = fs::temp_directory_path()
              / ("evented-operations-" + std::to_string(::getpid()));
  for (auto& arguments : std::vector<std::vector<std::string>>{
         {"projection", "pause", "p"},
         {"projection", "resume", "p"},
         {"export", file.string() + ".export"},
         {"archive", "account", "--id", "a", "--to", file},
         {"trim", "account", "--all"}}) {
    auto x = run_as("operator", arguments);
    EXPECT_EQ(x.code, 0) << arguments[0] << ": " << x.err;
  }
  fs::remove(file);
  fs::remove(file.string() + ".export");
  EXPECT_EQ(sql("select string_agg(distinct role, ' ') from SCHEMA.operation"),
            server().user());
}

// -- backup and restore -------------------------------------------------------

TEST_F(cli_operations, survive_a_dump_and_a_restore) {
  append("account", "a"s, 5, 0, {"red"});
  project(*open()->connect_projections(), 3);

  auto tool
    = [](const char* name) { return dev::find_program(name).string() + " "; };
  auto dump = fs::temp_directory_path()
              / ("evented-dump-" + std::to_string(::getpid()));
  auto fresh = options.schema + "_restored";
  db.exec("create database " + fresh);
  auto url = server().url(fresh);
  ASSERT_EQ(
    std::system((tool("pg_dump") + "-Fc -n " + options.schema + " -f "
                 + dump.string() + " '" + server().url() + "' && "
                 + tool("pg_restore") + "-d '" + url + "' " + dump.string())
                  .c_str()),
    0);
  fs::remove(dump);
  auto there = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--database", url, "--schema", options.schema});
    return run_plain(arguments);
  };
  EXPECT_EQ(there({"verify"}).code, 0) << there({"verify"}).out;
  auto list = there({"projection", "list", "--json"}).parsed();
  EXPECT_EQ(list[0]["seq_no"], 3);
  EXPECT_EQ(list[0]["lag_events"], 2);

  // As a data-only restore and logical replication leave it.
  raw_connection restored{url};
  restored.exec("select setval('" + options.schema
                + ".event_seq_no_seq', 1, false)");
  auto x = there({"verify"});
  EXPECT_EQ(x.code, 1);
  EXPECT_NE(x.out.find("below event 5"), std::string::npos) << x.out;
  EXPECT_EQ(there({"migrate"}).code, 0);
  EXPECT_EQ(there({"verify"}).code, 0) << there({"verify"}).out;
  auto mine = options;
  mine.url = url;
  auto store = open_store(mine);
  EXPECT_EQ(try_append(*store, "account", "a"s, 1, 5).seq_no, 6U);
}

TEST_F(cli_operations, survive_a_restore_of_the_data_alone) {
  append("account", "a"s, 5, 0, {"red"});
  project(*open()->connect_projections(), 3);
  auto fresh = options.schema + "_data";
  db.exec("create database " + fresh);
  auto url = server().url(fresh);
  auto mine = options;
  mine.url = url;
  ASSERT_EQ(run_plain({"--database", url, "--schema", options.schema, "migrate",
                       "--ids", "text"})
              .code,
            0);
  auto tool
    = [](const char* name) { return dev::find_program(name).string() + " "; };
  ASSERT_EQ(
    std::system((tool("pg_dump") + "-a -n " + options.schema + " -T "
                 + options.schema + ".meta -T " + options.schema
                 + ".operation '" + server().url() + "' | " + tool("psql")
                 + "-q -v ON_ERROR_STOP=1 -d '" + url + "' >/dev/null")
                  .c_str()),
    0);
  raw_connection restored{url};
  // Tools that copy tables one by one leave the sequence where it was.
  restored.exec("select setval('" + options.schema
                + ".event_seq_no_seq', 1, false)");
  auto there = open_store(mine);
  EXPECT_EQ(try_append(*there, "account", "a"s, 1, 5).seq_no, 6U);
  EXPECT_EQ(rest_of(*there), "4 5 6 ");
}

TEST_F(cli_operations, move_by_logical_replication_to_a_new_server) {
  dev::postgres old{
    {.directory = {}, .fsync = false, .settings = {{"wal_level", "logical"}}}};
  options.url = old.url();
  auto source = open_store(options);
  EXPECT_EQ(try_append(*source, "account", "a"s, 3, 0).seq_no, 3U);
  raw_connection from{old.url()};
  raw_connection to;
  auto target = options;
  target.url = server().url();
  ASSERT_EQ(run({"migrate", "--ids", "text"}).code, 0);
  // All tables but the one that says what kind of journal this is, which is
  // there already, and what operators have done here.
  auto tables = from.exec(
    "select string_agg(format('%I.%I', schemaname, tablename), ', ') from "
    "pg_tables where schemaname = '"
    + options.schema + "' and tablename not in ('meta', 'operation')");
  from.exec("create publication moving for table " + tables);
  auto subscription = "moving_" + options.schema;
  to.exec("create subscription " + subscription + " connection '" + old.url()
          + "' publication moving");
  // While it is under way.
  EXPECT_EQ(try_append(*source, "account", "b"s, 2, 0).seq_no, 5U);
  project(*source->connect_projections(), 3);
  // Tables are copied one by one, each in its own time.
  EXPECT_TRUE(wait_until(
    [&] {
      return to.exec("select count(*) || ' ' || coalesce((select max(seq_no) "
                     "from "
                     + options.schema
                     + ".projection_range), 0) || ' ' || (select count(*) from "
                       "pg_subscription_rel where srsubstate <> 'r') from "
                     + options.schema + ".event")
             == "5 3 0";
    },
    std::chrono::seconds{60}));
  to.exec("drop subscription " + subscription);
  EXPECT_EQ(run({"verify"}).code, 1);
  EXPECT_EQ(run({"migrate"}).code, 0);
  auto x = run({"verify"});
  EXPECT_EQ(x.code, 0) << x.out;
  auto there = open_store(target);
  EXPECT_EQ(try_append(*there, "account", "b"s, 1, 2).seq_no, 6U);
  EXPECT_EQ(rest_of(*there), "4 5 6 ");
}
