#include "cluster/node_actor.hpp"

#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

node_actor::node_actor(caf::actor_config& cfg, node_settings settings)
  : caf::event_based_actor(cfg),
    settings_(std::move(settings)),
    shards_(settings_.self.shards) {
  picture_.leases.resize(settings_.self.shards);
}

caf::behavior node_actor::make_behavior() {
  worker_ = spawn_sync_worker(system(), settings_.where, settings_.lease);
  return {
    [this](node_joined x) {
      settings_.self.port = x.port;
      joined_ = true;
      seam::delayed_send(this, settings_.interval, tick{});
      sync();
    },
    [this](tick) { on_tick(); },
    [this](sync_done& x) { on_synced(*x.job); },
    [this](sync_wanted) {
      auto now = seam::now(this);
      if (now < next_wanted_)
        return;
      next_wanted_ = now + settings_.interval / 10;
      sync();
    },
    [this](routed x) {
      on_routed(caf::actor_cast<caf::actor>(current_sender()), x.number);
    },
    [this](const vacated& x) { on_vacated(x); },
    [this](node_has& x) {
      if (routing_ != nullptr)
        seam::send(this, x.router, route_order{routing_});
      types_[x.type_name] = {std::move(x.router), std::move(x.region)};
      if (state_ == node_state::joining && settings_.owns_entities)
        state_ = node_state::up;
      sync();
    },
    [this](node_leave) {
      auto promise = make_response_promise();
      if (evicted_ || left_) {
        promise.deliver(control::done{});
        return;
      }
      leaving_.push_back(promise);
      state_ = node_state::leaving;
      sync();
    },
    [this](node_look) { return look(); },
    [this](const link_lost& x) {
      on_lost(x.incarnation, x.number, "the connection is gone");
    },
    [this](const wire::hello& x) { on_hello(x); },
    [this](wire::changed) { sync(); },
    [this](wire::forward& x) {
      auto found = types_.find(x.type_name);
      if (found == types_.end())
        make_response_promise().deliver(wire::not_here{});
      else
        seam::delegate(this, found->second.router, std::move(x));
    },
  };
}

void node_actor::on_exit() {
  for (auto& [name, type] : types_) {
    caf::anon_send_exit(type.router, caf::exit_reason::user_shutdown);
    // Dropping the handle does not end a region that has answered another node:
    // the middleman then holds it, too.
    caf::anon_send_exit(type.region, caf::exit_reason::user_shutdown);
  }
  caf::anon_send_exit(worker_, caf::exit_reason::user_shutdown);
  settings_.owned->set({});
  for (auto& x : leaving_)
    x.deliver(control::done{});
  leaving_.clear();
  types_.clear();
  peers_.clear();
  worker_ = nullptr;
  routing_ = nullptr;
}

// -- the database -------------------------------------------------------------

void node_actor::sync() {
  if (busy_) {
    again_ = true;
    return;
  }
  if (!joined_ || evicted_ || left_)
    return;
  auto job = std::make_shared<sync_job>();
  job->self = settings_.self;
  job->picture = picture_;
  job->change.state = state_;
  auto& heirs = shares();
  auto& me = settings_.self.incarnation;
  auto reopened = false;
  for (std::uint16_t i = 0; i < shards_.size(); ++i) {
    auto& now = shards_[i].now;
    if (now == phase::empty && heirs[i] == me) {
      now = phase::ours;
      reopened = true;
    } else if (now == phase::empty) {
      job->change.give.emplace(i, heirs[i]);
    } else if (now == phase::not_ours && heirs[i] == me
               && !is_alive(picture_.leases[i].owner)) {
      job->change.take.push_back(i);
    }
  }
  if (reopened)
    publish();
  busy_ = true;
  seam::send(this, worker_, sync_order{std::move(job)});
}

void node_actor::on_synced(sync_job& job) {
  busy_ = false;
  if (job.leave) {
    // Where the database was out of reach, the lease ends by itself.
    left_ = true;
    tell_others();
    for (auto& x : leaving_)
      x.deliver(control::done{});
    leaving_.clear();
    return;
  }
  if (!job.error.empty()) {
    warn(job.error);
    seam::delayed_send(this, backoff(failures_++), sync_wanted{});
    return;
  }
  failures_ = 0;
  if (!job.member) {
    on_evicted();
    return;
  }
  // The end of the lease by this node's clock comes before the one by the
  // database's, however slow one of the two runs.
  settings_.lease->extend(job.began + settings_.self.lease * 9 / 10);
  auto moved = picture_.revision != job.picture.revision;
  auto mine = !job.change.give.empty() || !job.change.take.empty();
  picture_ = std::move(job.picture);
  meet(picture_.members);
  take_stock();
  hand_over();
  publish();
  if (moved && mine)
    tell_others();
  finish_leaving();
  auto& heirs = shares();
  auto more = std::exchange(again_, false);
  for (std::size_t i = 0; i < shards_.size() && !more; ++i)
    more = shards_[i].now == phase::empty
           || (shards_[i].now == phase::not_ours
               && heirs[i] == settings_.self.incarnation
               && !is_alive(picture_.leases[i].owner));
  if (more)
    sync();
}

