// What `evented::control` promises.

#include "support/projected_bank.hpp"
#include "support/proxy.hpp"

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

class projection_control : public projected_bank {
protected:
  using projected_bank::projected_bank;

  caf::actor spawn(projection_options options = {}) {
    return spawn_projection<account>(bank_.sys(), journal_, "balances",
                                     handler(), std::move(options));
  }

  caf::actor spawn_in(second_process& where, projection_options options = {}) {
    return spawn_projection<account>(where.own.sys(), where.where, "balances",
                                     handler(), std::move(options));
  }

  /// Returns what a handler fails with, and how long it takes until a stop has
  /// taken effect.
  std::chrono::milliseconds time_to_stop(const caf::actor& view) {
    auto begin = clock_type::now();
    tell(view, control::stop{});
    return std::chrono::duration_cast<std::chrono::milliseconds>(
      clock_type::now() - begin);
  }

  void print(const char* what, std::chrono::milliseconds time) {
    std::printf("[          ] %s: stopped after %lld ms\n", what,
                static_cast<long long>(time.count()));
  }
};

class projection_behind_a_proxy : public projection_control {
protected:
  projection_behind_a_proxy() : projection_control(behind(link())) {
    // nop
  }

  ~projection_behind_a_proxy() override { current().reset(); }

  static journal_options behind(proxy& link) {
    auto result = fresh_journal();
    result.url = link.url(server().user());
    return result;
  }

  static std::unique_ptr<proxy>& current() {
    static std::unique_ptr<proxy> instance;
    return instance;
  }

  static proxy& link() {
    if (current() == nullptr)
      current() = std::make_unique<proxy>(server().socket_directory()
                                          / ".s.PGSQL.5432");
    return *current();
  }
};

} // namespace

// -- run, stop ----------------------------------------------------------------

TEST_F(projection_control, runs_and_stops_a_hundred_times_without_work) {
  auto calls = std::make_shared<call_counter>();
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [calls, f = handler()](const recorded<account>& e, transaction& tx) {
      calls->call([&] { f(e, tx); });
    });
  for (int i = 0; i < 100; ++i) {
    tell(view, control::stop{});
    tell(view, control::run{});
  }
  wait_for(view, put());
  EXPECT_FALSE(calls->twice);
  EXPECT_EQ(calls->calls, 1);
}

TEST_F(projection_control, runs_and_stops_a_hundred_times_under_load) {
  auto calls = std::make_shared<call_counter>();
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [calls, f = handler()](const recorded<account>& e, transaction& tx) {
      calls->call([&] { f(e, tx); });
    });
  depositor load{bank_, journal_, {id_, uuid::v4(), uuid::v4()}};
  for (int i = 0; i < 100; ++i) {
    // Without waiting for the answer, now and then.
    if (i % 3 == 0)
      caf::anon_send(view, control::stop{});
    else
      tell(view, control::stop{});
    tell(view, control::run{});
  }
  wait_for(view, load.stop());
  EXPECT_FALSE(calls->twice);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_control, does_not_run_until_it_is_told_to) {
  auto view = spawn({.run = false});
  auto last = put();
  EXPECT_EQ((refusal<reached>(view, control::wait_until{id_, last, 100ms})),
            errc::timed_out);
  EXPECT_FALSE(state_of(view).running);
  tell(view, control::run{});
  wait_for(view, last);
  EXPECT_TRUE(state_of(view).running);
}

TEST_F(projection_control, stops_at_once_without_work) {
  auto view = spawn();
  wait_for(view, put());
  auto time = time_to_stop(view);
  print("idle", time);
  EXPECT_LT(time, 1s);
}

TEST_F(projection_control, stops_at_once_in_a_retry_delay) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler_after([calls](auto&) {
                                          if (++*calls == 1)
                                            throw std::runtime_error("no");
                                        }),
                                        {.on_error = patient()});
  auto last = put();
  ASSERT_TRUE(wait_for_state(view, [](auto& x) { return !x.error.empty(); }));
  auto time = time_to_stop(view);
  print("in a delay of minutes", time);
  EXPECT_LT(time, 1s);
  EXPECT_EQ(*calls, 1);
  // And runs again at once.
  tell(view, control::run{});
  EXPECT_EQ(wait_for(view, last), "handled");
}

