// What becomes of events on their way through a handler: where they fail, what
// is committed before, what is put away, and what is none of their fault.

#include "support/projections.hpp"
#include "support/proxy.hpp"

#include <evented/sql_error.hpp>

#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class range_batches : public projections {
protected:
  /// A journal with `count` events of one entity, and a range that begins.
  void begin(std::size_t count = 5) {
    declare();
    me.emplace(connect());
    append("x", count);
    lease = take(*me);
  }

  range_batch& handle(const projection_handler& handler, bool alone = false) {
    current = read(*me, lease);
    return handle_again(handler, alone);
  }

  range_batch& handle_again(const projection_handler& handler,
                            bool alone = false) {
    handle_batch(**me, handler, current, alone, stop);
    lease = current.lease;
    return current;
  }

  std::string table(const std::string& name) const {
    return options.schema + "." + name;
  }

  /// Writes the view, but fails at one event.
  event_function failing_at(std::uint64_t poison, int* seen = nullptr) const {
    return event_function{
      [this, poison, seen](const journal_entry& x, transaction& tx, auto&) {
        write(x, tx);
        if (x.event.seq_no != poison)
          return;
        if (seen != nullptr)
          ++*seen;
        throw std::runtime_error("poison");
      }};
  }

  std::optional<runner> me;
  range_lease lease;
  range_batch current;
  std::atomic<bool> stop{false};
};

std::string numbers(std::uint64_t from, std::uint64_t to) {
  std::string result;
  for (auto i = from; i <= to; ++i)
    result += (i == from ? "" : " ") + std::to_string(i);
  return result;
}

} // namespace

// -- failures -----------------------------------------------------------------

TEST_F(range_batches, commits_what_comes_before_the_event_that_fails) {
  begin(15);
  auto done = 0ull;
  for (auto poison : {1ull, 4ull, 15ull}) {
    auto seen = 0;
    auto& x = handle(failing_at(poison, &seen));
    EXPECT_EQ(x.outcome, batch_outcome::failed);
    EXPECT_EQ(x.error, "poison");
    ASSERT_LT(x.next, x.entries.size());
    EXPECT_EQ(x.entries[x.next].event.seq_no, poison);
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(checkpoint(), poison - 1);
    EXPECT_EQ(lease.seq_no, poison - 1);
    EXPECT_EQ(handled(), numbers(1, poison - 1));
    EXPECT_GE(poison, done);
    done = poison;
  }
  EXPECT_EQ(handle(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), numbers(1, 15));
}

TEST_F(range_batches, tries_the_failed_event_alone_and_goes_on) {
  begin(5);
  handle(failing_at(3));
  auto& x = handle_again(failing_at(5), true);
  EXPECT_EQ(x.outcome, batch_outcome::failed);
  EXPECT_EQ(x.entries[x.next].event.seq_no, 5u);
  EXPECT_EQ(handled(), numbers(1, 4));
  x = handle_again(failing_at(5), true);
  EXPECT_EQ(x.outcome, batch_outcome::failed);
  x = handle_again(writing_handler(), true);
  EXPECT_EQ(x.outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), numbers(1, 5));
}

TEST_F(range_batches, statements_that_are_sent_are_all_committed_in_order) {
  begin(300);
  auto insert = "insert into " + view + " (seq_no) values ($1)";
  auto count = "select count(*) from " + view;
  std::size_t seen = 0;
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    tx.send(insert, e.event.seq_no);
    // Whoever asks sees what was sent before.
    if (e.event.seq_no == 150)
      seen = std::stoul(*tx.exec(count)[0][0]);
  }});
  EXPECT_EQ(x.outcome, batch_outcome::committed) << x.error;
  EXPECT_EQ(seen, 150u);
  EXPECT_EQ(handled(), numbers(1, 300));
}

TEST_F(range_batches, a_statement_that_is_sent_and_fails_is_found) {
  begin(20);
  auto divide
    = "insert into " + view + " (seq_no) values ($1::bigint / $2::bigint)";
  for (auto poison : {1ull, 9ull, 20ull}) {
    auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
      tx.send(divide, e.event.seq_no, e.event.seq_no == poison ? 0 : 1);
    }});
    EXPECT_EQ(x.outcome, batch_outcome::failed);
    ASSERT_LT(x.next, x.entries.size());
    EXPECT_EQ(x.entries[x.next].event.seq_no, poison);
    EXPECT_EQ(handled(), numbers(1, poison - 1));
  }
}

