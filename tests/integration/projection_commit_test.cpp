// Projections against the database: what is committed with what, also where
// connections break.

#include "support/projection_store.hpp"

using namespace std::literals;

using namespace evented;
using namespace evented::test;

// -- commits ------------------------------------------------------------------

TEST_F(projection_store, commits_the_view_with_the_checkpoint) {
  declare();
  append("x", 3);
  auto a = connect();
  auto lease = take(a);
  auto one = step(2);
  gate inside;
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    inside.pass();
  };
  std::thread other{[&] { a->commit(lease, one); }};
  inside.wait();
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(handled(), "");
  inside.open();
  other.join();
  EXPECT_EQ(lease.seq_no, 2u);
  EXPECT_EQ(checkpoint(), 2u);
  EXPECT_EQ(handled(), "2");
}

TEST_F(projection_store, what_work_throws_leaves_nothing) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  auto one = step(1);
  one.letters = {{"thing", "x"s, 1, letter_kind::parked, "no"}};
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    throw std::out_of_range("my own");
  };
  EXPECT_THROW(a->commit(lease, one), std::out_of_range);
  one.work = [&](transaction& tx) {
    write(tx);
    throw 42;
  };
  EXPECT_THROW(a->commit(lease, one), int);
  EXPECT_EQ(lease.seq_no, 0u);
  EXPECT_FALSE(lease.parked);
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(handled(), "");
  EXPECT_EQ(letters(a), "");
  // The session is as good as before.
  auto good = step(1);
  a->commit(lease, good);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, a_failed_statement_cannot_be_swallowed) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  for (auto* sql : {"select 1 / 0", "commit", "savepoint s", "nonsense"}) {
    auto one = step(1);
    auto write = one.work;
    one.work = [&](transaction& tx) {
      write(tx);
      try {
        tx.exec(sql);
      } catch (const sql_error&) {
        // Nobody will notice.
      }
    };
    EXPECT_EQ(code_thrown_by([&] { a->commit(lease, one); }),
              errc::handler_failed)
      << sql;
  }
  EXPECT_EQ(checkpoint(), 0u);
  EXPECT_EQ(handled(), "");
}

TEST_F(projection_store, what_a_handler_throws_is_never_taken_for_the_range_s) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  // As a handler does that uses another journal.
  auto one = step(1);
  one.work = [](transaction&) { throw connection_lost(true, "the other one"); };
  EXPECT_EQ(code_thrown_by([&] { a->commit(lease, one); }),
            errc::handler_failed);
  one.work = [](transaction&) { throw fenced("the other one"); };
  EXPECT_EQ(code_thrown_by([&] { a->commit(lease, one); }),
            errc::handler_failed);
  auto good = step(1);
  a->commit(lease, good);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, an_old_owner_cannot_commit_what_it_has_written) {
  declare();
  append("x");
  auto a = connect();
  auto b = connect();
  auto old = take(a);
  gate inside;
  auto one = step(1);
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    inside.pass();
    write(tx);
  };
  auto late = false;
  std::thread other{[&] { late = is_fenced([&] { a->commit(old, one); }); }};
  inside.wait();
  declare_dead(a.id);
  auto lease = take(b);
  auto two = step(1);
  b->commit(lease, two);
  inside.open();
  other.join();
  EXPECT_TRUE(late);
  EXPECT_EQ(handled(), "1");
  EXPECT_EQ(checkpoint(), 1u);
  EXPECT_EQ(old.seq_no, 0u);
}

