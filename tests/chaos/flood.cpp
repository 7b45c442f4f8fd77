// A process that is sent more commands than its database can take.

#include "chaos/application.hpp"
#include "chaos/vital_signs.hpp"
#include "chaos/worker.hpp"
#include "support/wallet.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace evented::test {

namespace {

using flood_clock = std::chrono::steady_clock;

/// What became of the commands, each of which puts its number into a wallet.
/// Thread-safe.
class flood_book {
public:
  std::atomic<bool> pressing{false};

  void sent(std::uint64_t count) {
    std::lock_guard guard{mutex_};
    sent_ += count;
  }

  void add(std::uint64_t number, errc what, flood_clock::duration time) {
    std::lock_guard guard{mutex_};
    if (what == errc::none) {
      accepted_.push_back(number);
    } else if (what == errc::overloaded) {
      ++overloaded_;
      slowest_ = std::max(slowest_, time);
    } else {
      ++others_;
    }
  }

  std::string summary() const {
    std::lock_guard guard{mutex_};
    auto ms = std::chrono::ceil<std::chrono::milliseconds>(slowest_).count();
    return std::to_string(sent_) + ' ' + std::to_string(accepted_.size()) + ' '
           + std::to_string(overloaded_) + ' ' + std::to_string(others_) + ' '
           + std::to_string(ms);
  }

  std::string accepted() const {
    std::lock_guard guard{mutex_};
    std::string result;
    for (auto x : accepted_)
      result += std::to_string(x) + ' ';
    return result;
  }

private:
  mutable std::mutex mutex_;
  std::uint64_t sent_ = 0;
  std::uint64_t overloaded_ = 0;
  std::uint64_t others_ = 0;
  flood_clock::duration slowest_{0};
  std::vector<std::uint64_t> accepted_;
};

/// Sends commands and waits for no answer.
class flooder : public caf::event_based_actor {
public:
  flooder(caf::actor_config& cfg, caf::actor wallets, flood_book& book)
    : caf::event_based_actor(cfg), wallets_(std::move(wallets)), book_(book) {
    // nop
  }

  caf::behavior make_behavior() override {
    return {
      // So many to as many wallets, in turns; to one each where that is 0.
      [this](std::uint64_t count, std::uint64_t wallets) {
        book_.sent(count);
        for (std::uint64_t i = 0; i < count; ++i) {
          auto number = ++last_;
          send_one(number,
                   wallets == 0 ? first_of_many + number : number % wallets);
        }
        return count;
      },
      // A burst every few milliseconds, half of it to one wallet, until told not to.
      [this](std::uint64_t burst) {
        if (!book_.pressing)
          return;
        book_.sent(burst);
        for (std::uint64_t i = 0; i < burst; ++i) {
          auto number = ++last_;
          send_one(number, i % 2 == 0 ? 0 : first_of_many + number);
        }
        seam::delayed_send(this, std::chrono::milliseconds{10}, burst);
      }};
  }

private:
  static constexpr std::uint64_t first_of_many = 1'000'000;

  void send_one(std::uint64_t number, std::uint64_t wallet) {
    auto take = [this, number, at = flood_clock::now()](errc what) {
      book_.add(number, what, flood_clock::now() - at);
    };
    request(wallets_, caf::infinite, static_cast<std::int64_t>(wallet),
            put{number})
      .then([take](const accepted&) { take(errc::none); },
            [take](const caf::error& err) { take(code_of(err)); });
  }

  caf::actor wallets_;
  flood_book& book_;
  std::uint64_t last_ = 0;
};

} // namespace

/// flood URL SCHEMA MAX_QUEUE MAX_IN_PROGRESS MAX_BATCH: says "ready", then obeys:
/// "send COUNT WALLETS", "press BURST" and "ease" tell nothing; "look" tells SENT
/// ACCEPTED OVERLOADED OTHERS SLOWEST_MS IN_PROGRESS APPENDS_WAITING LOADS_WAITING
/// ENTITIES HEAP, the slowest of the answers `overloaded`; "accepted" tells the numbers
/// of those commands; "end" ends.
int run_flood(const std::vector<std::string>& args) {
  journal_options where;
  where.url = args.at(1);
  where.schema = args.at(2);
  where.ids = id_kind::bigint;
  where.max_batch_commands = std::stoul(args.at(5));
  // What makes the database slow is to be waited for.
  where.lock_timeout = patience;
  where.statement_timeout = patience;
  flood_book book;
  wallet_process here{where};
  entity_options<wallet> how;
  how.command_timeout = patience;
  how.max_queue = std::stoul(args.at(3));
  how.max_in_progress = std::stoul(args.at(4));
  auto wallets = here.spawn(how);
  auto sender = here.sys().spawn<flooder>(wallets, std::ref(book));
  parent up;
  up.tell("ready");
  for (;;) {
    auto words = up.hear();
    if (words.empty() || words[0] == "end")
      break;
    auto number = [&](std::size_t i) { return std::stoull(words.at(i)); };
    if (words[0] == "send") {
      // Does not look at the next words before it has sent all of these.
      here.self()
        ->request(sender, patience, std::uint64_t{number(1)},
                  std::uint64_t{number(2)})
        .receive([](std::uint64_t) {}, [](const caf::error&) {});
    } else if (words[0] == "press") {
      book.pressing = true;
      seam::anon_send(sender, std::uint64_t{number(1)});
    } else if (words[0] == "ease") {
      book.pressing = false;
    } else if (words[0] == "look") {
      // The answers first: what is answered is in progress no more.
      auto answers = book.summary();
      auto x = here.journal().metrics()->snapshot();
      up.tell(answers + ' ' + std::to_string(x.entities["wallet"].in_progress)
              + ' ' + std::to_string(x.appends_waiting) + ' '
              + std::to_string(x.loads_waiting) + ' '
              + std::to_string(here.actors(wallets)) + ' '
              + std::to_string(heap_in_use()));
    } else {
      up.tell(book.accepted());
    }
  }
  caf::anon_send_exit(sender, caf::exit_reason::user_shutdown);
  return 0;
}

} // namespace evented::test