TEST_F(range_batches, what_is_sent_keeps_every_text) {
  begin(4);
  db.exec("create table " + table("texts") + " (seq_no bigint, x text)");
  std::vector<std::optional<std::string>> texts{
    "it's; a 'quote' -- \\ and $1", std::nullopt, "", "\xc3\xa4\n\t\""};
  auto insert = "insert into " + table("texts") + " values ($1, $2)";
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    tx.send(insert, e.event.seq_no, texts[e.event.seq_no - 1]);
  }});
  EXPECT_EQ(x.outcome, batch_outcome::committed) << x.error;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto where
      = " from " + table("texts") + " where seq_no = " + std::to_string(i + 1);
    EXPECT_EQ(db.exec("select x is null" + where), texts[i] ? "f" : "t");
    EXPECT_EQ(db.exec("select x" + where), texts[i].value_or(""));
  }
}

TEST_F(range_batches, what_is_sent_cannot_end_the_transaction) {
  begin(1);
  auto& x = handle(
    event_function{[&](auto&, transaction& tx, auto&) { tx.send("commit"); }});
  EXPECT_EQ(x.outcome, batch_outcome::failed);
  EXPECT_EQ(checkpoint(), 0u);
}

TEST_F(range_batches, a_batch_handler_finds_the_culprit_by_halving) {
  begin(16);
  for (std::uint64_t poison = 1; poison <= 16; ++poison) {
    auto calls = 0;
    batch_function handler{[&](batch_function::entries list, transaction& tx) {
      ++calls;
      for (auto* e : list) {
        write(*e, tx);
        if (e->event.seq_no == poison)
          throw std::runtime_error("poison");
      }
    }};
    auto& x = handle(handler);
    EXPECT_EQ(x.outcome, batch_outcome::failed);
    EXPECT_EQ(x.entries[x.next].event.seq_no, poison);
    EXPECT_EQ(handled(), numbers(1, poison - 1));
    EXPECT_LE(calls, 9);
  }
}

TEST_F(range_batches, a_batch_is_whole_again_after_what_had_to_be_alone) {
  begin(6);
  std::vector<std::size_t> sizes;
  batch_function handler{[&](batch_function::entries list, transaction& tx) {
    sizes.push_back(list.size());
    for (auto* e : list)
      write(*e, tx);
  }};
  EXPECT_EQ(handle(handler, true).outcome, batch_outcome::committed);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 5}));
  EXPECT_EQ(handled(), numbers(1, 6));
}

TEST_F(range_batches, isolates_an_event_that_fails_at_the_commit) {
  begin(7);
  db.exec("create table " + table("once")
          + " (n bigint unique deferrable initially deferred)");
  db.exec("insert into " + table("once") + " values (0)");
  auto insert
    = [&](const journal_entry& x, transaction& tx, std::uint64_t poison) {
        write(x, tx);
        auto n = x.event.seq_no == poison ? 0 : x.event.seq_no;
        tx.exec("insert into " + table("once") + " values ($1)", n);
      };
  for (std::uint64_t poison = 1; poison <= 7; ++poison) {
    event_function single{[&](const journal_entry& x, transaction& tx, auto&) {
      insert(x, tx, poison);
    }};
    batch_function many{[&](batch_function::entries list, transaction& tx) {
      for (auto* e : list)
        insert(*e, tx, poison);
    }};
    for (auto* handler :
         std::initializer_list<const projection_handler*>{&single, &many}) {
      auto& x = handle(*handler);
      EXPECT_EQ(x.outcome, batch_outcome::failed);
      EXPECT_NE(x.error.find("once"), std::string::npos) << x.error;
      EXPECT_EQ(x.entries[x.next].event.seq_no, poison);
      EXPECT_EQ(checkpoint(), poison - 1);
      EXPECT_EQ(handled(), numbers(1, poison - 1));
    }
  }
}

TEST_F(range_batches, takes_whatever_is_thrown) {
  begin(1);
  auto outcome_of = [&](std::function<void(transaction&)> f) {
    return handle(event_function{[&](auto&, transaction& tx, auto&) { f(tx); }})
      .outcome;
  };
  EXPECT_EQ(outcome_of([](auto&) { throw 42; }), batch_outcome::failed);
  EXPECT_NE(current.error, "");
  EXPECT_EQ(outcome_of([](auto&) { throw connection_lost(true, "another"); }),
            batch_outcome::failed);
  EXPECT_EQ(outcome_of([](auto&) { throw fenced("another"); }),
            batch_outcome::failed);
  EXPECT_EQ(outcome_of([](auto& tx) { tx.exec("select 1 / 0"); }),
            batch_outcome::failed);
  EXPECT_EQ(outcome_of([](auto& tx) { tx.exec("commit"); }),
            batch_outcome::failed);
  EXPECT_EQ(outcome_of([](auto& tx) {
              try {
                tx.exec("select 1 / 0");
              } catch (const sql_error&) {
                // Nobody will notice.
              }
            }),
            batch_outcome::failed);
  EXPECT_NE(current.error.find("division"), std::string::npos);
  EXPECT_EQ(checkpoint(), 0u);
}