TEST_F(projection_store, every_change_from_outside_fences_an_open_transaction) {
  using change = std::function<void(projection_session&)>;
  std::pair<const char*, change> changes[] = {
    {"pause",
     [](projection_session& x) {
       x.pause("p", true);
       x.pause("p", false);
     }},
    {"reset", [](projection_session& x) { x.reset("p", {}, {}); }},
    {"skip", [](projection_session& x) { EXPECT_TRUE(x.skip("p", all(), 1)); }},
    {"drop", [](projection_session& x) { x.drop("p", 1); }},
    {"replay", [](projection_session& x) { x.replay("p", "thing", "x"s, {}); }},
    {"rescale", [](projection_session& x) { x.rescale("p", 3); }},
    {"finish_rescale",
     [](projection_session& x) {
       x.rescale("p", 3);
       EXPECT_TRUE(x.finish_rescale("p"));
     }},
    {"approach_swap",
     [](projection_session& x) {
       x.rebuild("p", {}, {});
       x.approach_swap("p");
     }},
    {"swap",
     [](projection_session& x) {
       x.rebuild("p", {}, {});
       EXPECT_TRUE(x.swap("p", {}));
     }},
  };
  append("x");
  for (auto& [name, make] : changes) {
    db.exec("delete from " + table("dead_letter"));
    db.exec("delete from " + table("projection_range"));
    db.exec("delete from " + table("projection"));
    declare();
    auto a = connect();
    auto old = take(a);
    gate inside;
    auto one = step(1);
    auto write = one.work;
    one.work = [&](transaction& tx) {
      write(tx);
      inside.pass();
    };
    auto late = false;
    std::thread other{[&] { late = is_fenced([&] { a->commit(old, one); }); }};
    inside.wait();
    make(*connect());
    inside.open();
    other.join();
    EXPECT_TRUE(late) << name;
    EXPECT_EQ(handled(), "") << name;
  }
}

TEST_F(projection_store, a_checkpoint_never_goes_back_or_past_the_barrier) {
  declare();
  append("x", 9);
  auto a = connect();
  auto lease = take(a);
  auto commit = [&](std::uint64_t up_to, bool with_work) {
    auto one = step(up_to);
    if (!with_work)
      one.work = nullptr;
    a->commit(lease, one);
  };
  commit(5, true);
  for (auto with_work : {true, false})
    EXPECT_TRUE(is_fenced([&] { commit(4, with_work); }));
  EXPECT_EQ(lease.seq_no, 5u);
  commit(6, false);
  EXPECT_EQ(checkpoint(), 6u);
  db.exec("update " + table("projection_range") + " set barrier = 8");
  lease = take(a);
  EXPECT_EQ(lease.barrier, 8u);
  for (auto with_work : {true, false})
    EXPECT_TRUE(is_fenced([&] { commit(9, with_work); }));
  commit(8, true);
  EXPECT_EQ(checkpoint(), 8u);
  EXPECT_EQ(handled(), "5 8");
}

TEST_F(projection_store, a_step_rests_on_the_checkpoint_that_it_began_with) {
  declare();
  append("x", 9);
  auto a = connect();
  auto lease = take(a);
  auto copy = lease;
  auto one = step(2);
  a->commit(lease, one);
  auto two = step(3);
  EXPECT_TRUE(is_fenced([&] { a->commit(copy, two); }));
  EXPECT_EQ(handled(), "2");
}

TEST_F(projection_store,
       idle_checkpoints_do_not_crowd_out_prepared_statements) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  for (auto i = 0; i < 150; ++i) {
    projection_step idle;
    idle.up_to = 1 + static_cast<std::uint64_t>(i);
    a->commit(lease, idle);
  }
  std::string prepared;
  for (auto i = 0; i < 3; ++i) {
    projection_step one;
    one.up_to = 151;
    one.work = [&](transaction& tx) {
      tx.exec("select 'mine' where $1 = 1", 1);
      prepared = *tx.exec("select count(*) from pg_prepared_statements where "
                          "statement like 'select ''mine''%'")[0][0];
    };
    a->commit(lease, one);
  }
  EXPECT_EQ(prepared, "1");
}

// -- broken connections -------------------------------------------------------

