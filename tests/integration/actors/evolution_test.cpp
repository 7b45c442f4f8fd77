// How a program gets on with a journal that another release of it has written.

#include "support/projected_bank.hpp"
#include "support/purses.hpp"

using namespace evented;
using namespace evented::test;

namespace {

class evolution_on_postgres : public projected_bank {
protected:
  /// What the old release leaves behind: 7 events, of which the last one has the
  /// number `last_`; 15 euros, less 2 paid.
  void run_old_release() {
    auto old = spawn_entities<before::purse>(bank_.sys(), journal_);
    for (auto& x :
         {bank_.ask(old, id_, deposit{4}),
          bank_.ask(old, id_, deposit_all{{5, 6}}),
          bank_.ask(old, id_, write_note{"cold today"}),
          bank_.ask(old, id_, withdraw{2}), bank_.ask(old, id_, deposit_all{}),
          bank_.ask(old, id_, write_note{"warm today"})})
      ASSERT_TRUE(x.ok) << x.text();
    last_ = bank_.ask(old, id_, write_note{"windy"}).where.seq_no;
  }

  /// Returns the text with which `spawn` fails.
  template <class F>
  static std::string refusal_of(F spawn) {
    try {
      spawn();
      return "nothing was thrown";
    } catch (const error& e) {
      EXPECT_EQ(e.code(), errc::incompatible);
      return e.what();
    }
  }

  /// Returns which of `parts` are missing in `text`.
  static std::string missing(const std::string& text,
                             const std::vector<std::string>& parts) {
    std::string result;
    for (auto& x : parts)
      if (text.find(x) == std::string::npos)
        result += x + " is missing in: " + text + "\n";
    return result;
  }

  std::uint64_t last_ = 0;
};

/// Renders what a projection sees: `1.0+400`, version, part and amount.
std::string render(const recorded<now::purse>& e) {
  auto where = std::to_string(e.version) + "." + std::to_string(e.part);
  if (auto* x = e.as<now::deposited>())
    return where + "+" + std::to_string(x->cents) + " ";
  return where + "-" + std::to_string(e.as<now::paid>()->cents) + " ";
}

constexpr const char* seen_by_new_release = "1.0+400 2.0+500 2.1+600 4.0-200 ";

} // namespace

// -- entities -----------------------------------------------------------------

TEST_F(evolution_on_postgres, reads_what_an_old_release_has_written) {
  run_old_release();
  auto region = spawn_entities<now::purse>(bank_.sys(), journal_);
  EXPECT_EQ(bank_.balance(region, id_), 1300u);
  // A stored event is one version, whatever it has become.
  auto answer = bank_.ask(region, id_, deposit{5});
  ASSERT_TRUE(answer.ok) << answer.text();
  EXPECT_EQ(answer.where.version, 8u);
  // From both kinds of events.
  auto again = spawn_entities<now::purse>(bank_.sys(), journal_);
  EXPECT_EQ(bank_.balance(again, id_), 1305u);
}

TEST_F(evolution_on_postgres, catches_up_with_an_old_release_that_goes_on) {
  auto old = spawn_entities<before::purse>(bank_.sys(), journal_);
  auto region = spawn_entities<now::purse>(bank_.sys(), journal_);
  EXPECT_EQ(bank_.ask(region, id_, deposit_all{}).where.version, 0u);
  bank_.ask(old, id_, deposit_all{{5, 6}});
  EXPECT_EQ(bank_.ask(region, id_, deposit{1}).where.version, 2u);
  EXPECT_EQ(bank_.balance(region, id_), 1101u);
}

TEST_F(evolution_on_postgres, tells_at_the_start_all_that_it_cannot_read) {
  run_old_release();
  auto text = refusal_of(
    [&] { spawn_entities<now::forgetful_purse>(bank_.sys(), journal_); });
  EXPECT_EQ(missing(text, {R"(purse: "bundled" in schema version 1)",
                           R"("deposited" in schema version 1)",
                           R"("noted" in schema version 1)",
                           R"("paid" in schema version 1)", "past_events"}),
            "");
}

TEST_F(evolution_on_postgres, tells_a_downgrade_in_words) {
  auto region = spawn_entities<now::purse>(bank_.sys(), journal_);
  bank_.ask(region, id_, deposit{5});
  auto text
    = refusal_of([&] { spawn_entities<before::purse>(bank_.sys(), journal_); });
  EXPECT_EQ(missing(text, {R"("deposited" in schema version 3)",
                           "newer than version 1", "this one is a downgrade"}),
            "");
}

TEST_F(evolution_on_postgres, does_not_mind_shapes_of_which_nothing_is_stored) {
  run_old_release();
  sql("do $$ begin perform set_config('evented.allow_change', 'on', false); "
      "delete from SCHEMA.event; end $$");
  auto region = spawn_entities<now::forgetful_purse>(bank_.sys(), journal_);
  EXPECT_EQ(bank_.balance(region, id_), 0u);
}

TEST_F(evolution_on_postgres, skips_unknown_events_where_it_is_told_to) {
  run_old_release();
  entity_options<now::forgetful_purse> lenient;
  lenient.unknown_events = unknown_events::skip;
  auto region
    = spawn_entities<now::forgetful_purse>(bank_.sys(), journal_, lenient);
  EXPECT_EQ(bank_.balance(region, id_), 0u);
  EXPECT_EQ(bank_.ask(region, id_, deposit{5}).where.version, 8u);
  EXPECT_EQ(bank_.balance(region, id_), 5u);
  EXPECT_EQ(log_->count(R"(the region of purse skips events)"), 4u);
  EXPECT_EQ(log_->count(R"("noted" in schema version 1)"), 1u);
}