TEST_F(range_batches, a_statement_that_takes_too_long_fails_the_event) {
  begin(2);
  current = read(*me, lease);
  me->session = store().connect_projections(1s);
  auto& x = handle_again(event_function{[&](auto& e, transaction& tx, auto&) {
    write(e, tx);
    if (e.event.seq_no == 2)
      tx.exec("select pg_sleep(60)");
  }});
  EXPECT_EQ(x.outcome, batch_outcome::failed);
  EXPECT_EQ(x.next, 1u);
  EXPECT_EQ(handled(), "1");
}

TEST_F(range_batches, events_that_cannot_be_decoded_fail) {
  begin(1);
  append("x", 1, "thing", "happened", R"({"m":1})");
  auto handler = typed<thing>([&](const recorded<thing>& e, transaction& tx) {
    tx.exec("insert into " + view + " (seq_no) values ($1)", e.seq_no);
  });
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  EXPECT_EQ(current.next, 1u);
  EXPECT_NE(current.error.find("cannot be decoded"), std::string::npos);
  put_away(**me, current, letter_kind::skipped, "");
  append("x", 1, "thing", "vanished");
  lease = current.lease;
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  EXPECT_NE(current.error.find("vanished"), std::string::npos);
  put_away(**me, current, letter_kind::skipped, "");
  append("x", 1, "gadget");
  lease = current.lease;
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  EXPECT_NE(current.error.find("gadget"), std::string::npos);
  EXPECT_EQ(handled(), "1");
  EXPECT_EQ(checkpoint(), 3u);
}

TEST_F(range_batches, a_batch_handler_isolates_what_cannot_be_decoded) {
  begin(3);
  append("x", 1, "thing", "vanished");
  append("x", 3);
  auto handler = typed<thing>([&](const batch<thing>& list, transaction& tx) {
    for (auto& e : list)
      tx.exec("insert into " + view + " (seq_no) values ($1)", e.seq_no);
  });
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  EXPECT_EQ(current.next, 3u);
  EXPECT_EQ(handled(), "1 2 3");
}

TEST_F(range_batches, several_entity_types_share_a_batch) {
  begin(1);
  append("g", 1, "gadget", "happened", R"({"n":7})");
  append("x", 1, "thing", "happened", R"({"n":8})");
  std::string seen;
  auto handler
    = typed<thing, gadget>([&](const batch<thing, gadget>& list, transaction&) {
        for (auto& x : list)
          std::visit(
            [&]<class E>(const recorded<E>& e) {
              seen += std::string{E::type_name} + "/" + e.id + "@"
                      + std::to_string(e.version) + "="
                      + std::to_string(e.template as<happened>()->n) + " ";
            },
            x);
      });
  EXPECT_EQ(handle(handler).outcome, batch_outcome::committed);
  EXPECT_EQ(seen, "thing/x@1=1 gadget/g@1=7 thing/x@2=8 ");
  seen.clear();
  lease = *try_take(*me);
  append("g", 1, "gadget");
  auto both
    = typed<thing, gadget>([&]<class E>(const recorded<E>& e, transaction&) {
        seen
          += std::string{E::type_name} + "@" + std::to_string(e.version) + " ";
      });
  append("x");
  EXPECT_EQ(handle(both).outcome, batch_outcome::committed);
  EXPECT_EQ(seen, "gadget@2 thing@3 ");
}

// -- stopping -----------------------------------------------------------------

TEST_F(range_batches, a_stop_between_two_events_commits_what_is_done) {
  begin(5);
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    write(e, tx);
    if (e.event.seq_no == 2)
      stop = true;
  }});
  EXPECT_EQ(x.outcome, batch_outcome::stopped);
  EXPECT_EQ(x.next, 2u);
  EXPECT_EQ(checkpoint(), 2u);
  EXPECT_EQ(handled(), "1 2");
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::stopped);
  EXPECT_EQ(handled(), "1 2");
  stop = false;
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), numbers(1, 5));
}

