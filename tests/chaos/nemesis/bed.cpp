#include "chaos/nemesis/bed.hpp"

#include "chaos/application.hpp"

#include <evented/store.hpp>

#include <fstream>
#include <sstream>
#include <sys/types.h>

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

/// How long anything may take on a slow machine before it counts as never.
constexpr auto long_enough = 60s;

std::filesystem::path clock_library() {
#ifdef __SANITIZE_ADDRESS__
  return {}; // AddressSanitizer insists on being loaded first.
#else
  for (auto* triplet : {"x86_64-linux-gnu", "aarch64-linux-gnu"}) {
    auto result = std::filesystem::path{"/usr/lib"} / triplet
                  / "faketime/libfaketimeMT.so.1";
    if (std::filesystem::exists(result))
      return result;
  }
  return {};
#endif
}

std::string name_of_process(std::size_t which, unsigned life) {
  return std::string(1, static_cast<char>('a' + which)) + std::to_string(life);
}

} // namespace

bed::bed(place where, recorder& book)
  : where_(std::move(where)),
    book_(book),
    schema_(unique_schema()),
    url_("postgresql:///postgres?host=" + where_.sockets.native()
         + "&port=5432&user=evented&connect_timeout=3"
           "&application_name=observer"
           "&options=-c%20client_min_messages%3Derror"),
    db_(url_) {
  make_journal();
  for (auto& x : links_)
    x = std::make_unique<proxy>(where_.sockets / ".s.PGSQL.5432");
  if (!clock_library().empty()) {
    clock_ = links_.back()->directory() / "clock";
    std::ofstream{clock_} << "+0\n";
  }
  watch_ = std::thread{[this] { watch(); }};
  for (std::size_t i = 0; i < process_count; ++i)
    start(i);
}

bed::~bed() {
  clients_.reset();
  // What it looks at may be locked.
  sessions_.clear();
  stop_watching_ = true;
  watch_.join();
  if (!clock_.empty())
    std::filesystem::remove(clock_);
}

void bed::make_journal() {
  journal_options options;
  options.url = url_;
  options.schema = schema_;
  options.ids = id_kind::bigint;
  open_store(options);
  db_.query("create table " + schema_
            + ".view_event (place bigserial primary key, seq_no bigint)");
  db_.query("create table " + schema_
            + ".view_total (entity bigint primary key, total bigint)");
}

std::shared_ptr<vault_process> bed::process(std::size_t which) const {
  std::lock_guard guard{mutex_};
  return processes_[which];
}

// -- clients ------------------------------------------------------------------

void bed::start_clients(std::uint64_t seed) {
  clients_ = std::make_unique<clients>(6, seed, [this](std::uint64_t any) {
    for (std::size_t i = 0; i < process_count; ++i)
      if (auto x = process((any + i) % process_count);
          x != nullptr && x->ready())
        return x;
    return std::shared_ptr<vault_process>{};
  });
}

// -- processes ----------------------------------------------------------------

void bed::start(std::size_t which) {
  auto before = process(which);
  if (before != nullptr && before->running())
    return;
  kill(which);
  // The time limits differ: one process gives up on locks, the other is cut off
  // in the middle of a statement.
  auto limits
    = which == 0 ? std::array{"300", "1500"} : std::array{"3000", "700"};
  std::vector<std::string> environment;
  if (which + 1 == process_count && !clock_.empty())
    environment
      = {"LD_PRELOAD=" + clock_library().native(),
         "FAKETIME_TIMESTAMP_FILE=" + clock_.native(), "FAKETIME_NO_CACHE=1",
         "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_RESET=1"};
  auto life = std::make_shared<vault_process>(
    name_of_process(which, ++lives_[which]),
    std::vector<std::string>{links_[which]->url("evented"), schema_, limits[0],
                             limits[1]},
    std::move(environment), book_);
  std::lock_guard guard{mutex_};
  processes_[which] = std::move(life);
}

void bed::note_end(const vault_process& which, const std::string& how) {
  if (how != "signal 9" && how != "gone before")
    complaints_ += "process " + which.name() + " has ended with " + how + '\n';
}

void bed::kill(std::size_t which) {
  if (auto x = process(which))
    note_end(*x, x->kill());
}

void bed::end(std::size_t which) {
  auto x = process(which);
  if (x != nullptr && x->ready())
    if (auto how = x->end(); how != "exit 0")
      complaints_ += "process " + x->name() + " was told to end: " + how + '\n';
  kill(which);
}

std::string bed::wait_for_progress(std::size_t commands) {
  std::array<std::pair<std::shared_ptr<vault_process>, std::size_t>,
             process_count>
    before;
  for (std::size_t i = 0; i < process_count; ++i)
    before[i] = {process(i), process(i)->accepted()};
  std::string stuck;
  auto moved = wait_until(
    [&] {
      stuck.clear();
      for (std::size_t i = 0; i < process_count; ++i) {
        auto now = process(i);
        auto from = now == before[i].first ? before[i].second : 0;
        if (now->accepted() < from + commands)
          stuck += ' ' + now->name();
      }
      return stuck.empty();
    },
    long_enough);
  return moved ? "" : "nothing is accepted any more by" + stuck + '\n';
}

// -- the database -------------------------------------------------------------

void bed::start_server() {
  try {
    where_.server->start();
  } catch (const std::exception& e) {
    std::string why = e.what();
    book_.fault("the server does not start: " + why.substr(0, why.find('\n')));
  }
}

