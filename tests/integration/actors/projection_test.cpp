// What the handlers of projections see and do, with real actors and a real
// PostgreSQL.

#include "support/projected_bank.hpp"
#include "support/tickets.hpp"

using namespace evented;
using namespace evented::test;
using namespace std::chrono_literals;

namespace {

class projection_on_postgres : public projected_bank {
protected:
  caf::actor spawn(projection_options options = {}) {
    return spawn_projection<account>(bank_.sys(), journal_, "balances",
                                     handler(), std::move(options));
  }

  std::uint64_t open(const std::string& queue) {
    if (tickets_ == nullptr)
      tickets_ = spawn_entities<ticket>(bank_.sys(), journal_);
    return bank_.ask(tickets_, uuid::v4(), open_ticket{queue}).where.seq_no;
  }

  /// Returns how many connections the library has to the database.
  std::string connections() {
    raw_connection db;
    return db.exec("select count(*) from pg_stat_activity where "
                   "backend_type = 'client backend' and pid <> "
                   "pg_backend_pid()");
  }

  caf::actor tickets_;
};

} // namespace

// -- views --------------------------------------------------------------------

TEST_F(projection_on_postgres, writes_a_view) {
  auto view = spawn();
  std::uint64_t last = 0;
  for (int i = 0; i < 10; ++i)
    last = put(10);
  EXPECT_EQ(wait_for(view, last), "handled");
  EXPECT_EQ(sql("select amount from SCHEMA.balance where id = $1", id_)[0][0],
            "100");
  EXPECT_EQ(count("handled"), "10");
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_on_postgres, fits_into_a_few_lines) {
  put(42);
  auto balances = spawn_projection<account>(
    bank_.sys(), journal_, "short",
    [statement = in_schema("insert into SCHEMA.balance values ($1, $2)")](
      const recorded<account>& e, transaction& tx) {
      if (auto* x = e.as<deposited>())
        tx.exec(statement, e.id, x->amount);
    });
  wait_for(balances, 1);
  EXPECT_EQ(sql("select amount from SCHEMA.balance")[0][0], "42");
}

TEST_F(projection_on_postgres, goes_on_where_it_was) {
  for (int round = 1; round <= 3; ++round) {
    auto view = spawn();
    wait_for(view, put());
    EXPECT_EQ(count("handled"), std::to_string(round));
  }
}

TEST_F(projection_on_postgres, hands_over_everything_known) {
  auto seen = std::make_shared<std::vector<recorded<account>>>();
  auto before = *sql("select extract(epoch from now()) * 1e6")[0][0];
  auto first = put(7);
  auto second = bank_.ask(accounts_, id_, withdraw{3}).where.seq_no;
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "all",
    [seen](const recorded<account>& e, transaction&) { seen->push_back(e); });
  wait_for(view, second);
  ASSERT_EQ(seen->size(), 2u);
  auto& a = seen->front();
  EXPECT_EQ(a.id, id_);
  EXPECT_EQ(a.seq_no, first);
  EXPECT_EQ(a.version, 1u);
  EXPECT_EQ(a.name, "deposited");
  EXPECT_EQ(a.schema_version, 1);
  EXPECT_GE(a.created_at.time_since_epoch().count(), std::stoll(before));
  EXPECT_EQ(a.metadata, R"({"who": "test"})");
  ASSERT_TRUE(a.typed_metadata());
  EXPECT_EQ(a.typed_metadata()->who, "test");
  EXPECT_TRUE(a.trace().empty());
  EXPECT_TRUE(a.tags.empty());
  EXPECT_FALSE(a.replayed);
  EXPECT_EQ(a.view_version, 1);
  ASSERT_NE(a.as<deposited>(), nullptr);
  EXPECT_EQ(a.as<deposited>()->amount, 7u);
  EXPECT_EQ(a.as<withdrawn>(), nullptr);
  auto& b = seen->back();
  EXPECT_EQ(b.version, 2u);
  EXPECT_EQ(b.name, "money-withdrawn");
  EXPECT_EQ(b.schema_version, 3);
  EXPECT_EQ(b.metadata, "");
  EXPECT_FALSE(b.typed_metadata());
}

// -- several entity types, batches --------------------------------------------

namespace {

/// Writes down what it sees, `account 1 ticket 2`.
struct scribe {
  std::shared_ptr<std::string> to = std::make_shared<std::string>();

  void operator()(const recorded<account>& e, transaction&) const {
    *to += "account " + std::to_string(e.seq_no) + " ";
  }

  void operator()(const recorded<ticket>& e, transaction&) const {
    *to += "ticket " + std::to_string(e.seq_no) + " "
           + e.as<ticket_opened>()->queue + " ";
  }
};

} // namespace

