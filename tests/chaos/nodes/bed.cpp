#include "chaos/nodes/bed.hpp"

#include <caf/scoped_actor.hpp>

#include <cmath>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <random>
#include <utility>

using namespace std::literals;

namespace evented::test {

bool times_count() {
  return std::getenv("EVENTED_CHAOS_SECONDS") != nullptr;
}

std::uint64_t chosen_seed() {
  auto* wanted = std::getenv("EVENTED_SEED");
  auto result = wanted != nullptr ? std::strtoull(wanted, nullptr, 10)
                                  : std::random_device{}();
  std::cout << "seed " << result << '\n';
  return result;
}

void node_bed::join(setting how) {
  setting_ = std::move(how);
  journal_options where;
  where.url = setting_.url;
  where.schema = schema_;
  open_store(where);
  query(setting_.server,
        "create table " + schema_
          + ".balance (id uuid primary key, amount bigint not null, events "
            "bigint not null)");
  use_nodes(cfg_, setting_.security);
  sys_.emplace(cfg_);
  journal_.emplace(*sys_, where);
  cluster_options options;
  // It connects to the others, as its name is the least one.
  options.name = "client";
  options.address = setting_.address;
  options.take_over = take_over;
  options.owns_entities = false;
  cluster_.emplace(*sys_, *journal_, options);
  accounts_ = spawn_entities<account>(*sys_, *journal_, *cluster_);
  for (auto i = 0u; i < number_of_accounts; ++i)
    ids_.push_back(uuid::v4());
}

void node_bed::leave() {
  // Where a test has failed, clients are still there.
  tally_.stop = true;
  accounts_ = nullptr;
  cluster_.reset();
  journal_.reset();
  sys_.reset();
}

std::string node_bed::picture() {
  std::string result;
  for (auto& x : cluster_->state().nodes)
    if (x.name != "client")
      result += (result.empty() ? "" : " ") + x.name + ":"
                + std::to_string(x.shards) + (x.linked ? "" : "?");
  return result;
}

bool node_bed::settled(std::size_t count) {
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

void node_bed::begin_load() {
  auto number = 0;
  for (auto& id : ids_)
    for (auto each = 0u; each < clients_per_account; ++each)
      sys_->spawn<client>(accounts_, id, "c" + std::to_string(++number),
                          std::ref(tally_));
}

void node_bed::go_through(const node_fault& what) {
  auto timed = times_count();
  auto rate = timed ? rate_now() : 0;
  auto before = tally_.accepted.load();
  auto began = clock::now();
  what.strike();
  auto served = what.takes_a_node ? all_served() : 0ms;
  auto without = timed && what.takes_a_node ? rate_is_back(rate, began) : 0ms;
  if (!what.takes_a_node)
    pass_time(1500ms);
  auto meanwhile = tally_.accepted.load() - before;
  auto healed = clock::now();
  what.heal();
  ASSERT_TRUE(settled(3)) << what.name << ": " << picture();
  all_served();
  auto all = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now()
                                                                   - began);
  std::cout << what.name << ": all served after " << served.count()
            << " ms, all settled after " << all.count() << " ms, " << meanwhile
            << " commands meanwhile, shards " << picture() << std::endl;
  ++faults_;
  longest_take_over_ = std::max(longest_take_over_, served);
  EXPECT_GT(tally_.accepted.load(), before);
  if (!timed)
    return;
  auto with = rate_is_back(rate, healed);
  std::cout << "  " << std::lround(rate) << " commands/s before, again "
            << without.count() << " ms after the fault without it, and "
            << with.count() << " ms after its return" << std::endl;
  EXPECT_LE(served, take_over + 1s);
  EXPECT_LE(without, take_over + 5s);
  EXPECT_LE(with, 5s);
}

bool node_bed::linked(const std::string& name) {
  return wait_until(
    [&] {
      for (auto& x : cluster_->state().nodes)
        if (x.name == name && x.linked && x.shards > 0)
          return true;
      return false;
    },
    60s);
}

void node_bed::check() {
  tally_.stop = true;
  ASSERT_TRUE(wait_until([&] { return tally_.running == 0; }, 120s));
  EXPECT_EQ(tally_.book.unexpected({}), "");
  journal_view journal{setting_.server, schema_};
  EXPECT_EQ(journal.compare(tally_.book.answers()), "");
  EXPECT_EQ(compare_view(journal), "");
  std::cout << faults_ << " faults, " << tally_.accepted << " commands, "
            << tally_.repeated
            << " sent again by their clients, the slowest took "
            << tally_.slowest_ms << " ms, the longest take-over "
            << longest_take_over_.count() << " ms\n";
}

std::string node_bed::compare_view(const journal_view& journal) {
  auto last = std::to_string(journal.events().back().seq_no);
  auto done = wait_until(
    [&] {
      return query(setting_.server, "select min(seq_no) >= " + last + " from "
                                      + schema_ + ".projection_range")[0][0]
             == "t";
    },
    60s);
  if (!done)
    return "it has not got " + last;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> fold;
  for (auto& x : journal.events()) {
    auto& [amount, events] = fold[x.entity];
    amount += x.name == event_name<deposited>() ? x.amount : -x.amount;
    ++events;
  }
  std::string result;
  auto rows = query(setting_.server,
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

std::chrono::milliseconds node_bed::rate_is_back(double rate,
                                                 clock::time_point began) {
  constexpr auto window = 500ms;
  std::deque<std::pair<clock::time_point, std::uint64_t>> seen;
  auto back = wait_until(
    [&] {
      auto now = clock::now();
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
  return std::max(std::chrono::milliseconds{},
                  std::chrono::duration_cast<std::chrono::milliseconds>(
                    clock::now() - window - began));
}

double node_bed::rate_now() {
  auto began = clock::now();
  auto before = tally_.accepted.load();
  pass_time(1000ms);
  auto time = std::chrono::duration<double>(clock::now() - began);
  return static_cast<double>(tally_.accepted - before) / time.count();
}

std::chrono::milliseconds node_bed::all_served() {
  auto began = clock::now();
  caf::scoped_actor self{*sys_};
  auto left = ids_;
  auto last = errc::none;
  auto served = wait_until(
    [&] {
      // With an ID, as the clients do: what waits for a node that is gone is
      // sent again.
      auto ask = [&](const uuid& id) {
        return self->request(accounts_, patience, id, look{},
                             command_id{"look." + std::to_string(++looks_)});
      };
      std::vector<decltype(ask(left[0]))> asked;
      for (auto& id : left)
        asked.push_back(ask(id));
      std::vector<uuid> failed;
      for (std::size_t i = 0; i < left.size(); ++i)
        asked[i].receive([](const accepted&, const statement&) {},
                         [&](const caf::error& err) {
                           last = code_of(err);
                           failed.push_back(left[i]);
                         });
      left = std::move(failed);
      return left.empty();
    },
    60s);
  EXPECT_TRUE(served) << evented::to_string(last);
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now()
                                                               - began);
}

} // namespace evented::test
