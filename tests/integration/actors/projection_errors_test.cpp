// What becomes of events that a projection cannot handle.

#include "support/projected_bank.hpp"

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

/// A handler cannot handle deposits of this much while `broken`.
constexpr std::uint64_t bad = 666;

struct trouble {
  std::atomic<bool> broken{true};
  std::atomic<int> attempts{0};

  void operator()(const recorded<account>& e) {
    auto* x = e.as<deposited>();
    if (x == nullptr || x->amount != bad)
      return;
    ++attempts;
    if (broken)
      throw std::runtime_error("the beast");
  }
};

class projection_errors : public projected_bank {
protected:
  caf::actor spawn(projection_options options) {
    return spawn_projection<account>(
      bank_.sys(), journal_, "balances",
      handler_after([t = trouble_](auto& e) { (*t)(e); }), std::move(options));
  }

  /// The same, in batches.
  caf::actor spawn_batches(projection_options options) {
    return spawn_projection<account>(
      bank_.sys(), journal_, "balances",
      [t = trouble_, f = handler()](const batch<account>& all,
                                    transaction& tx) {
        for (auto& e : all) {
          (*t)(e);
          f(e, tx);
        }
      },
      std::move(options));
  }

  /// Renders the dead letters, `parked 1 behind 2`.
  std::string letters(const caf::actor& view) {
    std::string result;
    for (auto& x : ask<dead_letters>(view, control::get_letters{}).letters)
      result += (result.empty() ? "" : " ") + x.kind + " "
                + std::to_string(x.seq_no);
    return result;
  }

  std::uint64_t replay(const caf::actor& view, const uuid& id) {
    return ask<replayed_letters>(view,
                                 control::replay{"account", to_string(id)})
      .count;
  }

  std::shared_ptr<trouble> trouble_ = std::make_shared<trouble>();
};

} // namespace

// -- retry --------------------------------------------------------------------

TEST_F(projection_errors, are_retried_until_the_cause_goes_away) {
  auto view = spawn({.on_error = eager()});
  put();
  auto poison = put(bad);
  auto last = put();
  ASSERT_TRUE(wait_until([&] { return trouble_->attempts > 100; }));
  auto how = state_of(view);
  EXPECT_FALSE(how.healthy);
  EXPECT_NE(how.error.find("the beast"), std::string::npos) << how.error;
  EXPECT_EQ(how.ranges[0].failed_seq_no, poison);
  EXPECT_FALSE(how.ranges[0].halted);
  EXPECT_EQ(count("handled"), "1");
  // What comes before it is not held up, and the log stays small.
  EXPECT_LE(log_->count("the beast"), 10u);
  trouble_->broken = false;
  EXPECT_EQ(wait_for(view, last), "handled");
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
  EXPECT_EQ(state_of(view).ranges[0].failed_seq_no, 0u);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, need_not_be_exceptions_of_the_standard) {
  auto attempts = std::make_shared<std::atomic<int>>(0);
  auto view = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                        handler_after([attempts](auto&) {
                                          if (++*attempts < 3)
                                            throw 42;
                                        }),
                                        {.on_error = eager()});
  EXPECT_EQ(wait_for(view, put()), "handled");
  EXPECT_EQ(*attempts, 3);
}

TEST_F(projection_errors, may_come_from_the_database) {
  auto refuse = std::make_shared<std::atomic<bool>>(true);
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [refuse, f = handler()](const recorded<account>& e, transaction& tx) {
      f(e, tx);
      if (*refuse)
        tx.exec("select 1 / 0");
    },
    {.on_error = eager(error_strategy::park(2))});
  auto first = put();
  EXPECT_EQ(wait_for(view, first), "parked");
  *refuse = false;
  EXPECT_EQ(replay(view, id_), 1u);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, are_no_excuse_to_go_on_in_a_failed_transaction) {
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [f = handler()](const recorded<account>& e, transaction& tx) {
      f(e, tx);
      try {
        tx.exec("select 1 / 0");
      } catch (const std::exception&) {
      }
    },
    {.on_error = eager(error_strategy::skip(2))});
  EXPECT_EQ(wait_for(view, put()), "skipped");
  EXPECT_EQ(count("handled"), "0");
}

// -- stop ---------------------------------------------------------------------

