// A process for a soak: wallets and parcels, most of them asleep, with snapshots,
// a projection, a named subscription and the outbox at work at the same time.

#include "chaos/soak.hpp"

#include "chaos/application.hpp"
#include "chaos/vital_signs.hpp"
#include "chaos/worker.hpp"
#include "support/parcels.hpp"

#include <atomic>

namespace evented::test {

namespace {

/// What the senders of a process have seen.
struct soak_answers {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<bool> done{false};
  /// Why the first one was refused; read once `done` is set.
  std::string why;
};

/// Sends the commands of a part, so many at a time.
class soak_sender : public caf::event_based_actor {
public:
  static constexpr std::uint64_t window = 256;

  soak_sender(caf::actor_config& cfg, caf::actor wallets, caf::actor parcels,
              std::uint64_t from, std::uint64_t to, soak_answers& answers)
    : caf::event_based_actor(cfg),
      wallets_(std::move(wallets)),
      parcels_(std::move(parcels)),
      next_(from),
      end_(to),
      answers_(answers) {
    // nop
  }

  caf::behavior make_behavior() override {
    fill();
    return {[](int) {}};
  }

private:
  void fill() {
    while (open_ < window && next_ < end_) {
      soak_command x{next_++};
      if (x.has_id())
        send_one(wallets_, x.wallet(), put{x.amount()},
                 command_id{std::to_string(x.number)});
      else
        send_one(wallets_, x.wallet(), put{x.amount()});
      if (x.is_paid_as_well())
        send_one(parcels_, x.parcel(), pay{0, x.wallet(), x.payment()});
    }
    if (open_ == 0 && next_ == end_) {
      wallets_ = nullptr;
      parcels_ = nullptr;
      answers_.done = true;
      quit();
    }
  }

  template <class... Ts>
  void send_one(const caf::actor& to, Ts... xs) {
    ++open_;
    // A time limit would be a timer for each, and take memory of its own.
    request(to, caf::infinite, std::move(xs)...)
      .then(
        [this](const accepted&) {
          ++answers_.accepted;
          --open_;
          fill();
        },
        [this](const caf::error& err) {
          if (++answers_.refused == 1)
            answers_.why = evented::render(system(), err);
          --open_;
          fill();
        });
  }

  caf::actor wallets_;
  caf::actor parcels_;
  std::uint64_t next_;
  std::uint64_t end_;
  std::uint64_t open_ = 0;
  soak_answers& answers_;
};

/// Counts events, those that come again once.
caf::behavior count_events(caf::event_based_actor*,
                           std::atomic<std::uint64_t>* seen) {
  return {[seen, last = std::uint64_t{0}](const event_batch& batch) mutable {
    for (auto& x : batch.events)
      if (x.seq_no > last) {
        last = x.seq_no;
        ++*seen;
      }
    return ack{batch.up_to};
  }};
}

} // namespace

/// soak URL SCHEMA LIMIT: says "ready", then obeys: "send FROM TO" sends these
/// commands and tells "sent ACCEPTED REFUSED WHY"; "look" tells HEAP AWAKE
/// FALLING_ASLEEP LOADING SEEN; "total ID" what a wallet holds; "end" ends.
int run_soak(const std::vector<std::string>& args) {
  journal_options where;
  where.url = args.at(1);
  where.schema = args.at(2);
  where.ids = id_kind::bigint;
  std::atomic<std::uint64_t> seen{0};
  parcel_process here{where};
  auto limit = std::stoul(args.at(3));
  entity_options<wallet> how;
  how.max_awake = limit;
  how.command_timeout = patience;
  how.snapshots({.every = 2});
  auto wallets = here.spawn<wallet>(how);
  entity_options<parcel> parcel_how;
  parcel_how.max_awake = limit / 10;
  parcel_how.command_timeout = patience;
  // CAF keeps a timer until its time is up, and there is one for each message.
  parcel_how.delivery.timeout = std::chrono::seconds{1};
  auto parcels = here.spawn<parcel>(parcel_how);
  auto view = spawn_projection<wallet>(
    here.sys(), here.journal(), "totals",
    [sql = "insert into " + where.schema
           + ".total as x values ($1, $2) on conflict (id) do update set "
             "amount = x.amount + excluded.amount"](const recorded<wallet>& e,
                                                    transaction& tx) {
      tx.send(sql, e.id, e.as<was_put>()->amount);
    });
  auto feed = spawn_subscription<wallet>(here.sys(), here.journal(), "feed",
                                         here.sys().spawn(count_events, &seen));
  parent up;
  up.tell("ready");
  for (;;) {
    auto words = up.hear();
    if (words.empty() || words[0] == "end")
      return 0;
    if (words[0] == "send") {
      soak_answers answers;
      here.sys().spawn<soak_sender>(wallets, parcels, std::stoull(words.at(1)),
                                    std::stoull(words.at(2)),
                                    std::ref(answers));
      (void)wait_until([&] { return answers.done.load(); },
                       std::chrono::hours{1});
      up.tell("sent " + std::to_string(answers.accepted) + ' '
              + std::to_string(answers.refused) + ' ' + answers.why);
    } else if (words[0] == "look") {
      auto x = here.state(wallets);
      auto y = here.state(parcels);
      up.tell(
        std::to_string(heap_in_use()) + ' ' + std::to_string(x.awake + y.awake)
        + ' ' + std::to_string(x.falling_asleep + y.falling_asleep) + ' '
        + std::to_string(x.loading + y.loading) + ' ' + std::to_string(seen));
    } else {
      up.tell(here.query(wallets, std::stoll(words.at(1))));
    }
  }
}

} // namespace evented::test
