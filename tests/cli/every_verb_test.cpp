// Every verb and every page against one large journal: of 20 000 events, with
// EVENTED_LARGE=1 of five million. Prints what each took.

#include "cli/dashboard.hpp"

#include <evented/membership.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

using namespace evented;
using namespace evented::test;

namespace fs = std::filesystem;

namespace {

class every_verb : public cli {
protected:
  every_verb() {
    fs::create_directories(dir_);
    fill();
  }

  ~every_verb() override {
    over_ = true;
    if (program_.joinable())
      program_.join();
    fs::remove_all(dir_);
  }

  /// Three types, entities with a hundred events each, and enough of all else.
  void fill() {
    for (auto* type : {"account", "device", "order"})
      append(type, "first"s, 1);
    sql("create temp table entity (n integer, type text, id text, slice "
        "smallint)");
    for (auto n = 0; n < entities_; n += 1000) {
      std::string rows;
      for (auto i = n; i < std::min(n + 1000, entities_); ++i) {
        auto id = "entity-" + std::to_string(1'000'000 + i);
        rows += (rows.empty() ? "(" : ", (") + std::to_string(i)
                + ", (array['account', 'device', 'order'])["
                + std::to_string(i % 3 + 1) + "], '" + id + "', "
                + std::to_string(slice_of(id)) + ")";
      }
      sql("insert into entity values " + rows);
    }
    // As applications would have stored them: in turn.
    sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
        "event_name, schema_version, append_id, created_at, event, metadata) "
        "select type, id, v, slice, 'happened', 1, gen_random_uuid(), now() - "
        "interval '1 day' * (100 - v), jsonb_build_object('n', v, 'reference', "
        "id, 'note', 'as long as usual'), '{\"by\": \"a test\"}' from "
        "generate_series(1, 100) as v, entity order by v, n");
    sql(
      "insert into SCHEMA.snapshot (type_name, entity_id, version, "
      "schema_version, state) select type, id, 100, 1, '{}' from entity where "
      "type = 'account'");
    sql(
      "insert into SCHEMA.command (type_name, entity_id, command_id, "
      "append_id, fingerprint, outcome, version, seq_no, reply_type, reply) "
      "select type_name, entity_id, 'c' || version, append_id, 1, 'accepted', "
      "version, seq_no, '', '' from SCHEMA.event where version % 10 = 0");
    sql("insert into SCHEMA.outbox (type_name, entity_id, slice, version, "
        "append_id, target, message, due_at) select type, id, slice, 100, "
        "gen_random_uuid(), 'somebody', '', now() from entity where type = "
        "'order'");
    add_projections();
    sql(
      "insert into SCHEMA.operation (client, verb, arguments, outcome) select "
      "'a test', 'projection pause', '{}', 'done' from entity");
    add_nodes();
    sql("vacuum analyze");
  }

  /// One that has read everything, and one with dead letters that has not.
  void add_projections() {
    session_ = open()->connect_projections();
    session_->declare("current", 1, 4, from_beginning{});
    session_->declare("stuck", 1, 4, from_beginning{});
    sql("update SCHEMA.projection_range set seq_no = "
        "SCHEMA.frontier() where name = 'current'");
    sql("insert into SCHEMA.dead_letter (name, version, seq_no, type_name, "
        "entity_id, slice, kind, error) select 'stuck', 1, e.seq_no, "
        "e.type_name, e.entity_id, e.slice, (array['parked', 'behind', "
        "'skipped'])[1 + x.n / 3 % 3], 'the beast' from SCHEMA.event as e join "
        "entity as x on x.type = e.type_name and x.id = e.entity_id where "
        "e.type_name = 'order' and e.version = 1");
  }

  void add_nodes() {
    for (auto i = 0; i < 8; ++i) {
      node_description self;
      self.cluster = "shop";
      self.name = "node-" + std::to_string(i);
      self.incarnation = uuid::v4();
      self.address = "127.0.0.1";
      self.port = static_cast<std::uint16_t>(4000 + i);
      self.protocol = "1";
      self.program = "host:" + std::to_string(i);
      self.shards = 1024;
      self.lease = 24h;
      auto node = open()->connect_membership();
      node->join(self);
      membership_change change;
      for (auto shard = i; shard < 1024; shard += 8)
        change.take.push_back(static_cast<std::uint16_t>(shard));
      cluster_picture known;
      ASSERT_TRUE(node->sync(self, change, known));
    }
  }