TEST_F(projection_control, stops_between_two_events_of_a_batch) {
  gate held;
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i)
    last = put();
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    handler_after([calls, pass = held.passage()](auto&) {
      if (++*calls == 3)
        pass();
    }));
  ASSERT_TRUE(held.holds());
  caf::scoped_actor self{bank_.sys()};
  auto pending = self->request(view, 30s, control::stop{});
  // Behind it: the runner has been told, or will be before the handler goes on.
  EXPECT_FALSE(state_of(view).running);
  auto begin = clock_type::now();
  held.open();
  pending.receive([](const control::done&) {},
                  [](const caf::error&) { FAIL(); });
  auto time = std::chrono::duration_cast<std::chrono::milliseconds>(
    clock_type::now() - begin);
  print("between two events", time);
  EXPECT_LT(time, 1s);
  EXPECT_EQ(*calls, 3);
  // What was handled is committed.
  EXPECT_EQ(count("handled"), "3");
  tell(view, control::run{});
  wait_for(view, last);
  EXPECT_EQ(*calls, 20);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_control, answers_a_stop_also_when_told_to_run_meanwhile) {
  gate held;
  auto lower = id_in_half(false);
  auto upper = id_in_half(true);
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    handler_after([upper, pass = held.passage()](auto& e) {
      if (e.id == upper)
        pass();
    }),
    {.ranges = 2});
  put(upper, 1);
  ASSERT_TRUE(held.holds());
  caf::scoped_actor self{bank_.sys()};
  auto pending = self->request(view, 30s, control::stop{});
  tell(view, control::run{});
  // The lower range runs again while the handler of the upper one is held.
  wait_for(view, lower, put(lower, 1));
  held.open();
  pending.receive([](const control::done&) {},
                  [&](const caf::error& err) {
                    FAIL() << evented::render(bank_.sys(), err);
                  });
  wait_for(view, upper, put(upper, 1));
  EXPECT_EQ(faults(), "");
}

// -- the database is out of reach ---------------------------------------------

TEST_F(projection_behind_a_proxy, stops_while_the_database_is_out_of_reach) {
  auto view = spawn();
  wait_for(view, put());
  link().blackhole();
  auto time = time_to_stop(view);
  print("behind a black hole", time);
  EXPECT_LT(time, 5s);
  link().heal();
  EXPECT_TRUE(
    wait_until([&] { return refusal(view, control::run{}) == errc::none; }));
  wait_for(view, put());
  link().refuse();
  time = time_to_stop(view);
  print("without a server", time);
  EXPECT_LT(time, 5s);
  link().heal();
  EXPECT_TRUE(
    wait_until([&] { return refusal(view, control::run{}) == errc::none; }));
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return !x.owner.empty(); }));
}

TEST_F(projection_behind_a_proxy, keeps_deadlines_without_a_database) {
  auto view = spawn();
  wait_for(view, put());
  link().blackhole();
  auto begin = clock_type::now();
  EXPECT_EQ((refusal<reached>(view, control::wait_until{id_, 1000, 200ms})),
            errc::timed_out);
  EXPECT_LT(clock_type::now() - begin, 1500ms);
  link().heal();
}

TEST_F(projection_behind_a_proxy, says_that_the_database_is_out_of_reach) {
  auto view = spawn();
  auto last = put();
  wait_for(view, last);
  link().refuse();
  auto how = state_of(view);
  EXPECT_FALSE(how.healthy);
  EXPECT_NE(how.health.find("database"), std::string::npos) << how.health;
  EXPECT_EQ(how.name, "balances");
  link().heal();
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
}