TEST_F(projection_store, a_connection_that_is_terminated_leaves_nothing) {
  declare();
  append("x");
  auto a = connect();
  auto lease = take(a);
  auto one = step(1);
  auto write = one.work;
  one.work = [&](transaction& tx) {
    write(tx);
    auto pid = *tx.exec("select pg_backend_pid()")[0][0];
    db.exec("select pg_terminate_backend(" + pid + ")");
    try {
      write(tx);
    } catch (const connection_lost&) {
      // The handler does not get to decide.
      throw std::runtime_error("mine");
    }
  };
  EXPECT_TRUE(loses_connection([&] { a->commit(lease, one); }));
  EXPECT_EQ(handled(), "");
  // The same owner comes back over a new connection.
  a.session = store().connect_projections();
  lease = take(a);
  EXPECT_EQ(lease.seq_no, 0u);
  auto two = step(1);
  a->commit(lease, two);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, taking_the_range_again_tells_what_became_of_a_commit) {
  declare();
  append("x", 40);
  proxy link{server().socket_directory() / ".s.PGSQL.5432"};
  auto through = options;
  through.url = link.url(server().user());
  auto proxied = open_store(through);
  runner a{proxied->connect_projections()};
  heartbeat(a.id);
  auto lease = take(a);
  for (auto round = 0; lease.seq_no < 40; ++round) {
    auto one = step(lease.seq_no + 1);
    auto before = lease.seq_no;
    switch (round % 4) {
    case 0:
      link.cut_after_commit(match::sql("advance_range"));
      break;
    case 1:
      link.cut_before(match::sql("advance_range"));
      break;
    case 2:
      link.cut_in_flight(match::sql("advance_range"));
      break;
    default:
      link.cut_after_commit(match::sql("begin"));
    }
    EXPECT_TRUE(loses_connection([&] { a->commit(lease, one); }));
    EXPECT_TRUE(link.wait_until_fired());
    EXPECT_EQ(lease.seq_no, before);
    a.session = proxied->connect_projections();
    lease = take(a);
    // What was in flight may have arrived or not.
    if (round % 4 != 2) {
      EXPECT_EQ(lease.seq_no, before + (round % 4 == 0 ? 1 : 0));
    }
  }
  std::string all;
  for (auto i = 1; i <= 40; ++i)
    all += (i == 1 ? "" : " ") + std::to_string(i);
  EXPECT_EQ(handled(), all);
}

TEST_F(projection_store, a_checkpoint_alone_survives_a_lost_reply) {
  declare();
  append("x", 5);
  proxy link{server().socket_directory() / ".s.PGSQL.5432"};
  auto through = options;
  through.url = link.url(server().user());
  auto proxied = open_store(through);
  runner a{proxied->connect_projections()};
  heartbeat(a.id);
  auto lease = take(a);
  link.cut_after_commit(match::sql("advance_range"));
  projection_step idle;
  idle.up_to = 4;
  EXPECT_TRUE(loses_connection([&] { a->commit(lease, idle); }));
  a.session = proxied->connect_projections();
  EXPECT_EQ(take(a).seq_no, 4u);
}

// The commit arrives after somebody else has taken the range, as packets do.
TEST_F(projection_store, a_commit_that_arrives_late_is_refused) {
  declare();
  append("x");
  proxy link{server().socket_directory() / ".s.PGSQL.5432"};
  auto through = options;
  through.url = link.url(server().user());
  auto proxied = open_store(through);
  runner a{proxied->connect_projections()};
  heartbeat(a.id);
  auto b = connect();
  auto old = take(a);
  link.hold(match::sql("advance_range"));
  auto late = false;
  std::thread other{[&] {
    auto one = step(1);
    late = is_fenced([&] { a->commit(old, one); });
  }};
  EXPECT_TRUE(link.wait_until_fired());
  declare_dead(a.id);
  auto lease = take(b);
  EXPECT_EQ(lease.seq_no, 0u);
  link.release();
  other.join();
  EXPECT_TRUE(late);
  auto two = step(1);
  b->commit(lease, two);
  EXPECT_EQ(handled(), "1");
}

TEST_F(projection_store, a_stopped_owner_does_not_keep_its_locks) {
  options.take_over = 2s;
  declare();
  append("x");
  db.exec("insert into " + view + " (seq_no) values (0)");
  auto a = connect();
  auto b = connect();
  auto update = [this](transaction& tx) {
    tx.exec("update " + view + " set seq_no = seq_no + 1");
  };
  auto old = take(a);
  gate inside;
  auto lost = false;
  std::thread other{[&] {
    projection_step one;
    one.up_to = 1;
    one.work = [&](transaction& tx) {
      update(tx);
      inside.pass();
      update(tx);
    };
    lost = loses_connection([&] { a->commit(old, one); });
  }};
  inside.wait();
  declare_dead(a.id);
  auto lease = take(b);
  projection_step two;
  two.up_to = 1;
  two.work = update;
  // The old owner stands still all the while.
  EXPECT_TRUE(wait_until([&] {
    try {
      b->commit(lease, two);
      return true;
    } catch (const sql_error& e) {
      return false; // the lock was not to be had yet
    }
  }));
  EXPECT_EQ(handled(), "1");
  inside.open();
  other.join();
  EXPECT_TRUE(lost);
  EXPECT_EQ(handled(), "1");
}