  /// Runs a verb and notes what it took. Returns what it has printed, or nothing
  /// where that is too much.
  outcome took(std::vector<std::string> arguments, int code = 0,
               bool quiet = false) {
    std::string name;
    for (auto& x : arguments)
      name += (name.empty() ? "" : " ") + fs::path{x}.filename().string();
    arguments = here(arguments);
    auto begin = std::chrono::steady_clock::now();
    process x{"/bin/sh", shell(arguments, quiet)};
    EXPECT_EQ(x.finish(), code) << name << "\n" << x.out() << x.err();
    note(name, begin, x.peak_memory());
    // Twice what the largest of them takes, and no share of the journal.
    if (large_) {
      EXPECT_LT(x.peak_memory(), 64U * 1024 * 1024) << name;
    }
    return {code, x.out(), x.err()};
  }

  static std::vector<std::string> shell(std::vector<std::string> arguments,
                                        bool quiet) {
    arguments.insert(
      arguments.begin(),
      {"-c", quiet ? "exec \"$0\" \"$@\" > /dev/null" : "exec \"$0\" \"$@\"",
       EVENTED_CLI});
    return arguments;
  }

  static void note(const std::string& name,
                   std::chrono::steady_clock::time_point begin,
                   std::uint64_t memory) {
    auto took
      = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin);
    std::printf("%9.3f s %5lu MB  %s\n", took.count(), memory >> 20,
                name.c_str());
    std::fflush(stdout);
  }

  /// Plays the application that runs the projections.
  void start_program() {
    program_ = std::thread{[this] {
      auto mine = open()->connect_projections();
      while (!over_)
        for (auto* name : {"current", "stuck"})
          if (wait_until([&] { return answer(*mine, name); }, 5ms))
            break;
    }};
  }

  bool answer(projection_session& mine, const char* name) {
    auto found = mine.take_request(name);
    if (found)
      mine.end_request(found->id, "", 1);
    return found.has_value();
  }

  std::string file(const std::string& name) const { return dir_ / name; }

  void look();
  void open_pages();
  void steer();
  void move_and_remove();

  const bool large_ = std::getenv("EVENTED_LARGE") != nullptr;
  const int entities_ = large_ ? 50'000 : 200;
  const fs::path dir_ = fs::temp_directory_path()
                        / ("evented-verbs-" + std::to_string(::getpid()));
  std::unique_ptr<projection_session> session_;
  std::atomic<bool> over_{false};
  std::thread program_;
};

std::size_t lines(const outcome& x) {
  return static_cast<std::size_t>(std::count(x.out.begin(), x.out.end(), '\n'));
}

void every_verb::look() {
  const auto all = std::to_string(entities_ * 100 + 3);
  took({"status"});
  auto status = json::parse(took({"status", "--exact", "--json"}).out);
  EXPECT_EQ(std::to_string(status["last_number"].get<int>()), all);
  took({"nodes", "--shards"});
  EXPECT_EQ(lines(took({"events"})), 100U);
  EXPECT_EQ(lines(took({"events", "--last", "100"})), 100U);
  EXPECT_EQ(lines(took({"events", "--type", "device", "--last", "100"})), 100U);
  EXPECT_EQ(
    lines(took({"events", "--type", "device", "--id", "entity-1000001"})),
    100U);
  EXPECT_EQ(lines(took({"events", "--name", "never"})), 0U);
  EXPECT_EQ(lines(took({"events", "--name", "never", "--last", "5"})), 0U);
  took({"events", "--since", "2000-01-01", "--before", "2001-01-01"});
  took({"events", "--since", "2999-01-01", "--last", "5"});
  EXPECT_EQ(lines(took({"events", "--follow", "--after", "0", "--up-to", "1000",
                        "--json"})),
            1000U);
  took({"events", "--limit", "0", "--json"}, 0, true);
  EXPECT_EQ(lines(took({"entity", "device", "entity-1000001", "--json"})),
            101U);
  took({"verify"});
  took({"export", file("journal.jsonl.zst"), "--yes"});
  took(
    {"trim", "account", "--all", "--ignore-projection", "stuck", "--dry-run"},
    0, true);
  took({"archive", "device", "--all", "--idle-since", "2999-01-01", "--to",
        file("none.jsonl"), "--ignore-projection", "stuck", "--dry-run"},
       0, true);
}