TEST_F(projection_behind_a_proxy, ends_without_a_database) {
  auto view = spawn();
  wait_for(view, put());
  auto other = std::make_unique<second_process>(options_);
  auto standing_by = spawn_in(*other);
  state_of(standing_by);
  for (auto silent : {true, false}) {
    auto process = std::make_unique<second_process>(options_);
    auto one = spawn_projection<account>(process->own.sys(), process->where,
                                         "another", handler(), {.ranges = 4});
    ASSERT_TRUE(wait_for_state(one, [](auto& x) { return !x.owner.empty(); }));
    if (silent)
      link().blackhole();
    else
      link().refuse();
    auto begin = clock_type::now();
    one = nullptr;
    process = nullptr;
    auto time = clock_type::now() - begin;
    EXPECT_LT(time, 15s);
    link().heal();
  }
}

TEST_F(projection_behind_a_proxy, survives_broken_connections_under_load) {
  auto view = spawn({.ranges = 2});
  depositor load{bank_, journal_, {id_, uuid::v4(), uuid::v4(), uuid::v4()}};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(load.more(20));
    link().cut_all();
  }
  auto last = load.stop();
  put(id_in_half(false), 1);
  auto end = put(id_in_half(true), 1);
  ASSERT_GT(end, last);
  EXPECT_TRUE(wait_until([&] { return faults() == ""; }, 20s)) << faults();
}

TEST_F(projection_control, shrugs_broken_idle_connections_off) {
  auto view = spawn();
  auto last = put();
  wait_for(view, last);
  // So that both readers have one.
  for (int i = 0; i < 4; ++i)
    state_of(view);
  raw_connection db;
  for (int i = 0; i < 5; ++i) {
    db.exec("select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where backend_type = 'client backend' and pid <> "
            "pg_backend_pid()");
    EXPECT_EQ((refusal<dead_letters>(view, control::get_letters{})),
              errc::none);
    EXPECT_EQ((refusal<reached>(view, control::wait_until{id_, last, 10s})),
              errc::none);
    auto how = state_of(view);
    EXPECT_EQ(how.health.find("out of reach"), std::string::npos) << how.health;
  }
}

// -- pause --------------------------------------------------------------------

TEST_F(projection_control, pauses_until_it_is_told_to_resume) {
  auto first = put();
  {
    auto view = spawn();
    wait_for(view, first);
    tell(view, control::pause{});
    EXPECT_TRUE(state_of(view).paused);
    EXPECT_EQ(state_of(view).owner, "");
  }
  auto last = put();
  auto again = spawn();
  second_process other{options_};
  auto elsewhere = spawn_in(other);
  EXPECT_TRUE(state_of(again).paused);
  EXPECT_TRUE(state_of(elsewhere).paused);
  EXPECT_TRUE(state_of(elsewhere).running);
  tell(again, control::run{});
  EXPECT_EQ((refusal<reached>(again, control::wait_until{id_, last, 200ms})),
            errc::timed_out);
  EXPECT_EQ(count("handled"), "1");
  // Whoever says so.
  tell(elsewhere, control::resume{});
  wait_for(again, last);
  EXPECT_FALSE(state_of(again).paused);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_control, pauses_a_runner_of_another_process) {
  auto view = spawn();
  wait_for(view, put());
  second_process other{options_};
  auto elsewhere = spawn_in(other);
  tell(elsewhere, control::pause{});
  auto last = put();
  EXPECT_EQ(
    (refusal<reached>(elsewhere, control::wait_until{id_, last, 300ms})),
    errc::timed_out);
  EXPECT_TRUE(state_of(view).paused);
  tell(view, control::resume{});
  wait_for(elsewhere, last);
}

// -- get_state ----------------------------------------------------------------