TEST_F(projection_errors, stop_it_in_all_processes) {
  auto poison = put(bad);
  auto view = spawn({.on_error = eager(error_strategy::stop(3))});
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.ranges[0].halted; }));
  EXPECT_EQ(trouble_->attempts, 3);
  auto how = state_of(view);
  EXPECT_FALSE(how.healthy);
  EXPECT_EQ(how.owner, "");
  EXPECT_EQ(how.ranges[0].failed_seq_no, poison);
  EXPECT_TRUE(how.running);
  // Another process does not take over.
  second_process other{options_};
  auto elsewhere = spawn_projection<account>(other.own.sys(), other.where,
                                             "balances", handler());
  EXPECT_EQ(
    (refusal<reached>(elsewhere, control::wait_until{id_, poison, 300ms})),
    errc::timed_out);
  EXPECT_TRUE(state_of(elsewhere).ranges[0].halted);
  // Nor does this one.
  EXPECT_EQ(trouble_->attempts, 3);
  trouble_->broken = false;
  tell(view, control::run{});
  wait_for(view, poison);
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, stop_only_the_range_of_the_event) {
  auto lower = id_in_half(false);
  auto upper = id_in_half(true);
  auto view = spawn({.ranges = 2, .on_error = error_strategy::stop()});
  put(lower, bad);
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.ranges[0].halted; }));
  wait_for(view, upper, put(upper, 1));
  EXPECT_FALSE(state_of(view).ranges[1].halted);
  EXPECT_FALSE(state_of(view).healthy);
}

// -- skip ---------------------------------------------------------------------

TEST_F(projection_errors, are_left_out_after_some_attempts) {
  auto view = spawn({.on_error = eager(error_strategy::skip(4))});
  put();
  auto poison = put(bad);
  auto next = put();
  auto again = put(bad);
  EXPECT_EQ(wait_for(view, again), "skipped");
  EXPECT_EQ(wait_for(view, poison), "skipped");
  EXPECT_EQ(wait_for(view, next), "handled");
  // Each has as many.
  EXPECT_EQ(trouble_->attempts, 8);
  EXPECT_EQ(count("handled"), "2");
  EXPECT_EQ(letters(view), "skipped " + std::to_string(poison) + " skipped "
                             + std::to_string(again));
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
  // Whoever hands the entity's letters over again does not mean this one.
  EXPECT_EQ(replay(view, id_), 0u);
}

TEST_F(projection_errors, are_counted_for_each_event_also_after_a_skip) {
  auto poison = put(bad);
  auto next = put(bad);
  auto how = eager(error_strategy::park(6));
  auto view = spawn({.on_error = how});
  // Skipping on request races with the attempts; either way, each event has
  // its own.
  if (refusal(view, control::skip{poison}) == errc::none) {
    auto before = trouble_->attempts.load();
    EXPECT_LE(before, 6);
    EXPECT_EQ(wait_for(view, next), "parked");
    EXPECT_GE(trouble_->attempts, 6);
  }
}

// -- park ---------------------------------------------------------------------