TEST_F(projection_on_postgres, merges_entity_types_in_order) {
  put();
  open("red");
  put();
  auto last = open("blue");
  scribe f;
  auto view
    = spawn_projection<account, ticket>(bank_.sys(), journal_, "both", f);
  // The last one is another ID, and its slice is the same range.
  wait_for(view, last);
  EXPECT_EQ(*f.to, "account 1 ticket 2 red account 3 ticket 4 blue ");
}

TEST_F(projection_on_postgres, hands_over_batches) {
  std::uint64_t last = 0;
  for (int i = 0; i < 25; ++i)
    last = put();
  auto sizes = std::make_shared<std::vector<std::size_t>>();
  projection_options options;
  options.max_batch = 10;
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "batches",
    [sizes, f = handler()](const batch<account>& all, transaction& tx) {
      sizes->push_back(all.size());
      for (auto& x : all)
        f(x, tx);
    },
    options);
  wait_for(view, last);
  EXPECT_EQ(*sizes, (std::vector<std::size_t>{10, 10, 5}));
  EXPECT_EQ(faults(), "");
}

TEST_F(projection_on_postgres, hands_over_batches_of_several_entity_types) {
  put();
  auto last = open("red");
  auto seen = std::make_shared<std::string>();
  auto view = spawn_projection<account, ticket>(
    bank_.sys(), journal_, "batches",
    [seen](const batch<account, ticket>& all, transaction&) {
      for (auto& x : all)
        *seen += std::holds_alternative<recorded<ticket>>(x) ? "t" : "a";
    });
  wait_for(view, last);
  EXPECT_EQ(*seen, "at");
}

// -- what it reads ------------------------------------------------------------

TEST_F(projection_on_postgres, reads_only_events_of_some_names) {
  put();
  auto second = bank_.ask(accounts_, id_, withdraw{1}).where.seq_no;
  auto last = put();
  projection_options options;
  options.names = {"money-withdrawn"};
  scribe f;
  auto view
    = spawn_projection<account>(bank_.sys(), journal_, "names", f, options);
  wait_for(view, last);
  EXPECT_EQ(*f.to, "account " + std::to_string(second) + " ");
}

TEST_F(projection_on_postgres, reads_only_events_with_one_of_some_tags) {
  open("red");
  open("blue");
  put();
  auto last = open("green");
  projection_options options;
  options.tags = {"queue:blue", "queue:green"};
  scribe f;
  auto view
    = spawn_projection<ticket>(bank_.sys(), journal_, "tags", f, options);
  wait_for(view, last);
  EXPECT_EQ(*f.to, "ticket 2 blue ticket 4 green ");
}

TEST_F(projection_on_postgres, begins_where_it_is_told_to) {
  put();
  auto second = put();
  // Times are those of the database.
  ASSERT_TRUE(wait_until([&] {
    return sql("select clock_timestamp() > max(created_at) from "
               "SCHEMA.event")[0][0]
           == "t";
  }));
  auto now = timestamp{std::chrono::microseconds{std::stoll(*sql(
    "select (extract(epoch from clock_timestamp()) * 1e6)::bigint")[0][0])}};
  scribe all, late, numbered, fresh;
  auto run = [&](const char* name, const scribe& f, start_position start) {
    projection_options options;
    options.start = start;
    return spawn_projection<account>(bank_.sys(), journal_, name, f, options);
  };
  auto a = run("all", all, from_beginning{});
  auto b = run("late", late, from_time{now});
  auto c = run("numbered", numbered, from_seq_no{second - 1});
  auto d = run("fresh", fresh, from_now{});
  auto last = put();
  for (auto& x : {a, b, c, d})
    wait_for(x, last);
  EXPECT_EQ(*all.to, "account 1 account 2 account 3 ");
  EXPECT_EQ(*late.to, "account 3 ");
  EXPECT_EQ(*numbered.to, "account 2 account 3 ");
  EXPECT_EQ(*fresh.to, "account 3 ");
}

// -- effects ------------------------------------------------------------------

TEST_F(projection_on_postgres, runs_effects_after_the_commit) {
  auto seen = std::make_shared<std::vector<std::string>>();
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [this, seen, f = handler()](const recorded<account>& e, transaction& tx,
                                effects& fx) {
      f(e, tx);
      fx.then(e, [this, seen] { seen->push_back(count("handled")); });
      fx.then(e, [] { throw std::runtime_error("nobody's business"); });
    });
  wait_for(view, put());
  // The answer may come before the effect.
  wait_for(view, put());
  tell(view, control::stop{});
  EXPECT_EQ(*seen, (std::vector<std::string>{"1", "2"}));
}

TEST_F(projection_on_postgres, runs_no_effect_of_what_is_rolled_back) {
  auto effects_seen = std::make_shared<int>(0);
  auto calls = std::make_shared<int>(0);
  projection_options options;
  options.on_error = eager();
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    [=, f = handler()](const recorded<account>& e, transaction& tx,
                       effects& fx) {
      fx.then(e, [=] { ++*effects_seen; });
      if (++*calls < 4)
        throw std::runtime_error("not yet");
      f(e, tx);
    },
    options);
  wait_for(view, put());
  tell(view, control::stop{});
  EXPECT_EQ(*calls, 4);
  EXPECT_EQ(*effects_seen, 1);
}