TEST_F(projection_control, tells_how_it_is) {
  auto view = spawn();
  auto last = put();
  wait_for(view, last);
  auto how = state_of(view);
  EXPECT_EQ(how.name, "balances");
  EXPECT_EQ(how.version, 1);
  EXPECT_EQ(how.building, 0);
  EXPECT_EQ(how.seq_no, last);
  EXPECT_TRUE(how.running);
  EXPECT_FALSE(how.paused);
  EXPECT_NE(how.owner, "");
  EXPECT_EQ(how.error, "");
  EXPECT_EQ(how.lag_events, 0u);
  EXPECT_FALSE(how.lag_more);
  EXPECT_EQ(how.lag_seconds, 0);
  EXPECT_TRUE(how.healthy) << how.health;
  ASSERT_EQ(how.ranges.size(), 1u);
  EXPECT_EQ(how.ranges[0].first, 0);
  EXPECT_EQ(how.ranges[0].last, 1023);
  EXPECT_EQ(how.ranges[0].owner, how.owner);
  EXPECT_TRUE(how.ranges[0].here);
  EXPECT_FALSE(how.ranges[0].halted);
}

TEST_F(projection_control, tells_how_much_waits) {
  auto view = spawn({.run = false, .stalled_after = 300ms});
  EXPECT_TRUE(state_of(view).healthy);
  for (int i = 0; i < 7; ++i)
    put();
  auto how = state_of(view);
  EXPECT_EQ(how.lag_events, 7u);
  EXPECT_GT(how.lag_seconds, 0);
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return !x.healthy; }));
  EXPECT_NE(state_of(view).health.find("nobody runs it"), std::string::npos)
    << state_of(view).health;
  tell(view, control::run{});
  EXPECT_TRUE(wait_for_state(
    view, [](auto& x) { return x.healthy && x.lag_events == 0; }));
}

TEST_F(projection_control, is_not_healthy_while_one_of_its_ranges_hangs) {
  gate held;
  auto lower = id_in_half(false);
  auto upper = id_in_half(true);
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    handler_after([upper, pass = held.passage()](auto& e) {
      if (e.id == upper)
        pass();
    }),
    {.ranges = 2, .stalled_after = 2s});
  put(upper, 1);
  ASSERT_TRUE(held.holds());
  depositor load{bank_, journal_, {lower}, 5ms};
  EXPECT_TRUE(wait_for_state(view, [](auto& x) {
    return x.health.find("stands still") != std::string::npos;
  }));
  load.stop();
  held.open();
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
}

TEST_F(projection_control, is_healthy_until_an_event_has_waited_for_long) {
  gate held;
  auto view
    = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                handler_after([pass = held.passage()](auto& e) {
                                  if (e.version > 1)
                                    pass();
                                }),
                                {.stalled_after = 1s});
  wait_for(view, put());
  // It does not move meanwhile, for there is nothing to do.
  ASSERT_TRUE(wait_until([&] {
    return sql("select clock_timestamp() - max(created_at) > "
               "interval '1500 ms' from SCHEMA.event")[0][0]
           == "t";
  }));
  put();
  ASSERT_TRUE(held.holds());
  auto how = state_of(view);
  EXPECT_TRUE(how.healthy || how.lag_seconds >= 1) << how.health;
}

TEST_F(projection_control, names_who_holds_the_frontier) {
  auto view = spawn({.stalled_after = 1h});
  wait_for(view, put());
  raw_connection holder;
  auto pid = holder.exec("select pg_backend_pid()");
  holder.exec("begin");
  holder.exec(in_schema(
    "select pg_advisory_xact_lock_shared('SCHEMA.event'::regclass::oid::int4, "
    "pg_sequence_last_value('SCHEMA.event_seq_no_seq')::int4) as "
    "my_long_tale"));
  auto last = put();
  EXPECT_TRUE(wait_for_state(view, [](auto& x) {
    return x.health.find("frontier") != std::string::npos;
  }));
  auto how = state_of(view);
  EXPECT_FALSE(how.healthy);
  EXPECT_NE(how.health.find("process " + pid), std::string::npos) << how.health;
  EXPECT_NE(how.health.find("my_long_tale"), std::string::npos) << how.health;
  EXPECT_EQ(how.lag_events, 1u);
  holder.exec("rollback");
  wait_for(view, last);
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
}

// -- reset --------------------------------------------------------------------

