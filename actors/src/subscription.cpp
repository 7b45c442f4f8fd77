#include "sessions.hpp"
#include "workers.hpp"

#include <evented/actors/jobs.hpp>
#include <evented/actors/subscription.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <optional>

namespace evented::detail {

namespace {

/// How often the stored checkpoint follows the frontier where nothing was sent.
constexpr std::chrono::seconds idle_commit{1};

/// Sends events to a consumer, no more than it has room for. With a name, it
/// holds the lease of a projection of that name, and its checkpoint is what the
/// consumer has acknowledged.
class subscription : public caf::event_based_actor {
public:
  /// @param begin where it begins without a name
  subscription(caf::actor_config& cfg, subscription_settings settings,
               const event_position& begin)
    : caf::event_based_actor(cfg),
      settings_(
        std::make_shared<const subscription_settings>(std::move(settings))),
      sessions_(settings_->journal.sessions()),
      filter_(settings_->filter) {
    filter_.since = begin.since;
    lease_.seq_no = begin.after;
  }

  const char* name() const override { return "evented.subscription"; }

  caf::behavior make_behavior() override {
    auto self = caf::actor_cast<caf::weak_actor_ptr>(this);
    caf::actor_cast<caf::abstract_actor*>(settings_->consumer)
      ->attach_functor([self](const caf::error&) {
        if (auto to = caf::actor_cast<caf::actor>(self))
          seam::anon_send(to, range_stop{});
      });
    acquire();
    return {
      [](session_done& x) { x.job->then(x.job->failure); },
      [this](frontier_moved x) {
        if (x.subscription != subscriptions_)
          return;
        // A standby that had missed commits has taken over, or may have: what
        // it knows of this subscription counts.
        auto back = x.frontier < frontier_;
        frontier_ = x.frontier;
        if (back && stored())
          acquire();
        else
          pump();
      },
      [this](const ack& x) { on_ack(x.up_to); },
      [this](range_stop) { quit(); },
      [this](const range_retry& x) {
        if (x.generation == generation_)
          acquire();
      },
      [this](tick) {
        ticking_ = false;
        look_at_time();
        pump();
      },
    };
  }

  void on_exit() override {
    watching_ = {};
    if (stored())
      ask(
        this, sessions_,
        [owner = owner_, alive = alive_](projection_session& session) {
          *alive = {};
          session.forget(owner);
        },
        [](const std::exception_ptr&) {});
    // A timer may keep this object for a while, but must not keep the journal.
    sessions_ = nullptr;
    settings_ = nullptr;
    sent_.clear();
    ahead_.clear();
  }

private:
  [[nodiscard]] bool stored() const { return !settings_->name.empty(); }

  // -- the lease --------------------------------------------------------------

  /// Begins where the consumer stands.
  void acquire() {
    ready_ = false;
    ++generation_;
    struct findings {
      std::optional<range_lease> lease;
      std::optional<timestamp> since;
    };
    auto found = std::make_shared<findings>();
    if (!stored()) {
      begin_at(lease_.seq_no);
      follow();
      return;
    }
    ask(
      this, sessions_,
      [found, settings = settings_, owner = owner_, alive = alive_,
       first = lease_.epoch == 0](projection_session& session) {
        if (first)
          *alive = settings->journal.watch().keep_alive(owner);
        found->since = session.status(settings->name).since;
        found->lease = session.acquire({settings->name, 1, 0}, 1, owner);
      },
      [this, found,
       generation = generation_](const std::exception_ptr& failure) {
        if (generation != generation_)
          return;
        if (failure != nullptr) {
          complain(text_of(failure));
          seam::delayed_send(this, backoff(failures_++),
                             range_retry{generation_, false});
        } else if (!found->lease) {
          // Somebody else has it.
          seam::delayed_send(this, settings_->journal.options().take_over / 10,
                             range_retry{generation_, false});
        } else {
          failures_ = 0;
          lease_ = *found->lease;
          filter_.since = found->since;
          begin_at(lease_.seq_no);
          follow();
        }
      });
  }

  void begin_at(std::uint64_t seq_no) {
    ready_ = true;
    read_up_to_ = seq_no;
    acked_ = seq_no;
    reading_ = false;
    committing_ = false;
    ahead_.clear();
    sent_.clear();
    pump();
  }

  /// Learns the frontier anew, as `range_runner::follow` does.
  void follow() {
    frontier_ = 0;
    auto self = caf::actor_cast<caf::weak_actor_ptr>(this);
    watching_ = settings_->journal.watch().subscribe(
      [self, n = ++subscriptions_](std::uint64_t frontier) {
        if (auto to = caf::actor_cast<caf::actor>(self))
          seam::anon_send(to, frontier_moved{frontier, n});
      });
  }

  // -- reading and sending ----------------------------------------------------

  void pump() {
    if (!ready_)
      return;
    send_ahead();
    auto room = settings_->options.max_in_flight;
    if (!reading_ && ahead_.empty() && read_up_to_ < frontier_)
      read(room);
    commit();
    if (!std::exchange(ticking_, true))
      seam::delayed_send(this, idle_commit, tick{});
  }

  void read(std::size_t limit) {
    reading_ = true;
    auto found = std::make_shared<read_result>();
    ask(
      this, sessions_,
      [found, filter = filter_, after = read_up_to_, up_to = frontier_,
       limit](projection_session& session) {
        *found = session.read(filter, after, up_to, limit);
      },
      [this, found,
       generation = generation_](const std::exception_ptr& failure) {
        if (generation != generation_)
          return;
        if (failure != nullptr) {
          complain(text_of(failure));
          ready_ = false;
          lease_.seq_no = acked_;
          seam::delayed_send(this, backoff(failures_++),
                             range_retry{generation_, false});
          return;
        }
        failures_ = 0;
        reading_ = false;
        read_up_to_ = found->up_to;
        std::move(found->entries.begin(), found->entries.end(),
                  std::back_inserter(ahead_));
        pump();
      });
  }