TEST_F(range_batches, a_stop_that_comes_with_the_last_event_is_none) {
  begin(2);
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    write(e, tx);
    stop = e.event.seq_no == 2;
  }});
  EXPECT_EQ(x.outcome, batch_outcome::committed);
  EXPECT_EQ(checkpoint(), 2u);
}

TEST_F(range_batches, a_stop_before_the_first_event_does_nothing) {
  begin(2);
  stop = true;
  EXPECT_EQ(handle(writing_handler()).outcome, batch_outcome::stopped);
  EXPECT_EQ(current.next, 0u);
  EXPECT_EQ(checkpoint(), 0u);
}

TEST_F(range_batches, a_checkpoint_without_events_moves) {
  begin(3);
  current.lease = lease;
  current.up_to = 3;
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(checkpoint(), 3u);
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
}

// -- effects ------------------------------------------------------------------

TEST_F(range_batches, effects_happen_once_and_after_the_commit) {
  begin(4);
  std::string happened_outside;
  auto failures = 1;
  auto handler
    = typed<thing>([&](const recorded<thing>& e, transaction& tx, effects& fx) {
        tx.exec("insert into " + view + " (seq_no) values ($1)", e.seq_no);
        fx.then(e, [&, n = e.seq_no] {
          // Over another connection: what is not committed cannot be seen.
          auto found = db.exec("select count(*) from " + view
                               + " where seq_no = " + std::to_string(n));
          happened_outside += std::to_string(n) + "(" + found + ") ";
          if (n == 2)
            throw std::runtime_error("of no consequence");
        });
        if (e.seq_no == 3 && failures-- > 0)
          throw std::runtime_error("poison");
      });
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  EXPECT_EQ(happened_outside, "1(1) 2(1) ");
  EXPECT_EQ(handle_again(handler).outcome, batch_outcome::committed);
  EXPECT_EQ(happened_outside, "1(1) 2(1) 3(1) 4(1) ");
}

TEST_F(range_batches, effects_of_a_batch_that_was_halved_happen_once) {
  begin(8);
  std::string seen;
  auto handler
    = typed<thing>([&](const batch<thing>& list, transaction&, effects& fx) {
        for (auto& e : list) {
          fx.then(e, [&, n = e.seq_no] { seen += std::to_string(n) + " "; });
          if (e.seq_no == 6)
            throw std::runtime_error("poison");
        }
      });
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  EXPECT_EQ(seen, "1 2 3 4 5 ");
}

TEST_F(range_batches, effects_do_not_happen_again_when_events_are_replayed) {
  begin(3);
  std::string seen;
  auto handler
    = typed<thing>([&](const recorded<thing>& e, transaction&, effects& fx) {
        EXPECT_EQ(e.replayed, e.seq_no <= 3 && lease.mark > 0);
        fx.then(e, [&, n = e.seq_no] { seen += std::to_string(n) + " "; });
      });
  handle(handler);
  EXPECT_EQ(seen, "1 2 3 ");
  (*me)->reset("p", {}, {});
  append("x");
  lease = take(*me);
  handle(handler);
  EXPECT_EQ(checkpoint(), 4u);
  EXPECT_EQ(seen, "1 2 3 4 ");
}

TEST_F(range_batches, effects_do_not_happen_where_the_commit_is_refused) {
  begin(1);
  auto ran = false;
  auto b = connect();
  auto handler
    = typed<thing>([&](const recorded<thing>& e, transaction&, effects& fx) {
        fx.then(e, [&] { ran = true; });
        declare_dead(me->id);
        take(b);
      });
  EXPECT_EQ(handle(handler).outcome, batch_outcome::fenced);
  EXPECT_FALSE(ran);
}

// -- dead letters -------------------------------------------------------------

TEST_F(range_batches, later_events_of_a_parked_entity_go_behind) {
  begin(1);
  append("y");
  append("x", 2);
  append("y");
  append("x", 1, "gadget");
  handle(failing_at(1));
  put_away(**me, current, letter_kind::parked, current.error);
  EXPECT_EQ(current.outcome, batch_outcome::committed);
  EXPECT_TRUE(current.lease.parked);
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), "2 5 6");
  EXPECT_EQ(letters(*me), "1 parked, 3 behind, 4 behind");
  EXPECT_EQ((*me)->letters("p", 0, 1)[0].error, "poison");
  // Also where nothing is left to handle, and with an owner that has just come.
  append("x", 2);
  lease = take(*me);
  EXPECT_EQ(handle(failing_at(7)).outcome, batch_outcome::committed);
  EXPECT_EQ(letters(*me), "1 parked, 3 behind, 4 behind, 7 behind, 8 behind");
  EXPECT_EQ(checkpoint(), 8u);
}

