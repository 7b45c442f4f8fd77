// The server process behind a connection stands still, as on a host that hangs:
// nothing breaks, and nothing comes.

#include "chaos/proxied.hpp"

#include <gtest/gtest.h>

using namespace std::literals;

using namespace evented::test;

using evented::errc;

namespace {

class stopped_backend : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(, stopped_backend, testing::Bool(), [](auto& x) {
  return x.param ? "with_listener" : "plain";
});

} // namespace

TEST_P(stopped_backend, delays_no_answer_beyond_the_deadline) {
  proxied at{1s};
  application app{at.where(), GetParam() ? at.how_with_listener() : at.how()};
  auto id = evented::uuid::v4();
  ledger book;
  book.add(app.ask(id, deposit{"warm", 1}));
  auto backends = at.appending_backends();
  ASSERT_EQ(backends.size(), 1u);
  stoppable backend{backends[0]};
  backend.stop();
  auto begin = std::chrono::steady_clock::now();
  auto got = app.ask(id, deposit{"one", 1});
  book.add(got);
  EXPECT_EQ(got.code, errc::outcome_unknown) << to_string(got);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s + 3500ms);
  // Does not need the backend any more: it goes on over another connection.
  auto n = 0;
  EXPECT_TRUE(wait_until([&] {
    auto again = app.ask(id, deposit{"again." + std::to_string(++n), 1});
    book.add(again);
    return again.ok.has_value();
  }));
  backend.resume();
  EXPECT_TRUE(wait_until([&] { return is_gone(backend.pid()); }));
  got = app.ask(id, deposit{"later", 1});
  EXPECT_TRUE(got.ok) << to_string(got);
  book.add(got);
  EXPECT_EQ(at.journal().compare(book.answers()), "");
  EXPECT_EQ(to_string(app.see(id).state), to_string(at.journal().replay(id)));
}

TEST_P(stopped_backend, is_found_out_in_time_by_a_patient_command) {
  proxied at{20s};
  application app{at.where(), GetParam() ? at.how_with_listener() : at.how()};
  auto id = evented::uuid::v4();
  ledger book;
  book.add(app.ask(id, deposit{"warm", 1}));
  auto backends = at.appending_backends();
  ASSERT_EQ(backends.size(), 1u);
  stoppable backend{backends[0]};
  backend.stop();
  auto got = app.ask(id, deposit{"one", 1});
  book.add(got);
  EXPECT_TRUE(got.ok) << to_string(got);
  backend.resume();
  EXPECT_TRUE(wait_until([&] { return is_gone(backend.pid()); }));
  EXPECT_EQ(at.journal().compare(book.answers()), "");
  EXPECT_EQ(to_string(app.see(id).state), to_string(at.journal().replay(id)));
}