  void send_ahead() {
    auto room = settings_->options.max_in_flight - sent_.size();
    auto count = std::min(room, ahead_.size());
    if (count == 0)
      return;
    event_batch batch;
    batch.events.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto& x = ahead_.front();
      batch.up_to = x.event.seq_no;
      sent_.push_back(x.event.seq_no);
      batch.events.push_back(publish(std::move(x)));
      ahead_.pop_front();
    }
    last_news_ = clock::now();
    seam::send(this, settings_->consumer, std::move(batch));
  }

  published_event publish(journal_entry x) const {
    auto& from = x.event;
    return {std::move(x.type_name),
            to_string(x.id),
            from.version,
            from.seq_no,
            std::move(from.name),
            from.schema_version,
            from.created_at.time_since_epoch().count(),
            settings_->journal.options().payloads == codec::binary,
            std::move(from.payload),
            std::move(from.metadata),
            std::move(from.tags)};
  }

  // -- acknowledgements -------------------------------------------------------

  void on_ack(std::uint64_t up_to) {
    auto end = std::upper_bound(sent_.begin(), sent_.end(), up_to);
    if (end == sent_.begin())
      return;
    acked_ = *std::prev(end);
    sent_.erase(sent_.begin(), end);
    last_news_ = clock::now();
    pump();
  }

  /// Stores what was acknowledged, or, once a second, what did not concern the
  /// consumer.
  void commit() {
    auto idle = sent_.empty() && ahead_.empty() && !reading_;
    auto to = acked_;
    if (idle && clock::now() - last_commit_ >= idle_commit)
      to = std::max(to, read_up_to_);
    if (!stored()) {
      lease_.seq_no = std::max(lease_.seq_no, idle ? read_up_to_ : acked_);
      return;
    }
    if (committing_ || to <= lease_.seq_no)
      return;
    committing_ = true;
    last_commit_ = clock::now();
    auto lease = std::make_shared<range_lease>(lease_);
    ask(
      this, sessions_,
      [lease, to](projection_session& session) {
        projection_step step;
        step.up_to = to;
        session.commit(*lease, step);
      },
      [this, lease,
       generation = generation_](const std::exception_ptr& failure) {
        if (generation != generation_)
          return;
        committing_ = false;
        if (failure != nullptr) {
          // Taken over, or unknown: what the database says counts.
          complain(text_of(failure));
          acquire();
          return;
        }
        lease_ = *lease;
        pump();
      });
  }

  void look_at_time() {
    if (!ready_ || sent_.empty()
        || clock::now() - last_news_ < settings_->options.ack_timeout)
      return;
    complain("the consumer has not acknowledged event "
             + std::to_string(sent_.front()) + " in time; sending it again");
    ++generation_;
    begin_at(acked_);
  }

  void complain(const std::string& what) {
    auto now = clock::now();
    if (now - last_complaint_ < std::chrono::seconds{10})
      return;
    last_complaint_ = now;
    SPDLOG_WARN("evented: subscription {}: {}",
                stored() ? settings_->name : std::string{"without a name"},
                what);
  }

  std::shared_ptr<const subscription_settings> settings_;
  caf::actor sessions_;
  event_filter filter_;
  uuid owner_ = uuid::v4();
  std::shared_ptr<frontier_watch::registration> alive_
    = std::make_shared<frontier_watch::registration>();
  frontier_watch::registration watching_;

  /// Without a name, only its seq_no counts.
  range_lease lease_;
  bool ready_ = false;
  /// Answers to what was asked before do not count.
  std::uint64_t generation_ = 0;
  std::uint64_t frontier_ = 0;
  std::uint64_t subscriptions_ = 0;
  std::uint64_t read_up_to_ = 0;
  std::uint64_t acked_ = 0;
  bool reading_ = false;
  bool committing_ = false;
  bool ticking_ = false;
  std::deque<journal_entry> ahead_;
  /// What was sent and not acknowledged.
  std::deque<std::uint64_t> sent_;
  unsigned failures_ = 0;
  clock::time_point last_news_ = clock::now();
  clock::time_point last_commit_ = clock::now();
  clock::time_point last_complaint_ = clock::now() - std::chrono::minutes{1};
};

/// The handle of a subscription, see `projection_front`.
class subscription_front : public caf::event_based_actor {
public:
  subscription_front(caf::actor_config& cfg, caf::actor core)
    : caf::event_based_actor(cfg), core_(std::move(core)) {
    // nop
  }

  const char* name() const override { return "evented.subscription_front"; }

  caf::behavior make_behavior() override {
    return {[this](const ack& x) { seam::delegate(this, core_, x); }};
  }

  void on_exit() override {
    if (core_ != nullptr)
      caf::anon_send_exit(core_, caf::exit_reason::user_shutdown);
    core_ = nullptr;
  }

private:
  caf::actor core_;
};

} // namespace

caf::actor spawn_subscription(caf::actor_system& sys,
                              subscription_settings settings) {
  if (settings.options.max_in_flight == 0)
    throw error(errc::invalid_options, "max_in_flight is at least 1");
  auto session = settings.journal.store()->connect_projections();
  if (!settings.name.empty())
    session->declare(settings.name, 1, 1, settings.options.start);
  auto begin = settings.name.empty() ? session->resolve(settings.options.start)
                                     : event_position{};
  auto core = sys.spawn<subscription>(std::move(settings), begin);
  return sys.spawn<subscription_front>(std::move(core));
}

} // namespace evented::detail
