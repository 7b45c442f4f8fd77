// A projection whose database is replaced by a standby that had missed commits.

#include "support/moving_address.hpp"
#include "support/projected_bank.hpp"

using namespace evented;
using namespace evented::test;

namespace {

dev::postgres_options plain_server() {
  return {.directory = {}, .fsync = false, .settings = {}};
}

journal_options journal_at(const moving_address& where) {
  journal_options result;
  result.url = where.url();
  result.take_over = std::chrono::milliseconds{1000};
  return result;
}

} // namespace

TEST(projection_on_a_standby_that_took_over, misses_none_of_its_events) {
  // The standby has missed everything but the tables.
  moving_address address;
  dev::postgres standby{plain_server()};
  auto primary = std::make_unique<dev::postgres>(plain_server());
  bank all;
  auto handler = [](const recorded<account>& e, transaction& tx) {
    tx.exec("insert into handled (seq_no) values ($1)", e.seq_no);
  };
  auto prepare = [&](const dev::postgres& server) {
    address.point_to(server);
    raw_connection db{server.url()};
    db.exec("create table handled (seq_no bigint primary key)");
    journal opened{all.sys(), journal_at(address)};
    auto view
      = spawn_projection<account>(all.sys(), opened, "followed", handler);
    EXPECT_TRUE(wait_until([&] {
      return db.exec("select count(*) from evented.projection_range") == "1";
    }));
  };
  prepare(standby);
  prepare(*primary);
  journal where{all.sys(), journal_at(address)};
  auto accounts = spawn_entities<account>(all.sys(), where);
  auto view = spawn_projection<account>(all.sys(), where, "followed", handler);
  std::uint64_t last = 0;
  for (auto i = 0; i < 30; ++i)
    last = all.ask(accounts, uuid::v4(), deposit{1}).where.seq_no;
  raw_connection before{primary->url()};
  ASSERT_TRUE(wait_until(
    [&] { return before.exec("select count(*) from handled") == "30"; }));
  primary->kill();
  primary.reset();
  address.point_to(standby);
  raw_connection db{standby.url()};
  // One after the other: the numbers are those of events that the projection
  // has handled on the server that is gone.
  for (auto i = 0; i < 10; ++i) {
    outcome answer;
    ASSERT_TRUE(wait_until(
      [&] {
        answer = all.ask(accounts, uuid::v4(), deposit{1});
        return answer.ok;
      },
      std::chrono::seconds{30}))
      << render(answer);
    ASSERT_LT(answer.where.seq_no, last);
    ASSERT_TRUE(wait_until(
      [&] {
        return db.exec("select count(*) from handled where seq_no = "
                       + std::to_string(answer.where.seq_no))
               == "1";
      },
      std::chrono::seconds{15}))
      << "event " << answer.where.seq_no << " is not handled, checkpoint "
      << db.exec("select seq_no from evented.projection_range");
  }
}