// -- life ---------------------------------------------------------------------

TEST_F(projection_on_postgres, refuses_bad_options) {
  auto refused = [&](projection_options options, const char* name = "x") {
    try {
      spawn_projection<account>(bank_.sys(), journal_, name, handler(),
                                options);
    } catch (const error& e) {
      return e.code();
    }
    return errc::none;
  };
  auto bad = errc::invalid_options;
  EXPECT_EQ(refused({}, ""), bad);
  EXPECT_EQ(refused({}, "with space"), bad);
  EXPECT_EQ(refused({}, "quote'"), bad);
  EXPECT_EQ(refused({.ranges = 0}), bad);
  EXPECT_EQ(refused({.ranges = 1025}), bad);
  EXPECT_EQ(refused({.max_batch = 0}), bad);
  EXPECT_EQ(refused({.revision = 0}), bad);
  EXPECT_EQ(refused({.start = from_seq_no{1000}}), bad);
  EXPECT_EQ(refused({.on_error = error_strategy::park(0)}), bad);
}

TEST_F(projection_on_postgres, leaves_nothing_behind_when_it_is_dropped) {
  put();
  ASSERT_TRUE(wait_until([&] { return connections() != "0"; }));
  {
    projection_options options;
    options.ranges = 8;
    auto view = spawn(options);
    wait_for(view, put());
    EXPECT_EQ(count("runner"), "8");
  }
  EXPECT_TRUE(wait_until([&] {
    // Where a sign of life was on its way, it lives on for a while, but owns
    // nothing.
    return sql("select count(*) from SCHEMA.projection_range where owner is "
               "not null")[0][0]
           == "0";
  }));
  // A worker is as good as its connection.
  EXPECT_TRUE(wait_until([&] { return std::stoi(connections()) <= 7; }))
    << connections();
}

TEST_F(projection_on_postgres, ends_with_the_journal) {
  auto options = options_;
  auto before = connections();
  {
    second_process other{options};
    auto view = spawn_projection<account>(other.own.sys(), other.where,
                                          "balances", handler());
    wait_for(view, put());
  }
  EXPECT_TRUE(wait_until(
    [&] { return std::stoi(connections()) <= std::stoi(before) + 3; }))
    << connections();
}

TEST_F(projection_on_postgres, ends_while_a_handler_runs) {
  auto held = std::make_unique<gate>();
  auto ended = std::make_shared<std::atomic<bool>>(false);
  auto finished = std::make_shared<std::atomic<bool>>(false);
  std::thread ending;
  {
    auto other = std::make_unique<second_process>(options_);
    auto view
      = spawn_projection<account>(other->own.sys(), other->where, "balances",
                                  [pass = held->passage(), finished](
                                    const recorded<account>&, transaction&) {
                                    pass();
                                    *finished = true;
                                  });
    put();
    ASSERT_TRUE(held->holds());
    view = nullptr;
    ending = std::thread{[ended, x = std::move(other)]() mutable {
      x.reset();
      *ended = true;
    }};
  }
  EXPECT_FALSE(*ended);
  held->open();
  EXPECT_TRUE(wait_until([&] { return ended->load(); }));
  EXPECT_TRUE(*finished);
  ending.join();
}

TEST_F(projection_on_postgres, ends_in_a_retry_delay) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto other = std::make_unique<second_process>(options_);
  projection_options options;
  options.on_error = patient();
  auto view = spawn_projection<account>(
    other->own.sys(), other->where, "balances",
    [calls](const recorded<account>&, transaction&) {
      ++*calls;
      throw std::runtime_error("no");
    },
    options);
  put();
  ASSERT_TRUE(wait_until([&] { return calls->load() > 0; }));
  auto begin = std::chrono::steady_clock::now();
  view = nullptr;
  other = nullptr;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST_F(projection_on_postgres, answers_what_it_was_asked_when_it_ends) {
  gate held;
  auto view = spawn_projection<account>(
    bank_.sys(), journal_, "balances",
    handler_after([pass = held.passage()](auto&) { pass(); }));
  put();
  ASSERT_TRUE(held.holds());
  caf::scoped_actor self{bank_.sys()};
  auto pending = self->request(view, 10s, control::stop{});
  auto waiting = self->request(view, 10s, control::wait_until{id_, 1000, 60s});
  // Behind both.
  state_of(view);
  caf::anon_send_exit(view, caf::exit_reason::user_shutdown);
  auto expect_shutdown = [](const caf::error& err) {
    EXPECT_EQ(code_of(err), errc::shutting_down);
  };
  waiting.receive([](const reached&) { FAIL(); }, expect_shutdown);
  pending.receive([](const control::done&) { FAIL(); }, expect_shutdown);
}
