// Nodes are killed, stopped, ended and cut off under load: every command is
// answered or can be repeated, and takes effect once.

#include "chaos/application.hpp"
#include "chaos/nemesis/dice.hpp"
#include "chaos/worker.hpp"
#include "support/proxy.hpp"
#include "support/relay.hpp"

#include <evented/actors/cluster.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <signal.h>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented::test;

using evented::errc;

namespace {

using steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds take_over{3000};

/// How many commands all clients want answered in a second. They send less where
/// the machine cannot keep up.
constexpr unsigned per_second = 2000;

constexpr unsigned clients_per_account = 2;
constexpr unsigned number_of_accounts = 60;

/// How long a client waits between its commands.
constexpr std::chrono::milliseconds pace{1000 * clients_per_account
                                         * number_of_accounts / per_second};

/// What became of the commands of all clients.
struct tally {
  ledger book;
  std::atomic<bool> stop{false};
  std::atomic<int> running{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> repeated{0};
  /// The longest that a command took, with all its repetitions.
  std::atomic<std::int64_t> slowest_ms{0};
};

/// Sends deposits to an account, each with an ID and again until it is accepted.
/// Does not make up for the time in which it got no answer.
class client : public caf::event_based_actor {
public:
  client(caf::actor_config& cfg, caf::actor accounts, evented::uuid id,
         std::string name, tally& with)
    : caf::event_based_actor(cfg),
      accounts_(std::move(accounts)),
      id_(id),
      name_(std::move(name)),
      tally_(with) {
    ++tally_.running;
  }

  caf::behavior make_behavior() override {
    next();
    return {
      [this](int) { send(); },
      [this](bool) { next(); },
    };
  }

  void on_exit() override {
    accounts_ = nullptr;
    --tally_.running;
  }

private:
  void next() {
    if (tally_.stop) {
      quit();
      return;
    }
    token_ = name_ + '.' + std::to_string(++sent_);
    began_ = steady::now();
    due_ = std::max(due_ + pace, began_);
    send();
  }

  /// Sends the next one when it is time.
  void wait() {
    auto left = due_ - steady::now();
    if (left > 0ms)
      delayed_send(this,
                   std::chrono::duration_cast<std::chrono::milliseconds>(left),
                   true);
    else
      next();
  }

  void send() {
    request(accounts_, patience, id_, deposit{token_, 1},
            evented::command_id{token_})
      .then(
        [this](const evented::accepted& a) {
          auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
            steady::now() - began_);
          auto slowest = tally_.slowest_ms.load();
          while (took.count() > slowest
                 && !tally_.slowest_ms.compare_exchange_weak(slowest,
                                                             took.count())) {
          }
          ++tally_.accepted;
          tally_.book.add({token_, id_, errc::none, a, {}});
          wait();
        },
        [this](const caf::error& err) {
          switch (evented::code_of(err)) {
          case errc::outcome_unknown:
          case errc::unreachable:
          case errc::unavailable:
          case errc::overloaded:
          case errc::conflict:
            ++tally_.repeated;
            delayed_send(this, 20ms, 1);
            break;
          default:
            tally_.book.add(
              refused(token_, id_, err, evented::render(system(), err)));
            quit();
          }
        });
  }

  caf::actor accounts_;
  evented::uuid id_;
  std::string name_;
  tally& tally_;
  std::string token_;
  steady::time_point began_;
  /// When the next command is to be sent.
  steady::time_point due_;
  unsigned sent_ = 0;
};

/// A node in a process of its own, whose links to the database and to the other
/// nodes can be cut.
class node_process {
public:
  node_process(std::string name, std::string schema)
    : name_(std::move(name)),
      schema_(std::move(schema)),
      database_(common_server().socket_directory() / ".s.PGSQL.5432") {
    // nop
  }

  void start() {
    process_.emplace(std::vector<std::string>{
      database_.url(common_server().user()), schema_, name_,
      std::to_string(link_.port()), std::to_string(take_over.count())});
    auto line = process_->hear().value_or("nothing");
    ASSERT_TRUE(line.starts_with("port ")) << name_ << " says " << line;
    link_.lead_to(static_cast<std::uint16_t>(std::stoi(line.substr(5))));
  }

  void kill() { EXPECT_EQ(process_->kill(), "signal 9"); }

  void end() {
    ::kill(process_->pid(), SIGTERM);
    EXPECT_EQ(process_->wait(60s), "exit 0") << name_;
  }

  void stop() { ::kill(process_->pid(), SIGSTOP); }
  void resume() { ::kill(process_->pid(), SIGCONT); }

