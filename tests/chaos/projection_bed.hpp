#pragma once

// What the tests of projections that several processes run have in common: the
// tables of the view, a load, and a look at it all from outside.

#include "chaos/application.hpp"
#include "chaos/observer.hpp"
#include "chaos/worker.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace evented::test {

inline constexpr const char* projection_name = "sums";

/// Returns the statements that make the tables of one version of the view. A
/// second row for an event is refused, and `place` tells in which order they
/// were handled.
inline std::vector<std::string> view_tables(const std::string& schema,
                                            std::int32_t version) {
  auto v = std::to_string(version);
  return {"create table " + schema + ".sums_" + v
            + " (id uuid primary key, amount bigint not null)",
          "create table " + schema + ".handled_" + v
            + " (seq_no bigint primary key, pid integer not null, place "
              "bigserial)"};
}

// -- looking from outside -----------------------------------------------------

/// Looks at the checkpoints all the time and notes where one has moved back.
class checkpoint_watch {
public:
  checkpoint_watch(std::string url, std::string schema)
    : url_(std::move(url)),
      schema_(std::move(schema)),
      thread_([this] { run(); }) {
    // nop
  }

  ~checkpoint_watch() {
    stop_ = true;
    thread_.join();
  }

  /// Returns a line for everything that is wrong.
  std::string complaints() const {
    std::lock_guard guard{mutex_};
    return complaints_;
  }

  std::string summary() const {
    std::lock_guard guard{mutex_};
    return std::to_string(looks_) + " looks at the checkpoints, "
           + std::to_string(epochs_.size()) + " epochs";
  }

  std::size_t looks() const {
    std::lock_guard guard{mutex_};
    return looks_;
  }

private:
  struct range {
    std::uint64_t seq_no = 0;
    std::uint64_t epoch = 0;
  };

  void run() {
    observer db{url_};
    auto next = std::chrono::steady_clock::now();
    while (!stop_) {
      try {
        compare(db.query("select version, slice_from, slice_to, seq_no, epoch "
                         "from "
                         + schema_
                         + ".projection_range order by version, slice_from"));
      } catch (const std::exception&) {
        // The tests take the server away.
      }
      next = std::max(next + std::chrono::milliseconds{20},
                      std::chrono::steady_clock::now());
      std::this_thread::sleep_until(next);
    }
  }

  void compare(const observer::table& found) {
    std::lock_guard guard{mutex_};
    ++looks_;
    std::string version;
    auto expected = 0;
    for (auto& row : found) {
      auto name = "version " + row[0] + " slice " + row[1];
      if (row[0] != version && !version.empty() && expected != 1024)
        complain("version " + version + " ends at slice "
                 + std::to_string(expected));
      expected = row[0] == version ? expected : 0;
      version = row[0];
      if (std::stoi(row[1]) != expected)
        complain(name + " does not follow on " + std::to_string(expected));
      expected = std::stoi(row[2]) + 1;
      range now{std::stoull(row[3]), std::stoull(row[4])};
      epochs_.insert(now.epoch);
      auto& before = last_[name];
      if (now.seq_no < before.seq_no)
        complain(name + ": the checkpoint moved from "
                 + std::to_string(before.seq_no) + " to " + row[3]);
      if (now.epoch < before.epoch)
        complain(name + ": the epoch moved from " + std::to_string(before.epoch)
                 + " to " + row[4]);
      before = now;
    }
    if (!version.empty() && expected != 1024)
      complain("version " + version + " ends at slice "
               + std::to_string(expected));
  }

  void complain(const std::string& what) {
    if (complaints_.size() < 2000)
      complaints_ += what + '\n';
  }

  std::string url_;
  std::string schema_;
  mutable std::mutex mutex_;
  std::map<std::string, range> last_;
  std::set<std::uint64_t> epochs_;
  std::string complaints_;
  std::size_t looks_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// -- load ---------------------------------------------------------------------

/// Sends so many commands a second, whatever becomes of them, but fewer where
/// the machine cannot keep up, until told to stop; then waits for the last
/// answers.
class paced_sender : public caf::event_based_actor {
public:
  struct shared {
    ledger& book;
    std::atomic<bool> stop{false};
    std::atomic<bool> ended{false};
  };