TEST_F(range_batches, a_batch_handler_does_not_see_what_is_behind) {
  begin(1);
  append("y");
  append("x");
  append("y", 2);
  std::string seen;
  batch_function handler{[&](batch_function::entries list, transaction& tx) {
    for (auto* e : list) {
      seen += std::to_string(e->event.seq_no) + " ";
      write(*e, tx);
      if (e->event.seq_no == 1 || e->event.seq_no == 5)
        throw std::runtime_error("poison");
    }
  }};
  EXPECT_EQ(handle(handler).outcome, batch_outcome::failed);
  put_away(**me, current, letter_kind::parked, "no");
  seen.clear();
  EXPECT_EQ(handle_again(handler).outcome, batch_outcome::failed);
  EXPECT_EQ(current.entries[current.next].event.seq_no, 5u);
  EXPECT_EQ(seen.find('3'), std::string::npos);
  EXPECT_EQ(handled(), "2 4");
  put_away(**me, current, letter_kind::parked, "no");
  EXPECT_EQ(letters(*me), "1 parked, 3 behind, 5 parked");
  EXPECT_EQ(checkpoint(), 5u);
}

TEST_F(range_batches, what_came_behind_before_a_failure_is_kept) {
  begin(2);
  append("y");
  append("x");
  append("y", 2);
  handle(failing_at(1));
  put_away(**me, current, letter_kind::parked, "no");
  auto& x = handle_again(failing_at(5));
  EXPECT_EQ(x.outcome, batch_outcome::failed);
  EXPECT_EQ(x.entries[x.next].event.seq_no, 5u);
  EXPECT_EQ(handled(), "3");
  EXPECT_EQ(letters(*me), "1 parked, 2 behind, 4 behind");
  EXPECT_EQ(checkpoint(), 4u);
}

TEST_F(range_batches, what_was_skipped_holds_nothing_back) {
  begin(3);
  handle(failing_at(1));
  put_away(**me, current, letter_kind::skipped, "no");
  EXPECT_FALSE(current.lease.parked);
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), "2 3");
  EXPECT_EQ(letters(*me), "1 skipped");
}

TEST_F(range_batches, any_error_text_can_be_stored) {
  const std::string texts[] = {"a\0b"s,
                               "\xff\xfe\x80",
                               "\xed\xa0\x80",
                               std::string(1'000'000, 'x'),
                               std::string(1999, 'x') + "\xc3\xa4",
                               ""};
  begin(std::size(texts));
  for (auto& text : texts) {
    handle(event_function{
      [&](auto&, auto&, auto&) { throw std::runtime_error(text); }});
    EXPECT_EQ(current.outcome, batch_outcome::failed);
    (*me)->report(lease, current.error, lease.seq_no + 1, false);
    auto before = lease.seq_no;
    put_away(**me, current, letter_kind::skipped, text);
    EXPECT_EQ(current.outcome, batch_outcome::committed) << current.error;
    lease = current.lease;
    auto stored = (*me)->letters("p", before, 1).at(0).error;
    EXPECT_LE(stored.size(), 2100u);
    EXPECT_EQ(stored.empty(), text.empty());
  }
}

TEST_F(range_batches, a_dead_letter_that_cannot_be_stored_holds_the_range) {
  begin(3);
  handle(failing_at(2));
  db.exec("alter table " + table("dead_letter") + " rename to gone");
  put_away(**me, current, letter_kind::parked, "no");
  EXPECT_EQ(current.outcome, batch_outcome::obstructed);
  EXPECT_NE(current.error.find("dead_letter"), std::string::npos);
  EXPECT_EQ(current.next, 1u);
  EXPECT_EQ(checkpoint(), 1u);
  EXPECT_FALSE(current.lease.parked);
  db.exec("alter table " + table("gone") + " rename to dead_letter");
  put_away(**me, current, letter_kind::parked, "no");
  EXPECT_EQ(current.outcome, batch_outcome::committed);
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(letters(*me), "2 parked, 3 behind");
}

