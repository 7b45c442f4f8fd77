// Two processes work on one account.

#include "chaos/application.hpp"
#include "chaos/worker.hpp"

#include <gtest/gtest.h>

#include <future>
#include <iostream>
#include <memory>

using namespace std::literals;

using namespace evented::test;

using evented::errc;

TEST(two_processes, that_hammer_one_entity_store_each_accepted_command_once) {
  auto& server = common_server();
  auto schema = unique_schema();
  auto id = evented::uuid::v4();
  auto time = load_time(2s);
  std::vector<std::unique_ptr<worker>> both;
  for (auto* name : {"a", "b"})
    both.push_back(std::make_unique<worker>(
      std::vector<std::string>{"hammer", server.url(), schema, to_string(id),
                               name, "20", std::to_string(time.count())}));
  for (auto& x : both)
    ASSERT_EQ(x->hear().value_or("nothing"), "ready");
  for (auto& x : both)
    x->tell("go");
  ledger book;
  for (auto& x : both) {
    ledger own;
    ASSERT_TRUE(x->hear_answers(own)) << "got " << own.summary();
    std::cout << "one process: " << own.summary() << '\n';
    EXPECT_GT(own.accepted(), 20u);
    for (auto& y : own.answers())
      book.add(y);
  }
  journal_view journal{server.url(), schema};
  EXPECT_EQ(journal.compare(book.answers()), "");
  EXPECT_EQ(book.unexpected({errc::rejected, errc::conflict}), "");
  for (auto& x : both) {
    x->tell("look");
    EXPECT_EQ(x->hear().value_or("nothing"), to_string(journal.replay(id)));
  }
}

TEST(two_processes, never_contradict_an_answer_that_the_other_has_given) {
  auto& server = common_server();
  evented::journal_options where;
  where.url = server.url();
  where.schema = unique_schema();
  auto id = evented::uuid::v4();
  application here{where};
  worker there{{"teller", server.url(), where.schema, to_string(id)}};
  ASSERT_EQ(there.hear().value_or("nothing"), "ready");
  auto ask_there = [&](const std::string& line) {
    there.tell(line);
    return to_answer(there.hear().value_or("no answer"));
  };
  ledger book;
  // Both entities are in memory from the beginning.
  book.add(here.ask(id, deposit{"warm.here", 0}));
  book.add(ask_there("deposit warm.there 0"));
  for (int i = 0; i < 200; ++i) {
    auto in = "in." + std::to_string(i);
    auto out = "out." + std::to_string(i);
    if (i % 2 == 0) {
      book.add(here.ask(id, deposit{in, 10}));
      book.add(ask_there("withdraw " + out + " 10"));
    } else {
      book.add(ask_there("deposit " + in + " 10"));
      book.add(here.ask(id, withdraw{out, 10}));
    }
  }
  EXPECT_EQ(book.unexpected({}), "");
  journal_view journal{server.url(), where.schema};
  EXPECT_EQ(journal.compare(book.answers()), "");
  auto replayed = to_string(journal.replay(id));
  EXPECT_EQ(to_string(here.see(id).state), replayed);
  there.tell("look");
  EXPECT_EQ(there.hear().value_or("nothing"), replayed);
}

TEST(two_processes, reject_on_what_the_other_has_taken) {
  auto& server = common_server();
  evented::journal_options where;
  where.url = server.url();
  where.schema = unique_schema();
  auto id = evented::uuid::v4();
  application here{where};
  worker there{{"teller", server.url(), where.schema, to_string(id)}};
  ASSERT_EQ(there.hear().value_or("nothing"), "ready");
  ledger book;
  book.add(here.ask(id, deposit{"in", 10}));
  there.tell("withdraw out.there 10");
  book.add(to_answer(there.hear().value_or("no answer")));
  EXPECT_EQ(book.unexpected({}), "");
  // This memory still says 10.
  auto last = here.ask(id, withdraw{"out.here", 10});
  EXPECT_EQ(last.code, errc::rejected) << to_string(last);
  book.add(last);
  journal_view journal{server.url(), where.schema};
  EXPECT_EQ(journal.compare(book.answers()), "");
}

TEST(two_processes, make_the_journal_at_the_same_time) {
  auto& server = common_server();
  for (int round = 0; round < 5; ++round) {
    evented::journal_options where;
    where.url = server.url();
    where.schema = unique_schema();
    std::vector<std::future<std::string>> all;
    for (int i = 0; i < 8; ++i)
      all.push_back(std::async(std::launch::async, [&where]() -> std::string {
        try {
          evented::open_store(where);
          return "opened";
        } catch (const std::exception& e) {
          return e.what();
        }
      }));
    for (auto& x : all)
      EXPECT_EQ(x.get(), "opened");
  }
}