void node_actor::on_evicted() {
  evicted_ = true;
  SPDLOG_ERROR("evented: node \"{}\" is no member of cluster \"{}\" any more: "
               "another process has joined under this name",
               settings_.self.name, settings_.self.cluster);
  settings_.lease->extend({});
  picture_.leases.assign(settings_.self.shards, {});
  take_stock();
  publish();
  for (auto& x : leaving_)
    x.deliver(control::done{});
  leaving_.clear();
}

void node_actor::take_stock() {
  std::vector<std::uint16_t> lost;
  for (std::uint16_t i = 0; i < shards_.size(); ++i) {
    auto mine = picture_.leases[i].owner == settings_.self.incarnation;
    auto& now = shards_[i].now;
    if (mine && now == phase::not_ours) {
      now = phase::ours;
    } else if (!mine && now != phase::not_ours) {
      if (now != phase::empty)
        lost.push_back(i);
      now = phase::not_ours;
    }
  }
  clear(lost);
}

void node_actor::hand_over() {
  auto& heirs = shares();
  // What `publish` is about to make.
  auto next = routing_ == nullptr ? 1 : routing_->number + 1;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    auto& x = shards_[i];
    if (x.now != phase::ours || heirs[i] == settings_.self.incarnation
        || (heirs[i] == uuid{} && state_ != node_state::leaving))
      continue;
    x.now = types_.empty() ? phase::empty : phase::closing;
    x.closed_by = next;
  }
}

void node_actor::on_routed(const caf::actor& router, std::uint64_t number) {
  auto all = number;
  for (auto& [name, type] : types_) {
    if (type.router == router)
      type.routed = number;
    all = std::min(all, type.routed);
  }
  std::map<std::uint64_t, std::vector<std::uint16_t>> closed;
  for (std::uint16_t i = 0; i < shards_.size(); ++i) {
    auto& x = shards_[i];
    if (x.now != phase::closing || x.closed_by > all)
      continue;
    x.now = phase::emptying;
    x.left = types_.size() * (slice_count / shards_.size());
    closed[x.closed_by].push_back(i);
  }
  for (auto& [by, shards] : closed)
    vacate_all(shards, by);
}

void node_actor::on_vacated(const vacated& x) {
  auto ready = false;
  for (auto slice : x.slices) {
    auto& shard = shards_[shard_of(slice, settings_.self.shards)];
    if (shard.now != phase::emptying || shard.closed_by != x.number
        || --shard.left > 0)
      continue;
    shard.now = phase::empty;
    ready = true;
  }
  if (ready)
    sync();
}

void node_actor::clear(const std::vector<std::uint16_t>& shards) {
  if (!shards.empty())
    vacate_all(shards, 0);
}

void node_actor::vacate_all(const std::vector<std::uint16_t>& shards,
                            std::uint64_t number) {
  vacate made;
  made.number = number;
  auto size = slice_count / shards_.size();
  for (std::size_t shard : shards)
    for (std::size_t i = 0; i < size; ++i)
      made.slices.push_back(static_cast<std::uint16_t>(shard * size + i));
  for (auto& [name, type] : types_)
    seam::send(this, type.region, made);
}

void node_actor::finish_leaving() {
  if (state_ != node_state::leaving || busy_
      || std::any_of(shards_.begin(), shards_.end(),
                     [](auto& x) { return x.now != phase::not_ours; }))
    return;
  auto job = std::make_shared<sync_job>();
  job->self = settings_.self;
  job->leave = true;
  busy_ = true;
  seam::send(this, worker_, sync_order{std::move(job)});
}

const std::vector<uuid>& node_actor::shares() {
  if (shares_.empty() || shared_among_ != picture_.members) {
    shared_among_ = picture_.members;
    shares_.assign(shards_.size(), uuid{});
    auto found = share_out(shared_among_, settings_.self.shards);
    for (std::size_t i = 0; i < found.size(); ++i)
      if (found[i] < shared_among_.size())
        shares_[i] = shared_among_[found[i]].incarnation;
  }
  return shares_;
}

bool node_actor::is_alive(const uuid& incarnation) const {
  auto& all = picture_.members;
  return std::any_of(all.begin(), all.end(),
                     [&](auto& x) { return x.incarnation == incarnation; });
}

void node_actor::warn(const std::string& why) {
  if (failures_ == 0)
    SPDLOG_WARN("evented: node \"{}\" cannot say that it is alive: {}; trying "
                "again until it works",
                settings_.self.name, why);
}

} // namespace evented::detail
