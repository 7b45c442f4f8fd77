// How a node meets the others, and what it tells its routers.

#include "cluster/links.hpp"
#include "cluster/node_actor.hpp"
#include "workers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented::detail {

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
  std::vector<bool> owned;
  for (auto& x : made->shards)
    owned.push_back(x.where == routing::place::here);
  settings_.owned->set(std::move(owned));
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