// An event that is to be put behind is not to blame where that cannot be done:
// an error strategy that skips it would lose it.
TEST_F(range_batches, events_are_not_to_blame_for_letters_that_fail) {
  begin(1);
  handle(failing_at(1));
  put_away(**me, current, letter_kind::parked, "no");
  lease = current.lease;
  append("x", 4);
  db.exec("alter table " + table("dead_letter") + " rename to gone");
  EXPECT_EQ(handle(writing_handler()).outcome, batch_outcome::obstructed);
  EXPECT_NE(current.error, "");
  EXPECT_EQ(current.next, 0u);
  db.exec("alter table " + table("gone") + " rename to dead_letter");
  db.exec("alter table " + table("dead_letter")
          + " add constraint c check (seq_no <> 4)");
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::obstructed);
  db.exec("alter table " + table("dead_letter") + " drop constraint c");
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(letters(*me), "1 parked, 2 behind, 3 behind, 4 behind, 5 behind");
}

TEST_F(range_batches, a_former_owner_cannot_put_away) {
  begin(1);
  handle(failing_at(1));
  auto b = connect();
  declare_dead(me->id);
  take(b);
  put_away(**me, current, letter_kind::parked, "no");
  EXPECT_EQ(current.outcome, batch_outcome::fenced);
  EXPECT_EQ(letters(*me), "");
}

// -- obstacles ----------------------------------------------------------------

TEST_F(range_batches, the_victim_of_a_deadlock_tries_again) {
  // The server looks for a deadlock after a second.
  options.lock_timeout = 10s;
  begin(2);
  me->session = store().connect_projections(20s);
  db.exec("insert into " + view + " (seq_no, version) values (0, 1), (0, 2)");
  auto touch = [this](int row) {
    return "update " + view
           + " set view_version = 1 where seq_no = 0 and "
             "version = "
           + std::to_string(row);
  };
  db.exec("set deadlock_timeout = '1min'");
  db.exec("begin");
  db.exec(touch(2));
  std::thread other;
  auto calls = 0;
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    if (e.event.seq_no == 1) {
      tx.exec(touch(1));
      if (++calls == 1) {
        other = std::thread{[&] {
          db.exec(touch(1));
          db.exec("commit");
        }};
        EXPECT_TRUE(wait_for_blocked());
      }
      tx.exec(touch(2));
    }
    write(e, tx);
  }});
  other.join();
  EXPECT_EQ(x.outcome, batch_outcome::committed) << x.error;
  // The second attempt may lock the first row before the other one wakes up, who
  // waits for it: then there is another deadlock.
  EXPECT_GE(calls, 2);
  EXPECT_EQ(handled("seq_no > 0"), "1 2");
}

TEST_F(range_batches, what_the_database_lacks_is_not_the_event_s_fault) {
  begin(2);
  for (auto* state : {"40001", "53100", "58030"}) {
    auto calls = 0;
    auto& x = handle(event_function{[&](auto&, auto&, auto&) {
      ++calls;
      throw sql_error(state, "in the way");
    }});
    EXPECT_EQ(x.outcome, batch_outcome::obstructed);
    EXPECT_EQ(x.error, "in the way");
    EXPECT_EQ(calls, state == "40001"s ? 3 : 1);
    EXPECT_EQ(x.next, 0u);
  }
}

TEST_F(range_batches, a_lock_that_is_not_to_be_had_is_an_obstacle) {
  options.lock_timeout = 50ms;
  begin(2);
  db.exec("insert into " + view + " (seq_no) values (0)");
  db.exec("begin");
  db.exec("update " + view + " set version = 1");
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    if (e.event.seq_no == 2)
      tx.exec("update " + view + " set version = 2 where seq_no = 0");
    write(e, tx);
  }});
  EXPECT_EQ(x.outcome, batch_outcome::obstructed);
  EXPECT_EQ(x.next, 0u);
  db.exec("rollback");
  EXPECT_EQ(handle_again(writing_handler()).outcome, batch_outcome::committed);
}

TEST_F(range_batches, a_range_that_is_locked_is_not_the_event_s_fault) {
  options.lock_timeout = 50ms;
  begin(2);
  db.exec("begin");
  db.exec("select 1 from " + table("projection_range") + " for update");
  batch_function many{[&](batch_function::entries list, transaction& tx) {
    for (auto* e : list)
      write(*e, tx);
  }};
  auto single = writing_handler();
  for (auto* handler :
       std::initializer_list<const projection_handler*>{&single, &many}) {
    EXPECT_EQ(handle(*handler).outcome, batch_outcome::obstructed);
    EXPECT_EQ(current.next, 0u);
  }
  current = {};
  current.lease = lease;
  current.up_to = 1;
  EXPECT_EQ(handle_again(single).outcome, batch_outcome::obstructed);
  db.exec("rollback");
  EXPECT_EQ(handle(many).outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), "1 2");
}