  proxy& database() { return database_; }
  relay& link() { return link_; }
  const std::string& name() const { return name_; }

private:
  std::string name_;
  std::string schema_;
  proxy database_;
  relay link_;
  std::optional<worker> process_;
};

class node_processes : public testing::Test {
protected:
  node_processes() {
    evented::journal_options where;
    where.url = common_server().url();
    where.schema = schema_;
    evented::open_store(where);
    query(common_server().url(),
          "create table " + schema_
            + ".balance (id uuid primary key, amount bigint not null, events "
              "bigint not null)");
    for (auto* name : {"n1", "n2", "n3"})
      nodes_.push_back(std::make_unique<node_process>(name, schema_));
    evented::use_nodes(cfg_);
    sys_.emplace(cfg_);
    journal_.emplace(*sys_, where);
    evented::cluster_options how;
    // It connects to the others, through their relays.
    how.name = "client";
    how.take_over = take_over;
    how.owns_entities = false;
    cluster_.emplace(*sys_, *journal_, how);
    accounts_ = evented::spawn_entities<account>(*sys_, *journal_, *cluster_);
    for (auto i = 0u; i < number_of_accounts; ++i)
      ids_.push_back(evented::uuid::v4());
  }

  /// Returns how the shards are shared as this process sees it.
  std::string picture() {
    std::string result;
    for (auto& x : cluster_->state().nodes)
      if (x.name != "client")
        result += (result.empty() ? "" : " ") + x.name + ":"
                  + std::to_string(x.shards) + (x.linked ? "" : "?");
    return result;
  }

  /// Waits until all shards are owned by `count` nodes that this one is linked to.
  [[nodiscard]] bool settled(std::size_t count) {
    return wait_until(
      [&] {
        std::size_t shards = 0;
        std::size_t there = 0;
        for (auto& x : cluster_->state().nodes) {
          if (x.name == "client")
            continue;
          if (!x.linked || x.shards == 0)
            return false;
          ++there;
          shards += x.shards;
        }
        return there == count && shards == 256;
      },
      60s);
  }

  void begin_load() {
    auto number = 0;
    for (auto& id : ids_)
      for (auto each = 0u; each < clients_per_account; ++each)
        sys_->spawn<client>(accounts_, id, "c" + std::to_string(++number),
                            std::ref(tally_));
  }

  /// Stops the load and compares what the clients were told with the journal.
  void check() {
    tally_.stop = true;
    ASSERT_TRUE(wait_until([&] { return tally_.running == 0; }, 120s));
    EXPECT_EQ(tally_.book.unexpected({}), "");
    journal_view journal{common_server().url(), schema_};
    EXPECT_EQ(journal.compare(tally_.book.answers()), "");
    EXPECT_EQ(compare_view(journal), "");
    std::cout << tally_.accepted << " commands, " << tally_.repeated
              << " sent again by their clients, the slowest took "
              << tally_.slowest_ms << " ms\n";
  }

  /// Waits until the view has got the last event, and compares it with what the
  /// events add up to.
  std::string compare_view(const journal_view& journal) {
    auto last = std::to_string(journal.events().back().seq_no);
    auto done = wait_until(
      [&] {
        return query(common_server().url(), "select min(seq_no) >= " + last
                                              + " from " + schema_
                                              + ".projection_range")[0][0]
               == "t";
      },
      60s);
    if (!done)
      return "it has not got " + last;
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> fold;
    for (auto& x : journal.events()) {
      auto& [amount, events] = fold[x.entity];
      amount
        += x.name == evented::event_name<deposited>() ? x.amount : -x.amount;
      ++events;
    }
    std::string result;
    auto rows = query(common_server().url(),
                      "select id, amount, events from " + schema_ + ".balance");
    for (auto& row : rows)
      if (fold[row[0]]
          != std::pair{std::int64_t{std::stoll(row[1])},
                       std::int64_t{std::stoll(row[2])}})
        result += row[0] + " has " + row[1] + " of " + row[2] + " events\n";
    if (rows.size() != fold.size())
      result += std::to_string(rows.size()) + " accounts\n";
    return result;
  }

  /// Waits until the clients get nine tenths of this many answers a second, on
  /// average over half of one. Returns how long that took after `began`.
  std::chrono::milliseconds rate_is_back(double rate,
                                         steady::time_point began) {
    constexpr auto window = 500ms;
    std::deque<std::pair<steady::time_point, std::uint64_t>> seen;
    auto back = wait_until(
      [&] {
        auto now = steady::now();
        seen.emplace_back(now, tally_.accepted.load());
        while (seen.size() > 1 && seen[1].first <= now - window)
          seen.pop_front();
        auto time = std::chrono::duration<double>(now - seen[0].first);
        return time >= window
               && static_cast<double>(seen.back().second - seen[0].second)
                    >= 0.9 * rate * time.count();
      },
      60s);
    EXPECT_TRUE(back);
    return std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(
                           steady::now() - window - began));
  }

  /// Returns how many answers a second the clients get, over the next second.
  double rate_now() {
    auto began = steady::now();
    auto before = tally_.accepted.load();
    pass_time(1000ms);
    auto time = std::chrono::duration<double>(steady::now() - began);
    return static_cast<double>(tally_.accepted - before) / time.count();
  }

