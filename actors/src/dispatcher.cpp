#include "outbox_worker.hpp"
#include "workers.hpp"

#include <evented/actors/outbox.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>

namespace evented::detail {

namespace {

using std::chrono::milliseconds;

/// Whether a command that was answered with `err` is done with: it was decided,
/// now or at an earlier attempt, or no attempt will ever be answered otherwise.
bool is_final(const caf::error& err) {
  switch (code_of(err)) {
  case errc::rejected:
  case errc::used_command_id:
  case errc::unreadable_reply:
  case errc::invalid_id:
  case errc::invalid_event:
  case errc::archived:
    return true;
  default:
    return false;
  }
}

/// Returns how long to wait after so many failed attempts.
milliseconds pause_after(const delivery_policy& policy, std::uint32_t failed) {
  auto result = std::max(policy.first_pause, milliseconds{1});
  for (; failed > 0 && result < policy.longest_pause; --failed)
    result *= 2;
  return std::min(result, policy.longest_pause);
}

/// Delivers the messages of an entity type. Never blocks: its worker talks to
/// the database.
class dispatcher : public caf::event_based_actor {
public:
  dispatcher(caf::actor_config& cfg, std::shared_ptr<store> where,
             std::shared_ptr<metrics> counts,
             std::shared_ptr<const outbox_settings> settings,
             caf::weak_actor_ptr region)
    : caf::event_based_actor(cfg),
      poll_interval_(where->options().poll_interval),
      settings_(std::move(settings)),
      counts_(counts->entities(settings_->type_name)),
      region_(std::move(region)) {
    worker_
      = spawn_outbox_worker(system(), std::move(where), std::move(counts));
  }

  const char* name() const override { return "evented.dispatcher"; }

  caf::behavior make_behavior() override {
    pump();
    return {
      [this](outbox_filled) {
        wanted_ = true;
        pump();
      },
      [this](outbox_worked& x) { on_worked(*x.job); },
      [this](tick) {
        if (seam::now(this) >= next_tick_)
          next_tick_ = clock::time_point::max();
        pump();
      },
      [this](stop) { begin_stopping(); },
    };
  }

  void on_exit() override {
    caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
    worker_ = nullptr;
    counts_->in_flight.add(-static_cast<std::int64_t>(in_flight_.size()));
    in_flight_.clear();
    settings_.reset();
  }

private:
  struct in_flight {
    claimed_message message;
    bool is_command = false;
  };