TEST_F(range_batches, a_checkpoint_that_cannot_be_stored_is_an_obstacle) {
  begin(2);
  db.exec("alter table " + table("projection_range")
          + " add constraint c check (seq_no < 2)");
  current.lease = lease;
  current.up_to = 2;
  // Where this goes round in circles, the stop flag ends it.
  auto running
    = std::async(std::launch::async, [&] { handle_again(writing_handler()); });
  auto ended = running.wait_for(10s) == std::future_status::ready;
  stop = true;
  running.get();
  EXPECT_TRUE(ended);
  EXPECT_EQ(current.outcome, batch_outcome::obstructed);
  EXPECT_NE(current.error, "");
}

TEST_F(range_batches, a_lost_connection_is_for_the_caller) {
  begin(2);
  EXPECT_THROW(handle(event_function{[&](auto& e, transaction& tx, auto&) {
                 write(e, tx);
                 try {
                   tx.exec("select pg_terminate_backend(pg_backend_pid())");
                 } catch (const std::exception&) {
                   // The handler does not get to decide.
                 }
               }}),
               connection_lost);
  me->session = store().connect_projections();
  lease = take(*me);
  EXPECT_EQ(handle(writing_handler()).outcome, batch_outcome::committed);
  EXPECT_EQ(handled(), "1 2");
}

TEST_F(range_batches, an_owner_that_was_replaced_commits_no_part) {
  begin(4);
  auto b = connect();
  auto& x = handle(event_function{[&](auto& e, transaction& tx, auto&) {
    write(e, tx);
    if (e.event.seq_no == 3) {
      declare_dead(me->id);
      take(b);
      throw std::runtime_error("poison");
    }
  }});
  EXPECT_EQ(x.outcome, batch_outcome::fenced);
  EXPECT_EQ(handled(), "");
  EXPECT_EQ(checkpoint(), 0u);
}

// -- everything at once -------------------------------------------------------

