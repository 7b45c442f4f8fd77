// How projections are shared among more or fewer runners, and built anew while
// the old view lives on.

#include "support/projected_bank.hpp"

#include <map>

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

class projection_rescale : public projected_bank {
protected:
  std::vector<uuid> ids(std::size_t n) {
    std::vector<uuid> result;
    for (std::size_t i = 0; i < n; ++i)
      result.push_back(uuid::v4());
    return result;
  }
};

/// Views whose tables end in `_v` and their version. Effects are counted by
/// event.
class projection_rebuild : public projected_bank {
protected:
  projection_rebuild() { make_tables("_v1"); }

  struct happened {
    std::mutex mutex;
    std::map<std::uint64_t, int> effects;
  };

  caf::actor spawn(bank& own, const journal& where,
                   projection_options options = {}) {
    options.on_rebuild = [a = in_schema("create table SCHEMA.balance_v"),
                          b = in_schema("create table SCHEMA.handled_v")](
                           transaction& tx, std::int32_t version) {
      auto n = std::to_string(version);
      tx.exec(a + n + " (id uuid primary key, amount bigint not null)");
      tx.exec(b + n
              + " (place bigint generated always as identity, seq_no bigint "
                "primary key, id uuid not null, replayed boolean not null)");
    };
    if (options.on_swap == nullptr)
      options.on_swap = dropping();
    std::vector<decltype(handler())> handlers;
    for (int i = 1; i <= 4; ++i)
      handlers.push_back(handler("_v" + std::to_string(i)));
    return spawn_projection<account>(
      own.sys(), where, "balances",
      [handlers, seen = seen_](const recorded<account>& e, transaction& tx,
                               effects& fx) {
        handlers.at(static_cast<std::size_t>(e.view_version - 1))(e, tx);
        fx.then(e, [seen, seq_no = e.seq_no] {
          std::lock_guard guard{seen->mutex};
          ++seen->effects[seq_no];
        });
      },
      std::move(options));
  }

  caf::actor spawn(projection_options options = {}) {
    return spawn(bank_, journal_, std::move(options));
  }

  std::function<void(transaction&, std::int32_t, std::int32_t)>
  dropping() const {
    return [a = in_schema("drop table SCHEMA.balance_v"),
            b = in_schema("drop table SCHEMA.handled_v")](
             transaction& tx, std::int32_t from, std::int32_t) {
      tx.exec(a + std::to_string(from));
      tx.exec(b + std::to_string(from));
    };
  }

  /// Returns how many events had another number of effects than one.
  std::string odd_effects() {
    std::lock_guard guard{seen_->mutex};
    std::string result;
    for (auto& [seq_no, n] : seen_->effects)
      if (n != 1)
        result += std::to_string(seq_no) + ": " + std::to_string(n) + " ";
    auto all = std::stoull(*sql("select count(*) from SCHEMA.event")[0][0]);
    if (seen_->effects.size() != all)
      result
        += std::to_string(seen_->effects.size()) + " of " + std::to_string(all);
    return result;
  }

  bool exists(const std::string& table) {
    return *sql("select to_regclass('SCHEMA." + table + "') is not null")[0][0]
           == "t";
  }

  bool wait_for_version(const caf::actor& view, std::int32_t version) {
    return wait_for_state(
      view, [&](auto& x) { return x.version == version && x.building == 0; });
  }

  std::shared_ptr<happened> seen_ = std::make_shared<happened>();
};

} // namespace

// -- rescale ------------------------------------------------------------------

TEST_F(projection_rescale, shares_the_slices_anew_while_writers_run) {
  projection_options options;
  options.ranges = 4;
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler(), options);
  depositor one{bank_, journal_, ids(6), 3ms};
  depositor two{bank_, journal_, ids(6), 3ms};
  ASSERT_TRUE(one.more(10));
  for (auto n : {8u, 2u}) {
    tell(view, control::rescale{n});
    // Meanwhile, everybody can wait for what they have written.
    EXPECT_EQ(wait_for(view, put()), "handled");
    EXPECT_TRUE(wait_for_state(view, [&](auto& x) {
      return x.ranges.size() == n
             && std::all_of(x.ranges.begin(), x.ranges.end(),
                            [](auto& r) { return r.here; });
    }));
    auto how = state_of(view);
    EXPECT_EQ(how.ranges.front().first, 0);
    EXPECT_EQ(how.ranges.back().last, 1023);
    ASSERT_TRUE(one.more(10));
  }
  EXPECT_EQ(wait_for(view, put()), "handled");
  one.stop();
  two.stop();
  EXPECT_TRUE(wait_until([&] { return faults() == ""; }, 20s)) << faults();
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
}

TEST_F(projection_rescale, refuses_another_one_meanwhile) {
  gate held;
  projection_options options;
  auto lower = id_in_half(false);
  options.ranges = 2;
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    handler_after([lower, pass = held.passage()](auto& e) {
      if (e.id == lower)
        pass();
    }),
    options);
  wait_for(view, id_in_half(true), put(id_in_half(true), 1));
  put(lower, 1);
  ASSERT_TRUE(held.holds());
  auto upper = id_in_half(true);
  wait_for(view, upper, put(upper, 1));
  tell(view, control::rescale{3});
  EXPECT_EQ(refusal(view, control::rescale{4}), errc::not_now);
  held.open();
  EXPECT_TRUE(
    wait_for_state(view, [](auto& x) { return x.ranges.size() == 3; }));
  EXPECT_TRUE(wait_until([&] { return faults() == ""; }, 20s)) << faults();
}