TEST_F(projection_control, begins_anew_without_repeating_effects) {
  auto effects_seen = std::make_shared<std::atomic<int>>(0);
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [effects_seen, f = handler()](const recorded<account>& e, transaction& tx,
                                  effects& fx) {
      f(e, tx);
      fx.then(e, [effects_seen] { ++*effects_seen; });
    },
    {.on_reset = emptying()});
  for (int i = 0; i < 9; ++i)
    put();
  auto old = put();
  wait_for(view, old);
  depositor load{bank_, journal_, {id_, uuid::v4()}};
  ASSERT_TRUE(load.more(20));
  tell(view, control::reset{});
  ASSERT_TRUE(load.more(20));
  tell(view, control::reset{});
  ASSERT_TRUE(load.more(20));
  load.stop();
  wait_for(view, put());
  tell(view, control::stop{});
  EXPECT_EQ(faults(), "");
  EXPECT_EQ(std::to_string(*effects_seen), count("handled"));
  EXPECT_EQ(sql("select count(*) from SCHEMA.handled where not replayed and "
                "seq_no <= $1",
                old)[0][0],
            "0");
}

TEST_F(projection_control, refuses_a_reset_that_nobody_has_prepared) {
  auto view = spawn();
  wait_for(view, put());
  EXPECT_EQ(refusal(view, control::reset{}), errc::invalid_options);
  wait_for(view, put());
  EXPECT_EQ(count("handled"), "2");
}

TEST_F(projection_control, goes_on_where_a_reset_fails) {
  auto view = spawn({.on_reset = [](transaction& tx, std::int32_t) {
    tx.exec("select 1 / 0");
  }});
  wait_for(view, put());
  EXPECT_EQ(refusal(view, control::reset{}), errc::refused);
  wait_for(view, put());
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_control, moves_its_beginning_in_all_processes) {
  // Three old events, then a time.
  for (int i = 0; i < 3; ++i)
    put();
  auto micros = std::stoll(
    *sql("select (extract(epoch from max(created_at)) * 1e6)::bigint + 1 from "
         "SCHEMA.event")[0][0]);
  projection_options options;
  options.start = from_time{timestamp{std::chrono::microseconds{micros}}};
  options.on_reset = emptying();
  auto view = spawn(options);
  auto last = put();
  wait_for(view, last);
  EXPECT_EQ(count("handled"), "1");
  // The runner is here, and somebody else moves the beginning.
  second_process other{options_};
  options.run = false;
  auto elsewhere = spawn_in(other, options);
  tell(elsewhere, control::reset{from_beginning{}});
  wait_for(elsewhere, put());
  EXPECT_TRUE(wait_until([&] { return count("handled") == "5"; }))
    << count("handled");
  tell(elsewhere, control::reset{options.start});
  wait_for(elsewhere, put());
  EXPECT_TRUE(wait_until([&] { return count("handled") == "3"; }))
    << count("handled");
}

TEST_F(projection_control, does_not_hold_others_up_while_it_resets) {
  gate held;
  auto reset = [pass = held.passage()](transaction&, std::int32_t) { pass(); };
  std::vector<caf::actor> busy;
  caf::scoped_actor self{bank_.sys()};
  for (auto* name : {"a", "b", "c"}) {
    busy.push_back(spawn_projection<account>(
      bank_.sys(), journal_, name,
      [](const recorded<account>&, transaction&) {}, {.on_reset = reset}));
    caf::anon_send(busy.back(), control::reset{});
  }
  ASSERT_TRUE(held.holds());
  auto view = spawn();
  EXPECT_EQ((refusal<reached>(view, control::wait_until{id_, put(), 5s})),
            errc::none);
  held.open();
}

// -- skip, letters ------------------------------------------------------------