void every_verb::steer() {
  start_program();
  EXPECT_EQ(json::parse(took({"projection", "list", "--json"}).out).size(), 2U);
  took({"projection", "wait", "current"});
  took({"projection", "wait", "stuck", "--timeout", "0"}, 7);
  took({"projection", "pause", "stuck"});
  took({"projection", "resume", "stuck"});
  took({"projection", "skip", "stuck", "1", "--yes"});
  took({"projection", "rescale", "stuck", "8", "--yes"});
  took({"projection", "reset", "current", "--yes"});
  took({"projection", "rebuild", "current", "--yes"});
  EXPECT_EQ(lines(took({"dead-letters", "list", "stuck", "--json"})),
            large_ ? 100U : 67U);
  took({"dead-letters", "list", "--limit", "10000", "--json"}, 0, true);
  auto of = [this](const std::string& kind) {
    return sql("select min(seq_no) from SCHEMA.dead_letter where kind = '"
               + kind + "' and seq_no > 3");
  };
  took({"dead-letters", "show", "stuck", of("parked")});
  took({"dead-letters", "replay", "stuck", of("parked")});
  took({"dead-letters", "drop", "stuck", of("behind"), "--yes"});
  took({"bench", "--seconds", "1", "--yes"});
}

void every_verb::move_and_remove() {
  // Nobody has to read them any more, and nothing of theirs waits.
  sql("update SCHEMA.projection_range set seq_no = SCHEMA.frontier()");
  took({"export", file("journal.jsonl"), "--yes"});
  auto here = options.schema;
  move_to(here + "_copy");
  took({"import", file("journal.jsonl"), "--yes"});
  EXPECT_EQ(sql("select count(*) from SCHEMA.event"),
            std::to_string(entities_ * 100 + 3));
  sql("drop schema SCHEMA cascade");
  move_to(here);
  took({"trim", "account", "--all", "--up-to", "50", "--yes"}, 0, true);
  took({"archive", "device", "--all", "--idle-since", "2999-01-01", "--to",
        file("devices.jsonl.zst"), "--yes"},
       0, true);
  EXPECT_EQ(sql("select count(*) from SCHEMA.event where type_name = 'device'"),
            "0");
  took({"verify"});
}

void every_verb::open_pages() {
  program server{here({"serve", "--listen", "127.0.0.1:0"})};
  ASSERT_TRUE(server.read_until(
    [](auto& out) { return out.find("/\n") != std::string::npos; }));
  auto& out = server.out();
  httplib::Client client{"127.0.0.1",
                         std::stoi(out.substr(out.rfind(':') + 1))};
  client.set_read_timeout(60);
  auto last
    = sql("select max(seq_no) from SCHEMA.event where type_name = 'order'");
  for (auto& path : {"/"s,
                     "/metrics"s,
                     "/api/overview"s,
                     "/api/applications"s,
                     "/api/types"s,
                     "/api/events?limit=200"s,
                     "/api/events?type=device&limit=50"s,
                     "/api/events?after=1000000&limit=50"s,
                     "/api/events?type=device&id=entity-1000001"s,
                     "/api/events?name=never"s,
                     "/api/events?name=never&after=0"s,
                     "/api/event?type=order&seq_no=" + last,
                     "/api/entities?type=device&limit=200"s,
                     "/api/entities?type=device&from=entity-1000150"s,
                     "/api/entity?type=device&id=entity-1000001"s,
                     "/api/history?type=device&id=entity-1000001&from=50"s,
                     "/api/letters?limit=200"s,
                     "/api/letters?projection=stuck&after=100"s,
                     "/api/operations?limit=200"s,
                     "/api/nodes"s}) {
    auto begin = std::chrono::steady_clock::now();
    auto found = client.Get(path);
    ASSERT_TRUE(found) << path;
    EXPECT_EQ(found->status, 200) << path << found->body;
    EXPECT_LT(found->body.size(), 512U * 1024) << path;
    note(path, begin, 0);
  }
  server.signal(SIGTERM);
  EXPECT_EQ(server.finish(), 0) << server.err();
  std::printf("%5lu MB  evented serve\n", server.peak_memory() >> 20);
  if (large_) {
    EXPECT_LT(server.peak_memory(), 64U * 1024 * 1024);
  }
}

} // namespace

TEST_F(every_verb, works_on_a_large_journal) {
  look();
  open_pages();
  steer();
  move_and_remove();
}