bool bed::database_answers() {
  try {
    if (where_.server != nullptr)
      start_server();
    db_.query("create temp table if not exists writable (x int)");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void bed::fail_over(bool synchronous, const std::function<void()>& over) {
  // What is seen of the new server must come after its line.
  std::lock_guard guard{watching_};
  over();
  book_.add(failover_line(synchronous));
}

void bed::watch() {
  observer db{url_};
  std::map<std::string, std::string> last;
  while (!stop_watching_) {
    {
      // The look and its line are one step, so that no failover is written down
      // between them.
      std::lock_guard guard{watching_};
      try {
        for (auto& row : db.query("select 'totals ' || slice_from, seq_no, "
                                  "epoch from "
                                  + schema_ + ".projection_range order by 1")) {
          auto line = to_line(
            checkpoint{row[0], std::stoull(row[1]), std::stoull(row[2]), 0});
          if (std::exchange(last[row[0]], line) != line)
            book_.add(stamped(line));
        }
      } catch (const std::exception&) {
        // The faults take the server away.
      }
    }
    pass_time(25ms);
  }
}

// -- the end ------------------------------------------------------------------

void bed::undo_faults() {
  sessions_.clear();
  if (where_.volume != nullptr)
    where_.volume->clear();
  for (std::size_t i = 0; i < process_count; ++i) {
    links_[i]->disarm();
    links_[i]->release();
    links_[i]->heal();
    process(i)->resume();
  }
  if (!clock_.empty())
    std::ofstream{clock_} << "+0\n";
}

bool bed::are_gone(const std::string& backends) {
  try {
    return db_
      .query("select from pg_stat_activity where pid in (" + backends + ")")
      .empty();
  } catch (const std::exception&) {
    return false;
  }
}

std::string bed::ask_all() {
  for (std::int64_t entity = 0; entity < entity_count; ++entity)
    for (std::size_t i = 0; i < process_count; ++i) {
      call what;
      what.client = "last";
      what.entity = entity;
      what.verb = "ask_journal";
      // No command's.
      what.key = ~std::uint64_t{0} / 2 + i
                 + static_cast<std::uint64_t>(entity) * process_count;
      reply got;
      if (!wait_until(
            [&] {
              got = process(i)->ask(what);
              return got.as == "seen";
            },
            long_enough))
        return "entity " + std::to_string(entity)
               + " does not answer: " + to_string(got) + '\n';
    }
  return {};
}

std::string bed::settle() {
  // First, since an answer may wait for that.
  undo_faults();
  stop_clients();
  if (!wait_until([this] { return database_answers(); }, long_enough))
    return "the database does not come back\n";
  for (auto& row : db_.query("select gid from pg_prepared_xacts"))
    db_.query("rollback prepared '" + row[0] + "'");
  // What was sent before takes effect now or never.
  auto backends = db_.value("select coalesce(string_agg(pid::text, ','), '0') "
                            "from pg_stat_activity where application_name <> "
                            "'observer' and backend_type = 'client backend'");
  for (auto& x : links_)
    x->cut_all();
  if (!wait_until([&] { return are_gone(backends); }, long_enough))
    return "a transaction does not end\n";
  for (std::size_t i = 0; i < process_count; ++i)
    start(i);
  for (std::size_t i = 0; i < process_count; ++i)
    if (!wait_until([&] { return process(i)->ready(); }, long_enough))
      return "process " + process(i)->name() + " does not become ready\n";
  auto wrong = ask_all();
  auto unread = "select (select count(*) from " + schema_
                + ".event) - (select count(distinct seq_no) from " + schema_
                + ".view_event)";
  // What is wrong with it is the checker's to say.
  auto caught_up = wait_until(
    [&] {
      try {
        return db_.value(unread) == "0";
      } catch (const std::exception&) {
        return false;
      }
    },
    long_enough);
  if (!caught_up)
    wrong += "the view does not catch up\n";
  for (std::size_t i = 0; i < process_count; ++i)
    end(i);
  write_down();
  return wrong + complaints_;
}

void bed::write_down() {
  std::lock_guard guard{watching_};
  auto number = [](const std::string& x) { return std::stoull(x); };
  auto each = [this](const std::string& sql, auto f) {
    auto text = sql;
    for (auto at = text.find("SCHEMA"); at != std::string::npos;
         at = text.find("SCHEMA"))
      text.replace(at, 6, schema_);
    for (auto& row : db_.query(text))
      book_.add(f(row));
  };
  each("select entity_id, version, seq_no, event->>'key', event->>'amount' "
       "from SCHEMA.event order by seq_no",
       [&](auto& row) {
         return to_line(event{std::stoll(row[0]), number(row[1]),
                              number(row[2]), number(row[3]),
                              std::stoll(row[4])});
       });
  each("select entity_id, command_id, outcome, version, seq_no from "
       "SCHEMA.command order by 1, 4",
       [&](auto& row) {
         return to_line(remembered{std::stoll(row[0]), row[1], row[2],
                                   number(row[3]), number(row[4])});
       });
  each("select entity_id, version, state->>'total' from SCHEMA.snapshot "
       "order by 1, 2",
       [&](auto& row) {
         return to_line(
           snapshot{std::stoll(row[0]), number(row[1]), std::stoll(row[2])});
       });
  each("select seq_no from SCHEMA.view_event order by place",
       [&](auto& row) { return handled_line(number(row[0])); });
  each("select entity, total from SCHEMA.view_total order by 1", [](auto& row) {
    return to_line(view_total{std::stoll(row[0]), std::stoll(row[1])});
  });
}

} // namespace evented::test::nemesis
