// What the processes of the chaos tests do.

#include "chaos/application.hpp"
#include "chaos/worker.hpp"

#include <csignal>
#include <cstdio>
#include <sys/prctl.h>

namespace evented::test {

namespace {

journal_options journal_at(const std::string& url, const std::string& schema) {
  journal_options result;
  result.url = url;
  result.schema = schema;
  return result;
}

std::string describe(const application::seen& x) {
  return x.error.empty() ? to_string(x.state) : "error: " + x.error;
}

/// hammer URL SCHEMA ID PREFIX SENDERS MS: says "ready", waits for "go", lets
/// the senders work, tells their answers, then on "look" the account's state.
int hammer(const std::vector<std::string>& args) {
  auto id = uuid::parse(args.at(3)).value();
  application app{journal_at(args.at(1), args.at(2))};
  parent up;
  up.tell("ready");
  if (up.hear().empty())
    return 1;
  ledger book;
  load work{app, {id}, std::stoi(args.at(5)), args.at(4), book};
  pass_time(std::chrono::milliseconds{std::stoi(args.at(6))});
  if (!work.stop()) {
    std::fputs("worker: senders wait for answers in vain\n", stderr);
    return 1;
  }
  up.tell_answers(book);
  while (!up.hear().empty())
    up.tell(describe(app.see(id)));
  return 0;
}

/// teller URL SCHEMA ID: carries out "deposit TOKEN AMOUNT", "withdraw TOKEN
/// AMOUNT" and "look", and tells the answers.
int teller(const std::vector<std::string>& args) {
  auto id = uuid::parse(args.at(3)).value();
  application app{journal_at(args.at(1), args.at(2))};
  parent up;
  up.tell("ready");
  for (;;) {
    auto words = up.hear();
    if (words.empty())
      return 0;
    if (words[0] == "look")
      up.tell(describe(app.see(id)));
    else if (words[0] == "deposit")
      up.tell(
        to_line(app.ask(id, deposit{words.at(1), std::stoll(words.at(2))})));
    else
      up.tell(
        to_line(app.ask(id, withdraw{words.at(1), std::stoll(words.at(2))})));
  }
}

/// Makes the payments from the one that the parent names to the last, each with
/// its number as its ID, and tells each answer.
int payer(const std::vector<std::string>& args) {
  auto id = uuid::parse(args.at(3)).value();
  auto end = std::stoi(args.at(4));
  application app{journal_at(args.at(1), args.at(2))};
  parent up;
  up.tell("ready");
  for (auto n = std::stoi(up.hear().at(0)); n < end; ++n) {
    auto token = std::to_string(n);
    up.tell(to_line(app.ask(id, deposit{token, 1}, command_id{token})));
  }
  up.tell("end");
  up.hear();
  return 0;
}

/// Sends `count` deposits at once, spread over the accounts, and lives until
/// all are answered.
class burst : public caf::event_based_actor {
public:
  burst(caf::actor_config& cfg, caf::actor accounts, std::vector<uuid> ids,
        std::size_t count, ledger& book, std::atomic<bool>& sent)
    : caf::event_based_actor(cfg),
      accounts_(std::move(accounts)),
      ids_(std::move(ids)),
      open_(count),
      book_(book),
      sent_(sent) {
    // nop
  }

  caf::behavior make_behavior() override {
    for (std::size_t i = 0; i < open_; ++i) {
      auto token = "burst." + std::to_string(i);
      auto id = ids_[i % ids_.size()];
      request(accounts_, patience, id, deposit{token, 1})
        .then(
          [this, token, id](const accepted& a) {
            take({token, id, errc::none, a, {}});
          },
          [this, token, id](const caf::error& err) {
            take(refused(token, id, err, evented::render(system(), err)));
          });
    }
    accounts_ = nullptr;
    sent_ = true;
    return {[](int) {}};
  }

private:
  void take(answer x) {
    book_.add(std::move(x));
    if (--open_ == 0)
      quit();
  }

  caf::actor accounts_;
  std::vector<uuid> ids_;
  std::size_t open_;
  ledger& book_;
  std::atomic<bool>& sent_;
};

/// shutdown URL SCHEMA HOW COUNT AFTER: says "warm" when half of the accounts
/// are in memory, waits for "go", sends COUNT commands, and once AFTER of them
/// are answered, ends what HOW says: the "region" by dropping its handle,
/// the same by an "exit" message, or the whole "system".
int shut_down(const std::vector<std::string>& args) {
  auto& how = args.at(3);
  auto count = std::stoul(args.at(4));
  auto after = std::stoul(args.at(5));
  std::vector<uuid> ids;
  for (int i = 0; i < 50; ++i)
    ids.push_back(uuid::v4());
  ledger book;
  std::atomic<bool> sent{false};
  parent up;
  {
    application app{journal_at(args.at(1), args.at(2))};
    // Half of the entities are alive before, the others have to be loaded.
    for (std::size_t i = 0; i < ids.size() / 2; ++i)
      book.add(app.ask(ids[i], deposit{"warm." + std::to_string(i), 1}));
    up.tell("warm");
    if (up.hear().empty())
      return 1;
    auto before = book.size();
    app.system().spawn<burst>(app.accounts(), ids, count, std::ref(book),
                              std::ref(sent));
    auto begun = wait_until(
      [&] { return sent && book.size() >= before + after; }, patience);
    if (!begun) {
      std::fputs("worker: no answers before the shutdown\n", stderr);
      return 1;
    }
    if (how == "exit")
      caf::anon_send_exit(app.accounts(), caf::exit_reason::user_shutdown);
    if (how != "system") {
      app.drop_accounts();
      if (!wait_until([&] { return book.size() == before + count; }, patience))
        std::fputs("worker: commands without an answer\n", stderr);
    }
  }
  up.tell_answers(book);
  return 0;
}

} // namespace

int run_worker(const std::vector<std::string>& args) {
  // Never outlives the tests.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    if (args.at(0) == "hammer")
      return hammer(args);
    if (args.at(0) == "teller")
      return teller(args);
    if (args.at(0) == "payer")
      return payer(args);
    if (args.at(0) == "shutdown")
      return shut_down(args);
    if (args.at(0) == "projection")
      return run_projection(args);
    if (args.at(0) == "courier")
      return run_courier(args);
    if (args.at(0) == "soak")
      return run_soak(args);
    if (args.at(0) == "flood")
      return run_flood(args);
    if (args.at(0) == "vaults")
      return run_vaults(args);
    if (args.at(0) == "ringer")
      return run_ringer(args);
    std::fprintf(stderr, "worker: unknown task %s\n", args[0].c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "worker: %s\n", e.what());
  }
  return 1;
}

} // namespace evented::test