  /// Waits until every account has been served after now. Returns how long that
  /// took.
  std::chrono::milliseconds all_served() {
    auto began = steady::now();
    caf::scoped_actor self{*sys_};
    auto left = ids_;
    auto last = errc::none;
    auto served = wait_until(
      [&] {
        // With an ID, as the clients do: what waits for a node that is gone is
        // sent again.
        auto ask = [&](const evented::uuid& id) {
          return self->request(
            accounts_, patience, id, look{},
            evented::command_id{"look." + std::to_string(++looks_)});
        };
        std::vector<decltype(ask(left[0]))> asked;
        for (auto& id : left)
          asked.push_back(ask(id));
        std::vector<evented::uuid> failed;
        for (std::size_t i = 0; i < left.size(); ++i)
          asked[i].receive([](const evented::accepted&, const statement&) {},
                           [&](const caf::error& err) {
                             last = evented::code_of(err);
                             failed.push_back(left[i]);
                           });
        left = std::move(failed);
        return left.empty();
      },
      60s);
    EXPECT_TRUE(served) << evented::to_string(last);
    return std::chrono::duration_cast<std::chrono::milliseconds>(steady::now()
                                                                 - began);
  }

  std::string schema_ = unique_schema();
  std::vector<std::unique_ptr<node_process>> nodes_;
  evented::config<caf::id_block::accounts> cfg_;
  std::optional<caf::actor_system> sys_;
  std::optional<evented::journal> journal_;
  std::optional<evented::cluster> cluster_;
  caf::actor accounts_;
  std::vector<evented::uuid> ids_;
  tally tally_;
  unsigned looks_ = 0;
};

TEST_F(node_processes, lose_nothing_whatever_happens_to_them) {
  auto* wanted = std::getenv("EVENTED_SEED");
  auto seed = wanted != nullptr ? std::strtoull(wanted, nullptr, 10)
                                : std::random_device{}();
  nemesis::dice dice{seed};
  std::cout << "seed " << seed << '\n';
  for (auto& x : nodes_)
    x->start();
  ASSERT_TRUE(settled(3)) << picture();
  std::cout << "shards " << picture() << '\n';
  begin_load();
  auto end = steady::now() + load_time(20s);
  // By hand, on a machine that does nothing else: times are promised, too.
  auto timed = std::getenv("EVENTED_CHAOS_SECONDS") != nullptr;
  constexpr std::array names{"kill",         "stop",     "end",
                             "cut database", "cut link", "hold link"};
  // Each of them at least once.
  for (std::size_t round = 0; round < names.size() || steady::now() < end;
       ++round) {
    auto what = round < names.size() ? round : dice.below(names.size());
    auto& x = *nodes_[dice.below(nodes_.size())];
    auto rate = timed ? rate_now() : 0;
    auto before = tally_.accepted.load();
    auto began = steady::now();
    switch (what) {
    case 0:
      x.kill();
      break;
    case 1:
      x.stop();
      break;
    case 2:
      x.end();
      break;
    case 3:
      x.database().refuse();
      break;
    case 4:
      x.link().refuse();
      break;
    default:
      x.link().hold();
    }
    // While the others have to do without it, or cannot reach it but through the
    // database. An owner that is alive and cut off only from other nodes keeps
    // what it has.
    auto served = what < 4 ? all_served() : 0ms;
    auto without = timed && what < 4 ? rate_is_back(rate, began) : 0ms;
    if (what >= 4)
      pass_time(1500ms);
    auto meanwhile = tally_.accepted.load() - before;
    auto healed = steady::now();
    switch (what) {
    case 0:
    case 2:
      x.start();
      break;
    case 1:
      x.resume();
      break;
    case 3:
      x.database().heal();
      break;
    default:
      x.link().heal();
    }
    ASSERT_TRUE(settled(3)) << picture();
    all_served();
    auto all = std::chrono::duration_cast<std::chrono::milliseconds>(
      steady::now() - began);
    std::cout << names[what] << " " << x.name() << ": all served after "
              << served.count() << " ms, all settled after " << all.count()
              << " ms, " << meanwhile << " commands meanwhile, shards "
              << picture() << '\n';
    EXPECT_GT(tally_.accepted.load(), before);
    if (!timed)
      continue;
    auto with = rate_is_back(rate, healed);
    std::cout << "  " << std::lround(rate) << " commands/s before, again "
              << without.count() << " ms after the fault without it, and "
              << with.count() << " ms after its return\n";
    EXPECT_LE(served, take_over + 1s);
    EXPECT_LE(without, take_over + 5s);
    EXPECT_LE(with, 5s);
  }
  check();
  for (auto& x : nodes_)
    x->end();
}

} // namespace