namespace {

/// Returns what the environment says, else `otherwise`.
unsigned number(const char* variable, unsigned otherwise) {
  auto* text = std::getenv(variable);
  return text == nullptr
           ? otherwise
           : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

/// Three processes that run one projection, fail, die, are paused, rescaled and
/// cut off, in an order that a seed decides.
class random_schedules : public projections {
protected:
  static constexpr std::size_t entities = 10;
  static constexpr std::size_t events = 200;

  bool chance(unsigned percent) { return random() % 100 < percent; }

  std::string entity(std::size_t i) const { return "e" + std::to_string(i); }

  /// Writes the view with one statement.
  void write_all(batch_function::entries list, transaction& tx) const {
    std::string values[3];
    for (auto* x : list) {
      const std::string row[3] = {std::to_string(x->event.seq_no),
                                  x->type_name + "/" + to_string(x->id),
                                  std::to_string(x->event.version)};
      for (auto i = 0; i < 3; ++i)
        values[i] += (values[i].empty() ? "" : ",") + row[i];
    }
    tx.exec(
      "insert into " + view
        + " (seq_no, entity_id, version) select * from unnest($1::bigint[], "
          "$2::text[], $3::bigint[])",
      "{" + values[0] + "}", "{" + values[1] + "}", "{" + values[2] + "}");
  }

  /// Brings about what can happen inside of a handler's transaction, six times
  /// out of `rarity`.
  void disturb(std::size_t who, transaction& tx, unsigned rarity) {
    auto other = (who + 1 + random() % 2) % 3;
    switch (random() % rarity) {
    case 0:
      throw std::runtime_error("poison");
    case 1:
      tx.exec("select pg_terminate_backend(pg_backend_pid())");
      break;
    case 2:
      declare_dead(processes[who].id);
      acquire(other);
      break;
    case 3:
      admin->pause(projection, true);
      admin->pause(projection, chance(50));
      break;
    case 4:
      link->cut_after_commit(match::sql("advance_range"));
      break;
    case 5:
      link->cut_before(match::sql("advance_range"));
      break;
    default:
      break;
    }
  }

  void reconnect(std::size_t who) {
    processes[who].session = proxied->connect_projections();
    leases[who].reset();
  }

  void acquire(std::size_t who) {
    heartbeat(processes[who].id);
    auto ranges = admin->status(projection).ranges;
    auto& key = ranges[random() % ranges.size()].key;
    try {
      leases[who] = processes[who]->acquire(key, 1, processes[who].id);
    } catch (const connection_lost&) {
      reconnect(who);
    }
  }

  void work(std::size_t who) {
    auto& lease = leases[who];
    if (!lease)
      return acquire(who);
    try {
      auto by_event = chance(30);
      auto x = read(processes[who], *lease, 1 + random() % (by_event ? 9 : 60));
      event_function single{[&](auto& e, transaction& tx, auto&) {
        write(e, tx);
        disturb(who, tx, 60);
      }};
      batch_function many{[&](batch_function::entries list, transaction& tx) {
        write_all(list, tx);
        disturb(who, tx, 15);
      }};
      const projection_handler& handler
        = by_event ? static_cast<const projection_handler&>(single) : many;
      handle_batch(*processes[who], handler, x, chance(20), never);
      if (x.outcome == batch_outcome::failed && chance(30))
        put_away(*processes[who], x, letter_kind::parked, x.error);
      // What happened inside may have taken it away.
      if (lease)
        lease = x.lease;
      if (x.outcome == batch_outcome::fenced)
        lease.reset();
    } catch (const connection_lost&) {
      reconnect(who);
    }
  }

  std::size_t replay(std::size_t i) {
    return admin->replay(projection, "thing", entity(i),
                         [&](auto& x, auto& tx) { write(x, tx); });
  }

  void change() {
    switch (random() % 6) {
    case 0:
      admin->pause(projection, chance(30));
      break;
    case 1:
      try {
        admin->rescale(projection,
                       static_cast<std::uint16_t>(1 + random() % 5));
      } catch (const error& e) {
        EXPECT_EQ(e.code(), errc::not_now);
      }
      break;
    case 2:
      admin->finish_rescale(projection);
      break;
    case 3:
      replay(random() % entities);
      break;
    case 4:
      declare_dead(processes[random() % 3].id);
      break;
    default:
      reconnect(random() % 3);
      break;
    }
  }

  /// Without faults, handles what is left.
  void finish() {
    link->disarm();
    admin->pause(projection, false);
    for (auto& x : processes)
      declare_dead(x.id);
    auto last = connect();
    for (auto round = 0; round < 2; ++round) {
      for (auto& x : admin->status(projection).ranges) {
        auto lease = take(last, x.key.first);
        batch_function many{[&](batch_function::entries list, transaction& tx) {
          write_all(list, tx);
        }};
        EXPECT_EQ(run(last, lease, many).outcome, batch_outcome::committed);
      }
      EXPECT_TRUE(admin->finish_rescale(projection));
    }
    for (std::size_t i = 0; i < entities; ++i)
      replay(i);
    EXPECT_EQ(letters(last), "");
  }

  std::mt19937 random;
  std::unique_ptr<proxy> link;
  std::shared_ptr<evented::store> proxied;
  runner admin;
  std::vector<runner> processes;
  std::optional<range_lease> leases[3];
};

} // namespace

TEST_F(random_schedules, handle_each_event_exactly_once_and_in_order) {
  auto seed = number("EVENTED_SEED", std::random_device{}());
  std::cout << "EVENTED_SEED=" << seed << '\n';
  link = std::make_unique<proxy>(server().socket_directory() / ".s.PGSQL.5432");
  store();
  auto through = options;
  through.url = link->url(server().user());
  proxied = open_store(through);
  for (std::size_t i = 0; i < events; ++i)
    append(entity(i * 7 % entities));
  admin = connect();
  for (auto i = 0; i < 3; ++i)
    processes.push_back(connect(*proxied));
  for (unsigned schedule = 0; schedule < number("EVENTED_SCHEDULES", 50);
       ++schedule) {
    random.seed(seed + schedule);
    projection = "p" + std::to_string(schedule);
    db.exec("truncate " + view);
    for (auto& x : leases)
      x.reset();
    declare(static_cast<std::uint16_t>(1 + random() % 4));
    for (auto round = 0; round < 40; ++round) {
      if (chance(15))
        change();
      else
        work(random() % 3);
    }
    finish();
    ASSERT_EQ(db.exec("select string_agg(seq_no::text, ' ' order by seq_no) "
                      "from "
                      + view),
              numbers(1, events))
      << "EVENTED_SEED=" << seed + schedule;
    ASSERT_EQ(db.exec("select count(*) from (select version, lag(version) over "
                      "(partition by entity_id order by place) as before from "
                      + view + ") as x where version <= before"),
              "0")
      << "EVENTED_SEED=" << seed + schedule;
  }
}