TEST_F(projection_control, skips_the_next_event_only) {
  auto bad = put(666);
  auto next = put();
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances", handler_after([](auto& e) {
      if (e.template as<deposited>()->amount == 666)
        throw std::runtime_error("the beast");
    }),
    {.on_error = patient()});
  ASSERT_TRUE(wait_for_state(view, [](auto& x) { return !x.error.empty(); }));
  EXPECT_EQ(refusal(view, control::skip{next}), errc::not_now);
  EXPECT_EQ(refusal(view, control::skip{0}), errc::not_now);
  EXPECT_EQ(refusal(view, control::skip{1000}), errc::not_now);
  tell(view, control::skip{bad});
  // At once, although the next attempt was minutes away.
  EXPECT_EQ(wait_for(view, next), "handled");
  EXPECT_EQ(wait_for(view, bad), "skipped");
  EXPECT_EQ(count("handled"), "1");
  auto letters = ask<dead_letters>(view, control::get_letters{}).letters;
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].kind, "skipped");
  EXPECT_EQ(refusal(view, control::skip{bad}), errc::not_now);
}

TEST_F(projection_control, answers_a_stranger) {
  auto view = spawn();
  EXPECT_EQ(refusal<accepted>(view, deposit{1}), errc::unknown_command);
  EXPECT_EQ(refusal<accepted>(view, std::string{"hello"}),
            errc::unknown_command);
  EXPECT_EQ((refusal<replayed_letters>(view, control::replay{"account", "x"})),
            errc::invalid_id);
  EXPECT_EQ(refusal(view, control::drop{1}), errc::not_now);
  EXPECT_EQ(refusal(view, control::rescale{0}), errc::invalid_options);
  EXPECT_EQ(refusal(view, control::rescale{100'000}), errc::invalid_options);
  EXPECT_EQ(refusal(view, control::rebuild{}), errc::invalid_options);
  wait_for(view, put());
}

// -- wait_until ---------------------------------------------------------------

TEST_F(projection_control, waits_for_an_event) {
  auto last = put();
  auto view = spawn({.run = false});
  second_process other{options_};
  EXPECT_EQ(wait_for(view, 0), "handled");
  EXPECT_EQ((refusal<reached>(view, control::wait_until{id_, last, 50ms})),
            errc::timed_out);
  EXPECT_EQ((refusal<reached>(view, control::wait_until{id_, last, -1ms})),
            errc::timed_out);
  auto elsewhere = spawn_in(other);
  // Also where it does not run.
  EXPECT_EQ(wait_for(view, last), "handled");
  EXPECT_EQ(wait_for(elsewhere, put()), "handled");
}

// -- several processes --------------------------------------------------------

TEST_F(projection_control, stands_by_for_another_process) {
  auto one = spawn();
  wait_for(one, put());
  second_process other{options_};
  auto two = spawn_in(other);
  auto how = state_of(two);
  EXPECT_TRUE(how.running);
  EXPECT_NE(how.owner, "");
  EXPECT_FALSE(how.ranges[0].here);
  tell(one, control::stop{});
  EXPECT_TRUE(wait_for_state(two, [](auto& x) { return x.ranges[0].here; }));
  wait_for(two, put());
  EXPECT_FALSE(state_of(one).ranges[0].here);
  tell(one, control::run{});
  two = nullptr;
  wait_for(one, put());
  EXPECT_TRUE(wait_for_state(one, [](auto& x) { return x.ranges[0].here; }));
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_control, changes_hands_under_load) {
  auto calls = std::make_shared<call_counter>();
  auto spawn_counting = [&](bank& own, const journal& where) {
    return spawn_projection<account>(
      own.sys(), where, "balances",
      [calls, f = handler()](const recorded<account>& e, transaction& tx) {
        calls->call([&] { f(e, tx); });
      });
  };
  second_process other{options_};
  auto one = spawn_counting(bank_, journal_);
  auto two = spawn_counting(other.own, other.where);
  depositor load{bank_, journal_, {id_, uuid::v4(), uuid::v4()}};
  for (int i = 0; i < 4; ++i) {
    auto& from = i % 2 == 0 ? one : two;
    auto& to = i % 2 == 0 ? two : one;
    tell(from, control::stop{});
    ASSERT_TRUE(wait_for_state(to, [](auto& x) { return x.ranges[0].here; }));
    ASSERT_TRUE(load.more(10));
    tell(from, control::run{});
  }
  wait_for(one, load.stop());
  EXPECT_FALSE(calls->twice);
  EXPECT_EQ(faults(), "");
}
