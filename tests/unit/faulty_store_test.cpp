// Faults that tests inject into a journal, and commits that take steps.

#include <evented/frontier_watch.hpp>
#include <evented/sql_error.hpp>
#include <evented/testkit/faulty_store.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented;
using namespace evented::testkit;

namespace {

journal_options text_ids() {
  journal_options result;
  result.ids = id_kind::text;
  return result;
}

append_request make_request(std::string id, std::uint64_t after,
                            std::size_t events = 1) {
  append_request result{"thing", std::move(id), {}, {}};
  auto& step = result.steps.emplace_back();
  step.append_id = uuid::v4();
  step.after = after;
  for (std::size_t i = 0; i < events; ++i)
    step.events.push_back({"happened", 1, "{}", "", {}});
  return result;
}

bool append(store_session& session, append_request& x) {
  std::array batch{&x};
  return session.append(batch);
}

/// Renders the journal as `a@1#2`: entity, version, sequence number.
std::string all(store& journal) {
  auto session = journal.connect();
  std::string result;
  for (auto& x : session->read({.types = {"thing"}}, 0, 1000, 1000).entries)
    result += (result.empty() ? "" : " ") + std::get<std::string>(x.id) + "@"
              + std::to_string(x.event.version) + "#"
              + std::to_string(x.event.seq_no);
  return result;
}

// -- commits in steps ---------------------------------------------------------

class commits_in_steps : public testing::Test {
protected:
  std::shared_ptr<store> journal
    = make_memory_store(text_ids(), memory_commits::in_steps);
  std::unique_ptr<store_session> one = journal->connect();
  std::unique_ptr<store_session> other = journal->connect();
};

TEST_F(commits_in_steps, draw_become_visible_and_reply) {
  auto x = make_request("a", 0, 2);
  EXPECT_FALSE(append(*one, x));
  EXPECT_TRUE(x.steps[0].maybe_sent);
  EXPECT_EQ(all(*journal), "");
  EXPECT_FALSE(append(*one, x));
  EXPECT_EQ(all(*journal), "a@1#1 a@2#2");
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_TRUE(append(*one, x));
  EXPECT_EQ(x.steps[0].status, append_status::stored);
  EXPECT_EQ(x.steps[0].seq_no, 2u);
}

TEST_F(commits_in_steps, are_visible_in_another_order_than_drawn) {
  auto x = make_request("a", 0);
  auto y = make_request("b", 0);
  append(*one, x);
  append(*other, y);
  append(*other, y);
  EXPECT_TRUE(append(*other, y));
  EXPECT_EQ(all(*journal), "b@1#2");
  // Who goes on from there would never see what the first one has drawn.
  EXPECT_EQ(one->frontier(), 0u);
  EXPECT_EQ(journal->connect_watch()->look().frontier, 0u);
  append(*one, x);
  EXPECT_EQ(one->frontier(), 2u);
  EXPECT_EQ(all(*journal), "a@1#1 b@1#2");
}

TEST_F(commits_in_steps, conflict_with_who_is_visible_first) {
  auto x = make_request("a", 0);
  auto y = make_request("a", 0);
  append(*one, x);
  append(*other, y);
  append(*other, y);
  append(*one, x);
  EXPECT_TRUE(append(*one, x));
  EXPECT_TRUE(append(*other, y));
  EXPECT_EQ(x.steps[0].status, append_status::conflict);
  EXPECT_EQ(y.steps[0].status, append_status::stored);
}

TEST_F(commits_in_steps, end_with_their_session) {
  auto x = make_request("a", 0);
  append(*one, x);
  one = journal->connect();
  EXPECT_EQ(one->frontier(), 1u);
  EXPECT_EQ(all(*journal), "");
  append(*one, x);
  append(*one, x);
  one = journal->connect();
  EXPECT_EQ(all(*journal), "a@1#2");
  // Asking again finds that out.
  while (!append(*one, x)) {
    // Go on.
  }
  EXPECT_EQ(x.steps[0].seq_no, 2u);
  EXPECT_EQ(all(*journal), "a@1#2");
}

// -- faults -------------------------------------------------------------------

class faults : public testing::Test {
protected:
  faulty_store journal{make_memory_store(text_ids())};
  std::unique_ptr<store_session> session = journal.connect();
};

TEST_F(faults, leave_nothing_where_they_fail) {
  journal.inject(store_call::append, fault::fail);
  auto x = make_request("a", 0);
  EXPECT_THROW(append(*session, x), connection_lost);
  EXPECT_FALSE(x.steps[0].maybe_sent);
  EXPECT_EQ(all(journal), "");
  // The session is of no more use, and a new one is as good as ever.
  EXPECT_THROW(append(*session, x), connection_lost);
  EXPECT_TRUE(append(*journal.connect(), x));
  EXPECT_EQ(all(journal), "a@1#1");
}

TEST_F(faults, lose_the_reply_to_what_took_effect) {
  journal.inject(store_call::append, fault::lose_reply);
  auto x = make_request("a", 0);
  try {
    append(*session, x);
    ADD_FAILURE();
  } catch (const connection_lost& e) {
    EXPECT_TRUE(e.sent());
  }
  EXPECT_TRUE(x.steps[0].maybe_sent);
  EXPECT_EQ(x.steps[0].status, append_status::pending);
  EXPECT_EQ(all(journal), "a@1#1");
  EXPECT_TRUE(append(*journal.connect(), x));
  EXPECT_EQ(x.steps[0].seq_no, 1u);
}

TEST_F(faults, take_effect_later) {
  journal.inject(store_call::append, fault::late, 2);
  auto x = make_request("a", 0);
  auto y = make_request("b", 0);
  EXPECT_THROW(append(*session, x), connection_lost);
  EXPECT_THROW(append(*journal.connect(), y), connection_lost);
  EXPECT_EQ(journal.late(), 2u);
  EXPECT_EQ(all(journal), "");
  journal.advance_late(1);
  EXPECT_EQ(all(journal), "b@1#1");
  journal.drop_late();
  EXPECT_EQ(journal.late(), 0u);
  EXPECT_EQ(all(journal), "b@1#1");
}

TEST_F(faults, late_ones_and_their_repeats_are_one) {
  journal.inject(store_call::append, fault::late);
  auto x = make_request("a", 0);
  EXPECT_THROW(append(*session, x), connection_lost);
  EXPECT_TRUE(append(*journal.connect(), x));
  journal.advance_late();
  EXPECT_EQ(all(journal), "a@1#1");
}

TEST_F(faults, delay) {
  journal.inject(store_call::append, fault::delay);
  auto x = make_request("a", 0);
  EXPECT_FALSE(append(*session, x));
  EXPECT_FALSE(x.steps[0].message.empty());
  EXPECT_TRUE(append(*session, x));
}

TEST_F(faults, let_another_writer_be_first) {
  journal.inject(store_call::append, fault::conflict);
  auto x = make_request("a", 0);
  EXPECT_TRUE(append(*session, x));
  EXPECT_EQ(x.steps[0].status, append_status::conflict);
  EXPECT_EQ(all(journal), "a@1#1");
}

TEST_F(faults, refuse) {
  journal.inject(store_call::append, fault::refuse);
  journal.inject(store_call::load, fault::refuse);
  auto x = make_request("a", 0);
  EXPECT_TRUE(append(*session, x));
  EXPECT_EQ(x.steps[0].failure, errc::refused);
  EXPECT_THROW(session->load({}, 1), sql_error);
  EXPECT_NO_THROW(session->load({}, 1));
}

TEST_F(faults, refuse_nothing_that_may_be_stored) {
  journal.inject(store_call::append, fault::lose_reply);
  journal.inject(store_call::append, fault::refuse);
  auto x = make_request("a", 0);
  EXPECT_THROW(append(*session, x), connection_lost);
  session = journal.connect();
  EXPECT_FALSE(append(*session, x));
  EXPECT_TRUE(append(*session, x));
  EXPECT_EQ(x.steps[0].status, append_status::stored);
}

TEST_F(faults, are_injected_in_turn_and_counted) {
  journal.inject(store_call::frontier, fault::none, 2);
  journal.inject(store_call::frontier, fault::fail);
  session->frontier();
  session->frontier();
  EXPECT_THROW(session->frontier(), connection_lost);
  EXPECT_EQ(journal.count(store_call::frontier), 3u);
  EXPECT_EQ(journal.faults(store_call::frontier), 1u);
}

TEST_F(faults, follow_a_policy) {
  journal.decide_by([this](store_call call) {
    if (call != store_call::connect)
      return fault::none;
    // For one more attempt.
    journal.inject(store_call::connect, fault::fail);
    return fault::fail;
  });
  EXPECT_THROW(journal.connect(), connection_lost);
  EXPECT_THROW(journal.connect(), connection_lost);
  journal.decide_by({});
  EXPECT_NO_THROW(journal.connect());
}

} // namespace
