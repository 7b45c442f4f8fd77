#include "cluster/node_actor.hpp"

#include "cluster/links.hpp"
#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

namespace {

using std::chrono::milliseconds;

} // namespace

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
      if (state_ == node_state::joining)
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

// -- other nodes --------------------------------------------------------------

void node_actor::on_tick() {
  seam::delayed_send(this, settings_.interval, tick{});
  for (auto& [incarnation, x] : peers_) {
    if (x.link != nullptr && !x.greeted) {
      x.greeted = true;
      greet(incarnation, x.link, x.number);
    }
  }
  // Others may see more than the last picture.
  meet(picture_.members);
  sync();
}

void node_actor::meet(const std::vector<cluster_member>& members) {
  for (auto& [incarnation, x] : peers_)
    x.alive = false;
  for (auto& member : members) {
    if (member.incarnation == settings_.self.incarnation)
      continue;
    auto& x = peers_[member.incarnation];
    x.member = member;
    x.alive = true;
    if (x.link == nullptr && connects_to(member))
      connect(x);
  }
  std::erase_if(peers_, [](auto& x) {
    return !x.second.alive && x.second.link == nullptr && !x.second.connecting;
  });
}

bool node_actor::connects_to(const cluster_member& x) const {
  return settings_.self.name < x.name;
}

void node_actor::connect(peer& x) {
  if (x.connecting || seam::now(this) < x.not_before)
    return;
  x.connecting = true;
  auto incarnation = x.member.incarnation;
  links::connect(
    this, x.member.address, x.member.port, settings_.interval * 3,
    [this, incarnation](caf::actor found) { greet(incarnation, found, 0); },
    [this, incarnation](const caf::error& err) {
      on_lost(incarnation, 0, evented::render(system(), err));
    });
}

void node_actor::tell_others() {
  for (auto& [incarnation, x] : peers_)
    if (x.link != nullptr)
      seam::send(this, x.link, wire::changed{});
}

wire::hello node_actor::greeting() const {
  auto& self = settings_.self;
  return {self.cluster, self.protocol, self.name, self.incarnation};
}

void node_actor::greet(const uuid& incarnation, const caf::actor& link,
                       std::uint64_t number) {
  seam::request(
    this, link, settings_.interval * 3,
    [this, incarnation, link, number](const wire::hello& x) {
      auto found = peers_.find(incarnation);
      if (found == peers_.end())
        return;
      auto& to = found->second;
      to.greeted = false;
      if (x.incarnation != incarnation) {
        on_lost(incarnation, number, "another process answers there");
        return;
      }
      if (number == 0)
        adopt(to, link);
    },
    [this, incarnation, number](const caf::error& err) {
      on_lost(incarnation, number, evented::render(system(), err));
    },
    greeting());
}

void node_actor::on_hello(const wire::hello& x) {
  // Before the promise, which takes the sender along.
  auto from = caf::actor_cast<caf::actor>(current_sender());
  auto promise = make_response_promise();
  auto& self = settings_.self;
  if (!joined_ || !wire::valid(x) || from == nullptr
      || x.incarnation == self.incarnation) {
    promise.deliver(
      evented::make_error(errc::incompatible, "not a greeting of a node"));
    return;
  }
  if (x.cluster != self.cluster || x.protocol != self.protocol) {
    promise.deliver(evented::make_error(
      errc::incompatible, "this is node \"" + self.name + "\" of cluster \""
                            + self.cluster + "\", which speaks "
                            + self.protocol));
    return;
  }
  auto& to = peers_[x.incarnation];
  if (to.member.name.empty()) {
    // Not in the picture yet.
    to.member.name = x.name;
    to.member.incarnation = x.incarnation;
    sync();
  }
  adopt(to, std::move(from));
  promise.deliver(greeting());
}

void node_actor::adopt(peer& x, caf::actor link) {
  x.connecting = false;
  x.failures = 0;
  if (x.link == link)
    return;
  x.link = std::move(link);
  x.greeted = false;
  x.number = ++last_link_;
  links::on_loss(x.link, [self = caf::actor_cast<caf::weak_actor_ptr>(this),
                          lost = link_lost{x.member.incarnation, x.number}] {
    if (auto to = caf::actor_cast<caf::actor>(self))
      seam::anon_send(to, lost);
  });
  SPDLOG_INFO("evented: node \"{}\" is linked to node \"{}\"",
              settings_.self.name, x.member.name);
  publish();
}

void node_actor::on_lost(const uuid& incarnation, std::uint64_t number,
                         const std::string& why) {
  auto found = peers_.find(incarnation);
  if (found == peers_.end())
    return;
  auto& x = found->second;
  if (number == 0) {
    // An attempt to connect has failed; the other one may have come in between.
    x.connecting = false;
    if (x.failures == 0)
      SPDLOG_WARN("evented: node \"{}\" cannot reach node \"{}\" at {}:{}: {}; "
                  "trying again until it works",
                  settings_.self.name, x.member.name, x.member.address,
                  x.member.port, why);
  } else {
    if (x.number != number || x.link == nullptr)
      return;
    x.link = nullptr;
    x.greeted = false;
    if (x.alive)
      SPDLOG_WARN("evented: node \"{}\" has lost node \"{}\": {}",
                  settings_.self.name, x.member.name, why);
  }
  x.not_before = seam::now(this) + backoff(x.failures++);
  publish();
}

// -- this node ----------------------------------------------------------------

void node_actor::publish() {
  auto made = std::make_shared<routing>();
  std::map<uuid, std::size_t> places;
  for (auto& [incarnation, x] : peers_) {
    if (x.link == nullptr)
      continue;
    places.emplace(incarnation, made->nodes.size());
    made->nodes.push_back({incarnation, x.member.name, x.link});
  }
  made->shards.resize(shards_.size());
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    auto& to = made->shards[i];
    auto& owner = picture_.leases[i].owner;
    auto place = places.find(owner);
    if (shards_[i].now == phase::ours)
      to.where = routing::place::here;
    else if (evicted_)
      to.obstacle = "this node is no member of its cluster any more";
    else if (owner == settings_.self.incarnation)
      to.obstacle = "it is moving to another node";
    else if (!is_alive(owner))
      to.obstacle = "no node owns it yet";
    else if (place == places.end())
      to.obstacle = "the node that owns it cannot be reached";
    else {
      to.where = routing::place::there;
      to.node = place->second;
    }
  }
  if (routing_ != nullptr && routing_->shards == made->shards
      && routing_->nodes == made->nodes)
    return;
  made->number = routing_ == nullptr ? 1 : routing_->number + 1;
  routing_ = std::move(made);
  for (auto& [name, type] : types_)
    seam::send(this, type.router, route_order{routing_});
}

cluster_state node_actor::look() const {
  cluster_state result;
  auto& self = settings_.self;
  result.cluster = self.cluster;
  result.name = self.name;
  result.incarnation = self.incarnation;
  result.alive = settings_.lease->valid();
  for (auto& x : picture_.members) {
    auto found = peers_.find(x.incarnation);
    auto linked = x.incarnation == self.incarnation
                  || (found != peers_.end() && found->second.link != nullptr);
    result.nodes.push_back({x.name, x.incarnation, x.state, 0, linked});
  }
  for (auto& x : picture_.leases) {
    std::size_t place = 0;
    while (place < result.nodes.size()
           && result.nodes[place].incarnation != x.owner)
      ++place;
    if (place < result.nodes.size())
      ++result.nodes[place].shards;
    result.owners.push_back(place);
  }
  return result;
}

} // namespace evented::detail