TEST_F(projection_rescale, goes_on_over_two_processes) {
  second_process other{options_};
  projection_options options;
  options.ranges = 2;
  auto one = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                       handler(), options);
  auto two = spawn_projection<account>(other.own.sys(), other.where, "balances",
                                       handler(), options);
  depositor load{bank_, journal_, ids(8)};
  ASSERT_TRUE(load.more(10));
  tell(one, control::stop{});
  tell(two, control::rescale{4});
  EXPECT_TRUE(
    wait_for_state(one, [](auto& x) { return x.ranges.size() == 4; }));
  ASSERT_TRUE(load.more(10));
  load.stop();
  EXPECT_TRUE(wait_until([&] { return faults() == ""; }, 20s)) << faults();
}

// -- rebuild ------------------------------------------------------------------

TEST_F(projection_rebuild, builds_the_next_version_while_writes_go_on) {
  projection_options options;
  options.ranges = 2;
  auto view = spawn(options);
  depositor load{bank_, journal_, {id_, uuid::v4(), uuid::v4(), uuid::v4()}};
  ASSERT_TRUE(load.more(30));
  for (std::int32_t next : {2, 3}) {
    tell(view, control::rebuild{});
    EXPECT_EQ(wait_for(view, put()), "handled");
    EXPECT_TRUE(wait_for_version(view, next));
    EXPECT_FALSE(exists("balance_v" + std::to_string(next - 1)));
    ASSERT_TRUE(load.more(10));
  }
  load.stop();
  EXPECT_TRUE(wait_until([&] { return faults("_v3") == ""; }, 20s))
    << faults("_v3");
  tell(view, control::stop{});
  EXPECT_EQ(odd_effects(), "");
}

TEST_F(projection_rebuild, builds_the_next_version_of_an_empty_view) {
  auto view = spawn();
  tell(view, control::rebuild{});
  EXPECT_TRUE(wait_for_version(view, 2));
  wait_for(view, put());
  EXPECT_EQ(faults("_v2"), "");
}

TEST_F(projection_rebuild, begins_by_itself_where_the_revision_is_higher) {
  auto old = spawn();
  wait_for(old, put());
  depositor load{bank_, journal_, {id_, uuid::v4()}};
  second_process other{options_};
  projection_options options;
  options.revision = 2;
  auto fresh = spawn(other.own, other.where, options);
  EXPECT_TRUE(wait_for_version(fresh, 2));
  EXPECT_EQ(wait_for(fresh, put()), "handled");
  // The old one sees that, and leaves it alone.
  EXPECT_EQ(wait_for(old, put()), "handled");
  EXPECT_TRUE(wait_for_state(old, [](auto& x) {
    return x.version == 2 && !x.ranges[0].here && !x.owner.empty();
  }));
  EXPECT_TRUE(state_of(fresh).ranges[0].here);
  load.stop();
  fresh = nullptr;
  auto last = put();
  EXPECT_EQ((refusal<reached>(old, control::wait_until{id_, last, 300ms})),
            errc::timed_out);
  EXPECT_GE(log_->count("newer revision"), 1u);
  EXPECT_LE(log_->count("newer revision"), 2u);
  fresh = spawn(other.own, other.where, options);
  wait_for(fresh, last);
  EXPECT_TRUE(wait_until([&] { return faults("_v2") == ""; }, 20s))
    << faults("_v2");
  tell(fresh, control::stop{});
  EXPECT_EQ(odd_effects(), "");
}

TEST_F(projection_rebuild, goes_on_where_it_was_interrupted) {
  std::uint64_t last = 0;
  for (int i = 0; i < 30; ++i)
    last = put();
  auto view = spawn({.max_batch = 3});
  wait_for(view, last);
  tell(view, control::rebuild{});
  view = nullptr;
  EXPECT_TRUE(exists("balance_v2"));
  view = spawn({.max_batch = 3});
  EXPECT_TRUE(wait_for_version(view, 2));
  wait_for(view, put());
  EXPECT_EQ(faults("_v2"), "");
  tell(view, control::stop{});
  EXPECT_EQ(odd_effects(), "");
}

TEST_F(projection_rebuild, tries_a_swap_that_fails_again_without_a_flood) {
  auto fails = std::make_shared<std::atomic<bool>>(true);
  auto attempts = std::make_shared<std::atomic<int>>(0);
  auto view
    = spawn({.on_swap = [=, f = dropping()](transaction& tx, std::int32_t from,
                                            std::int32_t to) {
        ++*attempts;
        if (*fails)
          throw std::runtime_error("no swap today");
        f(tx, from, to);
      }});
  wait_for(view, put());
  tell(view, control::rebuild{});
  EXPECT_TRUE(wait_for_state(view,
                             [](auto& x) {
                               return x.health.find("no swap today")
                                      != std::string::npos;
                             }))
    << state_of(view).health;
  ASSERT_TRUE(wait_until([&] { return *attempts >= 8; }, 20s));
  EXPECT_LE(log_->count("no swap today"), 3u);
  *fails = false;
  EXPECT_TRUE(wait_for_version(view, 2));
  wait_for(view, put());
  EXPECT_EQ(faults("_v2"), "");
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
}