TEST_F(evolution_on_postgres, still_stops_at_what_was_not_there_at_the_start) {
  auto region = spawn_entities<now::forgetful_purse>(bank_.sys(), journal_);
  run_old_release();
  auto answer = bank_.ask(region, id_, deposit{1});
  EXPECT_EQ(answer.code(), errc::corrupt_event);
  EXPECT_EQ(missing(answer.text(), {"purse " + to_string(id_), "version 1",
                                    R"("deposited" in schema version 1)"}),
            "");
}

TEST(evolution_in_memory, reads_what_an_old_release_has_written) {
  bank own;
  journal where{own.sys(), make_memory_store()};
  auto id = uuid::v4();
  auto old = spawn_entities<before::purse>(own.sys(), where);
  own.ask(old, id, deposit_all{{1, 2}});
  auto region = spawn_entities<now::purse>(own.sys(), where);
  EXPECT_EQ(own.balance(region, id), 300u);
  EXPECT_THROW(spawn_entities<now::forgetful_purse>(own.sys(), where), error);
}

// -- projections --------------------------------------------------------------

TEST_F(evolution_on_postgres, shows_a_projection_the_events_of_today) {
  run_old_release();
  auto seen = std::make_shared<std::string>();
  auto view = spawn_projection<now::purse>(
    bank_.sys(), journal_, "view",
    [seen](const recorded<now::purse>& e, transaction&) {
      *seen += render(e);
    });
  EXPECT_EQ(wait_for(view, last_), "handled");
  EXPECT_EQ(*seen, seen_by_new_release);
  EXPECT_EQ(state_of(view).seq_no, last_);
}

TEST_F(evolution_on_postgres, shows_a_batch_the_events_of_today) {
  run_old_release();
  auto seen = std::make_shared<std::string>();
  // One event at a time, so that some batches have nothing left to handle.
  auto view = spawn_projection<now::purse>(
    bank_.sys(), journal_, "view",
    [seen](const batch<now::purse>& all, transaction&) {
      EXPECT_FALSE(all.empty());
      for (auto& e : all)
        *seen += render(e);
    },
    {.max_batch = 1});
  EXPECT_EQ(wait_for(view, last_), "handled");
  EXPECT_EQ(*seen, seen_by_new_release);
}

TEST_F(evolution_on_postgres, begins_again_with_all_of_one_event) {
  run_old_release();
  auto seen = std::make_shared<std::string>();
  auto attempts = std::make_shared<int>(0);
  auto view = spawn_projection<now::purse>(
    bank_.sys(), journal_, "view",
    [=](const recorded<now::purse>& e, transaction&) {
      *seen += render(e);
      if (e.part == 1 && ++*attempts == 1)
        throw std::runtime_error("not now");
    },
    {.on_error = eager()});
  EXPECT_EQ(wait_for(view, last_), "handled");
  // What was handled before it in that transaction was rolled back.
  EXPECT_EQ(*seen, std::string{"1.0+400 2.0+500 2.1+600 1.0+400 "}
                     + (seen_by_new_release + 8))
    << *seen;
}

TEST_F(evolution_on_postgres, checks_what_a_projection_reads) {
  run_old_release();
  auto spawn = [&](projection_options options) {
    return spawn_projection<now::forgetful_purse>(
      bank_.sys(), journal_, "view",
      [](const recorded<now::forgetful_purse>&, transaction&) {}, options);
  };
  EXPECT_EQ(missing(refusal_of([&] { spawn({}); }),
                    {R"("bundled")", R"("deposited")", R"("noted")"}),
            "");
  // Only what it wants to see.
  auto text = refusal_of([&] { spawn({.names = {"deposited"}}); });
  EXPECT_EQ(missing(text, {R"("deposited")"}), "");
  EXPECT_EQ(text.find("noted"), std::string::npos) << text;
  auto lenient = spawn({.unknown_events = unknown_events::skip});
  EXPECT_EQ(wait_for(lenient, last_), "handled");
  EXPECT_EQ(log_->count("the projection view skips events of purse that are "
                        "\"noted\""),
            1u);
}

// -- subscriptions ------------------------------------------------------------

TEST_F(evolution_on_postgres, decodes_what_a_subscription_brings) {
  run_old_release();
  auto session = journal_.store()->connect();
  unknown_event_policy lenient{unknown_events::skip, "a consumer"};
  std::string seen;
  for (auto& x : session->read({.types = {"purse"}}, 0, last_, 100).entries) {
    auto& from = x.event;
    published_event message;
    message.type_name = x.type_name;
    message.id = to_string(x.id);
    message.version = from.version;
    message.seq_no = from.seq_no;
    message.name = from.name;
    message.schema_version = from.schema_version;
    message.payload = from.payload;
    for (auto& e : decode<now::purse>(message))
      seen += render(e);
    if (from.name == "noted") {
      EXPECT_THROW(decode<now::forgetful_purse>(message), error);
      EXPECT_TRUE(decode<now::forgetful_purse>(message, lenient).empty());
    }
  }
  EXPECT_EQ(seen, seen_by_new_release);
  EXPECT_EQ(log_->count("a consumer skips events"), 1u);
}