  static constexpr std::chrono::milliseconds pace{20};
  static constexpr std::size_t most_open = 100;

  paced_sender(caf::actor_config& cfg, caf::actor accounts,
               std::vector<uuid> ids, unsigned per_second, std::string prefix,
               shared& with)
    : caf::event_based_actor(cfg),
      accounts_(std::move(accounts)),
      ids_(std::move(ids)),
      per_second_(per_second),
      prefix_(std::move(prefix)),
      shared_(with) {
    // nop
  }

  caf::behavior make_behavior() override {
    seam::delayed_send(this, pace, 0);
    return {[this](int) {
      if (shared_.stop) {
        stopping_ = true;
        end_if_done();
        return;
      }
      due_ += per_second_ * pace.count();
      for (; due_ >= 1000; due_ -= 1000)
        if (open_ < most_open)
          send_next();
      seam::delayed_send(this, pace, 0);
    }};
  }

  void on_exit() override {
    accounts_ = nullptr;
    shared_.ended = true;
  }

private:
  void send_next() {
    auto token = prefix_ + '.' + std::to_string(++sent_);
    auto id = ids_[sent_ % ids_.size()];
    // Every third command takes out what an earlier one may have put in.
    if (sent_ % 3 == 0)
      send_one(id, withdraw{token, 1});
    else
      send_one(id, deposit{token, static_cast<std::int64_t>(sent_ % 7)});
  }

  template <class Command>
  void send_one(const uuid& id, Command cmd) {
    ++open_;
    auto token = cmd.token;
    request(accounts_, patience, id, std::move(cmd))
      .then(
        [this, token, id](const accepted& a) {
          take({token, id, errc::none, a, {}});
        },
        [this, token, id](const caf::error& err) {
          take(refused(token, id, err, evented::render(system(), err)));
        });
  }

  void take(answer x) {
    shared_.book.add(std::move(x));
    --open_;
    end_if_done();
  }

  void end_if_done() {
    if (stopping_ && open_ == 0)
      quit();
  }

  caf::actor accounts_;
  std::vector<uuid> ids_;
  unsigned per_second_;
  /// In thousandths of a command.
  std::int64_t due_ = 0;
  std::string prefix_;
  shared& shared_;
  std::size_t sent_ = 0;
  std::size_t open_ = 0;
  bool stopping_ = false;
};

/// Such a sender at work.
class paced_load {
public:
  paced_load(application& app, std::vector<uuid> ids, unsigned per_second,
             const std::string& prefix, ledger& book)
    : shared_{book} {
    app.system().spawn<paced_sender>(app.accounts(), std::move(ids), per_second,
                                     prefix, std::ref(shared_));
  }

  ~paced_load() { (void)stop(); }

  /// Returns whether every command was answered.
  [[nodiscard]] bool stop() {
    shared_.stop = true;
    return wait_until([this] { return shared_.ended.load(); },
                      patience + std::chrono::seconds{10});
  }

private:
  paced_sender::shared shared_;
};

// -- the bed ------------------------------------------------------------------

/// A journal with accounts in this process, and the tables of a view that
/// worker processes write.
class projection_bed {
public:
  static constexpr std::chrono::milliseconds take_over{3000};