TEST_F(projection_errors, are_put_away_with_what_comes_after_them) {
  auto other = uuid::v4();
  auto view = spawn({.on_error = eager(error_strategy::park(3))});
  put(1);
  auto poison = put(bad);
  auto behind = put(2);
  auto free = put(other, 5);
  auto last = put(3);
  EXPECT_EQ(wait_for(view, last), "behind");
  EXPECT_EQ(wait_for(view, poison), "parked");
  EXPECT_EQ(wait_for(view, other, free), "handled");
  EXPECT_EQ(trouble_->attempts, 3);
  EXPECT_EQ(letters(view), "parked " + std::to_string(poison) + " behind "
                             + std::to_string(behind) + " behind "
                             + std::to_string(last));
  auto found = ask<dead_letters>(view, control::get_letters{poison, 1}).letters;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].seq_no, behind);
  EXPECT_EQ(found[0].type_name, "account");
  EXPECT_EQ(found[0].id, to_string(id_));
  // A parked event is no illness.
  EXPECT_TRUE(wait_for_state(view, [](auto& x) { return x.healthy; }));
  // As long as the cause is there, they stay.
  EXPECT_EQ((refusal<replayed_letters>(
              view, control::replay{"account", to_string(id_)})),
            errc::handler_failed);
  trouble_->broken = false;
  EXPECT_EQ(replay(view, id_), 3u);
  EXPECT_EQ(letters(view), "");
  EXPECT_EQ(wait_for(view, put(4)), "handled");
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, are_replayed_under_load) {
  auto calls = std::make_shared<call_counter>();
  auto view
    = spawn_projection<account>(bank_.sys(), journal_, "balances",
                                [calls, t = trouble_, f = handler()](
                                  const recorded<account>& e, transaction& tx) {
                                  calls->call([&] {
                                    (*t)(e);
                                    f(e, tx);
                                  });
                                },
                                {.on_error = eager(error_strategy::park(2))});
  auto poison = put(bad);
  EXPECT_EQ(wait_for(view, poison), "parked");
  depositor load{bank_, journal_, {id_, uuid::v4(), uuid::v4()}};
  ASSERT_TRUE(load.more(20));
  trouble_->broken = false;
  EXPECT_GE(replay(view, id_), 1u);
  ASSERT_TRUE(load.more(20));
  EXPECT_EQ(wait_for(view, load.stop()), "handled");
  EXPECT_EQ(letters(view), "");
  EXPECT_FALSE(calls->twice);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, are_never_replayed_beside_a_handler) {
  gate held;
  auto calls = std::make_shared<call_counter>();
  auto other = uuid::v4();
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [calls, t = trouble_, other, pass = held.passage(),
     f = handler()](const recorded<account>& e, transaction& tx) {
      calls->call([&] {
        (*t)(e);
        if (e.id == other)
          pass();
        f(e, tx);
      });
    },
    {.on_error = eager(error_strategy::park(1))});
  EXPECT_EQ(wait_for(view, put(bad)), "parked");
  trouble_->broken = false;
  auto last = put(other, 1);
  ASSERT_TRUE(held.holds());
  caf::scoped_actor self{bank_.sys()};
  auto pending
    = self->request(view, 30s, control::replay{"account", to_string(id_)});
  EXPECT_FALSE(wait_until([&] { return calls->twice.load(); }, 300ms));
  held.open();
  pending.receive([](const replayed_letters& x) { EXPECT_EQ(x.count, 1u); },
                  [&](const caf::error& err) {
                    FAIL() << evented::render(bank_.sys(), err);
                  });
  EXPECT_EQ(wait_for(view, other, last), "handled");
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, are_dropped_on_request) {
  auto view = spawn({.on_error = eager(error_strategy::park(1))});
  auto poison = put(bad);
  auto behind = put(2);
  EXPECT_EQ(wait_for(view, behind), "behind");
  tell(view, control::drop{poison});
  EXPECT_EQ(letters(view), "behind " + std::to_string(behind));
  EXPECT_EQ(refusal(view, control::drop{poison}), errc::not_now);
  // Still behind, until somebody hands them over.
  auto later = put(3);
  EXPECT_EQ(wait_for(view, later), "behind");
  EXPECT_EQ(replay(view, id_), 2u);
  EXPECT_EQ(wait_for(view, put(4)), "handled");
  EXPECT_EQ(count("handled"), "3");
}

// -- batches ------------------------------------------------------------------

TEST_F(projection_errors, in_a_big_batch_hit_one_event_only) {
  auto other = uuid::v4();
  std::uint64_t poison = 0;
  for (int i = 0; i < 100; ++i) {
    put();
    if (i == 61)
      poison = put(other, bad);
  }
  auto last = put();
  auto view = spawn({.on_error = eager(error_strategy::park(3))});
  EXPECT_EQ(wait_for(view, last), "handled");
  EXPECT_EQ(letters(view), "parked " + std::to_string(poison));
  EXPECT_EQ(trouble_->attempts, 3);
  trouble_->broken = false;
  EXPECT_EQ(replay(view, other), 1u);
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_errors, in_a_big_batch_hit_one_event_of_a_batch_handler) {
  auto other = uuid::v4();
  std::uint64_t poison = 0;
  for (int i = 0; i < 100; ++i) {
    put();
    if (i == 61)
      poison = put(other, bad);
  }
  auto last = put();
  auto view = spawn_batches({.on_error = eager(error_strategy::park(3))});
  EXPECT_EQ(wait_for(view, last), "handled");
  EXPECT_EQ(letters(view), "parked " + std::to_string(poison));
  EXPECT_EQ(count("handled"), "101");
  trouble_->broken = false;
  EXPECT_EQ(replay(view, other), 1u);
  EXPECT_EQ(faults(), "");
}

// -- dead letters that cannot be stored ---------------------------------------

TEST_F(projection_errors, are_not_lost_where_no_dead_letter_can_be_stored) {
  auto view = spawn({.on_error = eager(error_strategy::park(1))});
  wait_for(view, put());
  sql("alter table SCHEMA.dead_letter rename to elsewhere");
  auto poison = put(bad);
  auto last = put();
  EXPECT_TRUE(wait_for_state(
    view,
    [](auto& x) {
      return x.health.find("dead letter cannot be stored") != std::string::npos;
    }))
    << state_of(view).health;
  EXPECT_EQ(state_of(view).seq_no, poison - 1);
  EXPECT_EQ(count("handled"), "1");
  sql("alter table SCHEMA.elsewhere rename to dead_letter");
  EXPECT_EQ(wait_for(view, last), "behind");
  EXPECT_EQ(wait_for(view, poison), "parked");
  EXPECT_LE(log_->count("dead letter"), 10u);
}