  /// How often to look for messages that nobody here can deliver, after a first
  /// time that is soon.
  static constexpr milliseconds strangers_interval{60'000};
  /// How long messages that are on their way may hold up the end.
  static constexpr milliseconds stopping_limit{1000};

  // -- the worker -------------------------------------------------------------

  /// Gives the worker something to do, if there is anything and it has nothing.
  void pump() {
    if (busy_ || settings_ == nullptr)
      return;
    auto now = seam::now(this);
    if (!stopping_ && caf::actor_cast<caf::actor>(region_) == nullptr) {
      begin_stopping();
      return;
    }
    if (stopping_ && now >= stop_by_)
      give_back();
    if (stopping_ && in_flight_.empty() && settled_.empty()) {
      quit();
      return;
    }
    if (now < not_before_) {
      tick_at(not_before_);
      return;
    }
    auto most = std::max<std::size_t>(settings_->policy.max_in_flight, 1);
    auto room
      = stopping_ || in_flight_.size() >= most ? 0 : most - in_flight_.size();
    auto look = room > 0 && (wanted_ || now >= next_look_);
    if (!look && settled_.empty()) {
      tick_at(stopping_ ? stop_by_ : next_look_);
      return;
    }
    auto job = std::make_shared<outbox_job>();
    job->settled = std::move(settled_);
    settled_.clear();
    // What is delivered makes room for the next of the same entity.
    job->claim
      = {settings_->type_name, targets(), settings_->policy.timeout * 2, room};
    job->look_for_strangers = !stopping_ && now >= next_strangers_;
    wanted_ = false;
    busy_ = true;
    seam::send(this, worker_, outbox_work{std::move(job)});
  }

  void on_worked(outbox_job& job) {
    busy_ = false;
    auto now = seam::now(this);
    if (job.failed) {
      if (stopping_) {
        // Whoever comes next delivers these again.
        quit();
        return;
      }
      settled_.insert(settled_.begin(), job.settled.begin(), job.settled.end());
      not_before_ = now + backoff(failures_++);
      wanted_ = true;
      pump();
      return;
    }
    failures_ = 0;
    for (auto& x : job.settled)
      if (x.again)
        retries_.insert(now + *x.again + milliseconds{1});
    retries_.erase(retries_.begin(), retries_.upper_bound(now));
    if (job.claim.limit > 0) {
      next_look_ = now + poll_interval_;
      if (job.claimed.next)
        next_look_ = std::min(next_look_, now + *job.claimed.next);
      wanted_ = wanted_ || job.claimed.messages.size() == job.claim.limit;
    }
    if (!retries_.empty())
      next_look_ = std::min(next_look_, *retries_.begin());
    if (job.look_for_strangers) {
      next_strangers_ = now + strangers_pause_;
      strangers_pause_ = std::min(strangers_pause_ * 2, strangers_interval);
      warn_of_strangers(job.waiting);
    }
    for (auto& x : job.claimed.messages)
      deliver(std::move(x));
    pump();
  }

  /// Looks after things then, or earlier.
  void tick_at(clock::time_point when) {
    if (when >= next_tick_)
      return;
    next_tick_ = when;
    auto delay = std::chrono::ceil<milliseconds>(when - seam::now(this));
    seam::delayed_send(this, std::max(delay, milliseconds{0}), tick{});
  }

  // -- messages ---------------------------------------------------------------

  /// Returns the names of all receivers that are known now.
  [[nodiscard]] std::vector<std::string> targets() const {
    // The region is the receiver of what an entity sends to its own kind, and of
    // its timers, which have no receiver.
    std::set<std::string> result{"", settings_->type_name};
    for (auto& [name, to] : settings_->targets)
      result.insert(name);
    for (auto& name : settings_->regions->types())
      result.insert(name);
    return {result.begin(), result.end()};
  }

  [[nodiscard]] caf::actor find(const std::string& target) const {
    auto found
      = settings_->targets.find(target.empty() ? settings_->type_name : target);
    if (found != settings_->targets.end())
      return found->second;
    if (target.empty() || target == settings_->type_name)
      return caf::actor_cast<caf::actor>(region_);
    return settings_->regions->find(target);
  }

  void deliver(claimed_message x) {
    if (auto known = in_flight_.find(x.id); known != in_flight_.end()) {
      // Its claim has run out, and it is ours again.
      known->second.message.claim = x.claim;
      return;
    }
    auto to = find(x.target);
    auto how = settings_->unpack(system(), x);
    if (stopping_ || to == nullptr) {
      settled_.push_back({x.id, x.claim, milliseconds{0}, false});
      return;
    }
    if (!how.send) {
      counts_->undelivered.add();
      warn(x, "this program cannot read it");
      settled_.push_back(
        {x.id, x.claim, pause_after(settings_->policy, x.attempts)});
      return;
    }
    auto id = x.id;
    in_flight_.emplace(id, in_flight{std::move(x), how.is_command});
    counts_->in_flight.add(1);
    how.send(this, to, settings_->policy.timeout,
             [this, id](caf::error err) { on_answer(id, err); });
  }

  void on_answer(std::uint64_t id, const caf::error& err) {
    auto found = in_flight_.find(id);
    if (found == in_flight_.end())
      return;
    auto& [x, is_command] = found->second;
    if (err == caf::none || (is_command && is_final(err))) {
      if (err != caf::none)
        SPDLOG_WARN("evented: {}: is delivered, but was answered with: {}",
                    describe(x), render(system(), err));
      settled_.push_back({x.id, x.claim});
      counts_->delivered.add();
      failing_.erase(x.target);
    } else {
      counts_->undelivered.add();
      warn(x, render(system(), err));
      settled_.push_back(
        {x.id, x.claim, pause_after(settings_->policy, x.attempts)});
    }
    in_flight_.erase(found);
    counts_->in_flight.add(-1);
    pump();
  }

  // -- the end ----------------------------------------------------------------

  void begin_stopping() {
    if (stopping_)
      return;
    stopping_ = true;
    stop_by_ = seam::now(this) + stopping_limit;
    pump();
  }

  /// Leaves what is not acknowledged to the next process.
  void give_back() {
    for (auto& [id, x] : in_flight_)
      settled_.push_back({id, x.message.claim, milliseconds{0}, false});
    counts_->in_flight.add(-static_cast<std::int64_t>(in_flight_.size()));
    in_flight_.clear();
  }

  // -- logging ----------------------------------------------------------------

  [[nodiscard]] std::string describe(const claimed_message& x) const {
    return "message " + std::to_string(x.id) + " of " + settings_->type_name
           + " " + to_string(x.entity) + " to \"" + x.target + "\"";
  }

  /// One warning per receiver, until something reaches it.
  void warn(const claimed_message& x, const std::string& why) {
    if (failing_.insert(x.target).second)
      SPDLOG_WARN("evented: {}: attempt {} has failed: {}; trying again until "
                  "it works",
                  describe(x), x.attempts + 1, why);
  }

  void warn_of_strangers(const std::vector<std::string>& waiting) {
    auto known = targets();
    for (auto& x : waiting)
      if (!std::binary_search(known.begin(), known.end(), x)
          && strangers_.insert(x).second)
        SPDLOG_WARN("evented: {}: messages wait for \"{}\", which is no target "
                    "of this region; they go out where it is one",
                    settings_->type_name, x);
  }

  milliseconds poll_interval_;
  /// Null once this is over.
  std::shared_ptr<const outbox_settings> settings_;
  std::shared_ptr<entity_metrics> counts_;
  caf::weak_actor_ptr region_;
  caf::actor worker_;
  std::map<std::uint64_t, in_flight> in_flight_;
  std::vector<settled_message> settled_;
  /// When messages that were given back may be claimed again.
  std::multiset<clock::time_point> retries_;
  /// Receivers that the last message has not reached.
  std::set<std::string> failing_;
  std::set<std::string> strangers_;
  /// Whether the worker has something to do.
  bool busy_ = false;
  /// Whether there is reason to look at once.
  bool wanted_ = true;
  bool stopping_ = false;
  unsigned failures_ = 0;
  clock::time_point next_look_ = {};
  clock::time_point next_strangers_ = {};
  milliseconds strangers_pause_{500};
  clock::time_point not_before_ = {};
  clock::time_point next_tick_ = clock::time_point::max();
  clock::time_point stop_by_ = {};
};

} // namespace

caf::actor spawn_dispatcher(caf::actor_system& sys,
                            std::shared_ptr<store> where,
                            std::shared_ptr<metrics> counts,
                            std::shared_ptr<const outbox_settings> settings,
                            caf::weak_actor_ptr region) {
  return sys.spawn<dispatcher>(std::move(where), std::move(counts),
                               std::move(settings), std::move(region));
}

} // namespace evented::detail