  /// How much later than promised something may happen on a slow machine.
  static constexpr std::chrono::milliseconds slack{10'000};

  explicit projection_bed(const dev::postgres& server, std::uint16_t ranges = 1)
    : url_(server.url()),
      schema_(unique_schema()),
      ranges_(ranges),
      app_(where()),
      db_(url_) {
    for (auto& sql : view_tables(schema_, 1))
      db_.query(sql);
    db_.query("create view " + schema_ + ".live as select * from " + schema_
              + ".sums_1");
    db_.query("create table " + schema_
              + ".effected (seq_no bigint, pid "
                "integer)");
    for (int i = 0; i < 12; ++i)
      ids_.push_back(uuid::v4());
  }

  application& app() { return app_; }

  observer& db() { return db_; }

  const std::string& url() const { return url_; }

  const std::string& schema() const { return schema_; }

  checkpoint_watch& checkpoints() { return checkpoints_; }

  // -- processes --------------------------------------------------------------

  void poll_every(std::chrono::milliseconds time) { poll_ = time; }

  /// Lets each event have an effect outside of its transaction.
  void with_effects() { effects_ = true; }

  /// Starts a process that runs the projection, over another way where `url` is
  /// given.
  std::unique_ptr<worker> start(const std::string& url = "") const {
    return std::make_unique<worker>(std::vector<std::string>{
      "projection", url.empty() ? url_ : url, schema_,
      std::to_string(take_over.count()), std::to_string(poll_.count()),
      std::to_string(ranges_), effects_ ? "effects" : "plain"});
  }

  /// Starts one and waits until it runs all ranges.
  std::unique_ptr<worker> start_owner(const std::string& url = "") {
    auto result = start(url);
    if (result->hear().value_or("nothing") != "ready")
      throw std::runtime_error("a worker is not ready");
    if (!wait_until([&] { return owners() == std::set{result->pid()}; },
                    patience))
      throw std::runtime_error("a worker does not run the projection");
    return result;
  }

  /// Starts one that stands by.
  std::unique_ptr<worker> start_standby(const std::string& url = "") {
    auto result = start(url);
    if (result->hear().value_or("nothing") != "ready")
      throw std::runtime_error("a worker is not ready");
    return result;
  }

  /// Returns the processes that run ranges, 0 among them where one is free.
  std::set<pid_t> owners() {
    std::set<pid_t> result;
    for (auto& row :
         db_.query("select coalesce(o.host, ':0') from " + schema_
                   + ".projection_range as r left join " + schema_
                   + ".runner as o on o.id = r.owner and o.alive_until > "
                     "clock_timestamp()"))
      result.insert(std::stoi(row[0].substr(row[0].rfind(':') + 1)));
    return result;
  }

  /// Checks that one process runs the projection, and not none or several. Which
  /// one is a matter of how evenly the machine runs.
  bool has_one_owner() {
    return wait_until(
      [&] {
        auto found = owners();
        return found.size() == 1 && *found.begin() != 0;
      },
      patience);
  }

  // -- events -----------------------------------------------------------------

  /// Stores one event and returns its number, 0 where that failed.
  std::uint64_t append() {
    auto got = app_.ask(ids_[++appended_ % ids_.size()],
                        deposit{"one." + std::to_string(appended_), 1});
    book_.add(got);
    return got.ok ? got.ok->seq_no : 0;
  }

  paced_load work(unsigned per_second) {
    return {app_, ids_, per_second, "load." + std::to_string(++loads_), book_};
  }

  // -- the view ---------------------------------------------------------------

  std::string live_version() {
    return db_.value("select version from " + schema_ + ".projection");
  }

  std::string handled_table() { return schema_ + ".handled_" + live_version(); }

  std::uint64_t handled() {
    return db_.number("select count(*) from " + handled_table());
  }

  /// Returns the place of the last event that was handled.
  std::uint64_t last_place() {
    return db_.number("select coalesce(max(place), 0) from " + handled_table());
  }

  bool is_handled(std::uint64_t seq_no) {
    return !db_
              .query("select from " + handled_table()
                     + " where seq_no = " + std::to_string(seq_no))
              .empty();
  }

  /// Returns who has handled an event.
  pid_t handler_of(std::uint64_t seq_no) {
    return std::stoi(db_.value("select pid from " + handled_table()
                               + " where seq_no = " + std::to_string(seq_no)));
  }

  /// Waits until `who` has handled an event after `place`, and says so if that
  /// takes longer than it may.
  [[nodiscard]] std::string
  taken_over_by(const worker& who, std::uint64_t place, const char* what) {
    auto begin = std::chrono::steady_clock::now();
    auto sql = "select from " + handled_table() + " where place > "
               + std::to_string(place)
               + " and pid = " + std::to_string(who.pid()) + " limit 1";
    auto there
      = wait_until([&] { return !db_.query(sql).empty(); }, take_over + slack);
    auto time = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
    std::cout << what << ": taken over after " << time.count() << " ms\n";
    return there ? "" : std::string{what} + ": not taken over. " + describe();
  }

  /// Waits until everything is handled, then compares the view with the
  /// journal. Returns a line for everything that is wrong.
  [[nodiscard]] std::string verify() {
    auto done = "select (select min(seq_no) from " + schema_
                + ".projection_range) >= (select coalesce(max(seq_no), 0) from "
                + schema_ + ".event)";
    if (!wait_until([&] { return db_.value(done) == "t"; }, patience * 2))
      return "it does not catch up. " + describe();
    std::ostringstream out;
    journal_view journal{url_, schema_};
    out << journal.compare(book_.answers()) << checkpoints_.complaints();
    std::map<std::string, std::int64_t> fold;
    std::map<std::string, std::string> entity_of;
    for (auto& x : journal.events()) {
      fold[x.entity]
        += x.name == event_name<deposited>() ? x.amount : -x.amount;
      entity_of[std::to_string(x.seq_no)] = x.entity;
    }
    std::map<std::string, std::int64_t> view;
    for (auto& row : db_.query("select id, amount from " + schema_ + ".live"))
      view[row[0]] = std::stoll(row[1]);
    for (auto& [id, amount] : fold)
      if (view.count(id) == 0 || view[id] != amount)
        out << "the view of " << id << " says " << view[id] << " instead of "
            << amount << '\n';
    if (view.size() != fold.size())
      out << view.size() << " accounts in the view instead of " << fold.size()
          << '\n';
    auto missing = entity_of;
    std::map<std::string, std::uint64_t> last;
    for (auto& row : db_.query("select seq_no from " + handled_table()
                               + " order by place")) {
      auto found = entity_of.find(row[0]);
      if (found == entity_of.end()) {
        out << row[0] << " was handled, but is no event\n";
        continue;
      }
      missing.erase(row[0]);
      auto& before = last[found->second];
      if (std::stoull(row[0]) <= before)
        out << row[0] << " was handled after " << before << '\n';
      before = std::stoull(row[0]);
    }
    if (!missing.empty())
      out << missing.size() << " events were not handled, one of them "
          << missing.begin()->first << '\n';
    for (auto& row : db_.query("select seq_no, count(*) from " + schema_
                               + ".effected group by 1 having count(*) > 1"))
      out << "the effect of " << row[0] << " has happened " << row[1]
          << " times\n";
    for (auto& row :
         db_.query("select seq_no from " + schema_
                   + ".effected except select seq_no from " + handled_table()))
      out << "the effect of " << row[0] << ", which was not handled\n";
    return out.str();
  }

  /// Returns how the projection stands, for who reads that a test has failed.
  std::string describe() {
    std::ostringstream out;
    out << "Events up to "
        << db_.value("select max(seq_no) from " + schema_ + ".event")
        << ", frontier " << db_.value("select " + schema_ + ".frontier()")
        << ", version/building/rescale";
    for (auto& row : db_.query("select version, building, rescale_to, paused "
                               "from "
                               + schema_ + ".projection"))
      for (auto& x : row)
        out << ' ' << (x.empty() ? "-" : x);
    for (auto& row :
         db_.query("select r.version, slice_from, seq_no, barrier, epoch, "
                   "o.host, extract(epoch from o.alive_until - "
                   "clock_timestamp()), error, failed_seq_no, halted from "
                   + schema_ + ".projection_range as r left join " + schema_
                   + ".runner as o on o.id = r.owner order by 1, 2")) {
      out << "\n  range";
      for (auto& x : row)
        out << ' ' << (x.empty() ? "-" : x);
    }
    return out.str() + '\n';
  }

private:
  journal_options where() const {
    journal_options result;
    result.url = url_;
    result.schema = schema_;
    return result;
  }

  std::string url_;
  std::string schema_;
  std::uint16_t ranges_;
  std::chrono::milliseconds poll_{500};
  bool effects_ = false;
  application app_;
  observer db_;
  std::vector<uuid> ids_;
  ledger book_;
  std::size_t appended_ = 0;
  std::size_t loads_ = 0;
  checkpoint_watch checkpoints_{url_, schema_};
};

} // namespace evented::test
