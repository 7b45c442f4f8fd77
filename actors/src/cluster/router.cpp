#include "cluster/router.hpp"

#include "cluster/contents.hpp"

#include <algorithm>

namespace evented::detail {

namespace {

using std::chrono::milliseconds;

/// How often to look at what waits.
constexpr milliseconds tick_length{50};

/// What an answer may take on its way, besides what the entity takes.
constexpr milliseconds way_back{1000};

} // namespace

router::router(caf::actor_config& cfg, router_settings settings,
               std::shared_ptr<const lease_clock> lease, caf::actor node)
  : caf::event_based_actor(cfg),
    settings_(std::move(settings)),
    lease_(std::move(lease)),
    node_(std::move(node)) {
  auto nowhere = std::make_shared<routing>();
  nowhere->shards.resize(settings_.shards);
  for (auto& x : nowhere->shards)
    x.obstacle = "this node has not joined its cluster yet";
  routing_ = std::move(nowhere);
  seam::on_other(this, [this](caf::message x) { on_message(std::move(x)); });
}

caf::behavior router::make_behavior() {
  return {
    [this](region_ready& x) { region_ = std::move(x.region); },
    [this](route_order& x) {
      auto number = x.now->number;
      on_routing(std::move(x.now));
      seam::send(this, node_, routed{number});
    },
    [this](wire::forward& x) { on_forward(x); },
    [this](control::get_state x) { seam::delegate(this, region_, x); },
    [this](tick) { on_tick(); },
  };
}

void router::on_exit() {
  for (auto& [shard, queue] : queues_)
    for (auto& [number, x] : queue.waiting)
      x.promise.deliver(
        x.doubtful ? evented::make_error(errc::outcome_unknown,
                                         describe(x.shard)
                                           + ": the node is shutting "
                                             "down")
                   : evented::make_error(errc::shutting_down,
                                         settings_.type_name
                                           + ": the node is shutting down"));
  for (auto& [number, x] : in_flight_)
    x.promise.deliver(evented::make_error(
      x.query ? errc::shutting_down : errc::outcome_unknown,
      describe(x.shard)
        + ": the node is shutting down before the answer is "
          "here"));
  queues_.clear();
  in_flight_.clear();
  node_ = nullptr;
  region_ = nullptr;
  routing_ = nullptr;
}

// -- messages -----------------------------------------------------------------

void router::on_message(caf::message x) {
  auto to = settings_.look(x);
  if (!to || !valid(to->id)) {
    // The region says what is wrong.
    make_response_promise().delegate(region_, std::move(x));
    return;
  }
  auto shard = shard_of(slice_of(to->id), settings_.shards);
  auto queue = queues_.find(shard);
  auto first = queue == queues_.end();
  if (first && is_here(shard)) {
    make_response_promise().delegate(region_, std::move(x));
    return;
  }
  if (waiting_ >= settings_.max_waiting
      || in_flight_.size() >= settings_.max_in_flight) {
    make_response_promise().deliver(evented::make_error(
      errc::overloaded, describe(shard) + ": " + std::to_string(waiting_)
                          + " messages wait for their nodes already, and "
                          + std::to_string(in_flight_.size())
                          + " for their answers; try again later"));
    return;
  }
  auto number = ++last_number_;
  parcel made;
  made.content = std::move(x);
  made.promise = make_response_promise();
  made.shard = shard;
  made.repeatable = to->query || to->has_id;
  made.query = to->query;
  made.deadline = seam::now(this) + settings_.routing_timeout;
  auto link = first ? link_of(shard) : nullptr;
  if (link != nullptr)
    forward(number, std::move(made), link);
  else
    put_back(number, std::move(made), {});
}

void router::on_forward(wire::forward& x) {
  auto promise = make_response_promise();
  auto content = read_content(system(), x, settings_.max_message_bytes);
  if (!content) {
    promise.deliver(evented::make_error(
      errc::unknown_command,
      settings_.type_name + ": a node cannot read this message of "
        + std::to_string(x.content.size())
        + " bytes; let all nodes run the same program with the same options"));
    return;
  }
  auto to = settings_.look(*content);
  if (to && valid(to->id)
      && !is_here(shard_of(slice_of(to->id), settings_.shards))) {
    promise.deliver(wire::not_here{});
    return;
  }
  promise.delegate(region_, std::move(*content));
}

void router::on_routing(std::shared_ptr<const routing> now) {
  routing_ = std::move(now);
  std::vector<std::uint64_t> lost;
  std::vector<std::uint64_t> moved;
  for (auto& [number, x] : in_flight_) {
    auto& nodes = routing_->nodes;
    auto& sent_to = x.link;
    auto link = link_of(x.shard);
    if (std::none_of(nodes.begin(), nodes.end(),
                     [&](auto& node) { return node.link == sent_to; }))
      lost.push_back(number);
    else if (x.repeatable && (is_here(x.shard) || link != nullptr)
             && link != sent_to)
      moved.push_back(number);
  }
  lost.insert(lost.end(), moved.begin(), moved.end());
  for (auto number : lost) {
    auto x = std::move(in_flight_[number]);
    in_flight_.erase(number);
    on_lost(number, std::move(x));
  }
  std::vector<std::uint16_t> shards;
  for (auto& [shard, queue] : queues_)
    shards.push_back(shard);
  for (auto shard : shards)
    flush(shard);
}

void router::on_tick() {
  ticking_ = false;
  auto now = seam::now(this);
  std::vector<std::uint16_t> shards;
  for (auto& [shard, queue] : queues_) {
    shards.push_back(shard);
    for (auto i = queue.waiting.begin(); i != queue.waiting.end();) {
      if (i->second.deadline > now) {
        ++i;
        continue;
      }
      expire(i->second);
      --waiting_;
      i = queue.waiting.erase(i);
    }
  }
  for (auto shard : shards)
    flush(shard);
  if (waiting_ > 0)
    tick_soon();
}

// -- parcels ------------------------------------------------------------------

bool router::is_here(std::uint16_t shard) const {
  return routing_->shards[shard].where == routing::place::here
         && lease_->valid();
}

caf::actor router::link_of(std::uint16_t shard) const {
  auto& x = routing_->shards[shard];
  return x.where == routing::place::there ? routing_->nodes[x.node].link
                                          : nullptr;
}

void router::forward(std::uint64_t number, parcel x, const caf::actor& link) {
  wire::forward made;
  made.type_name = settings_.type_name;
  if (auto err = seam::to_wire(system(), x.content, made.content);
      err != caf::none) {
    x.promise.deliver(evented::make_error(
      errc::unknown_command, settings_.type_name
                               + ": this message cannot go to another node: "
                               + evented::render(system(), err)));
    return;
  }
  if (made.content.size() > settings_.max_message_bytes) {
    x.promise.deliver(evented::make_error(
      errc::unreachable,
      settings_.type_name + ": this message takes "
        + std::to_string(made.content.size())
        + " bytes, and cluster_options::max_message_bytes is "
        + std::to_string(settings_.max_message_bytes)));
    return;
  }
  x.link = link;
  auto attempt = ++x.attempt;
  in_flight_[number] = std::move(x);
  seam::request_message(
    this, link, settings_.command_timeout + way_back,
    [this, number, attempt](caf::message answer) {
      on_answer(number, attempt, std::move(answer));
    },
    [this, number, attempt](caf::error& err) {
      on_failure(number, attempt, err);
    },
    std::move(made));
}

void router::on_answer(std::uint64_t number, std::uint64_t attempt,
                       caf::message answer) {
  auto found = in_flight_.find(number);
  if (found == in_flight_.end() || found->second.attempt != attempt)
    return;
  auto x = std::move(found->second);
  in_flight_.erase(found);
  if (answer.size() == 1 && seam::has_type<wire::not_here>(answer, 0)) {
    seam::send(this, node_, sync_wanted{});
    put_back(number, std::move(x), seam::now(this) + tick_length);
    return;
  }
  x.promise.deliver(std::move(answer));
}

void router::on_failure(std::uint64_t number, std::uint64_t attempt,
                        caf::error& err) {
  auto found = in_flight_.find(number);
  if (found == in_flight_.end() || found->second.attempt != attempt)
    return;
  auto x = std::move(found->second);
  in_flight_.erase(found);
  if (code_of(err) == errc::shutting_down) {
    // Nothing was stored, and another node is about to own it.
    put_back(number, std::move(x), seam::now(this) + tick_length);
    return;
  }
  if (err.category() == caf::make_error(caf::sec::request_timeout).category()) {
    on_lost(number, std::move(x));
    return;
  }
  x.promise.deliver(std::move(err));
}

void router::on_lost(std::uint64_t number, parcel x) {
  if (!x.repeatable) {
    x.promise.deliver(evented::make_error(
      errc::outcome_unknown,
      describe(x.shard)
        + ": its node has not answered; the command may have "
          "taken effect"));
    return;
  }
  x.doubtful = !x.query;
  put_back(number, std::move(x), {});
}

void router::put_back(std::uint64_t number, parcel x,
                      clock::time_point not_before) {
  if (x.deadline <= seam::now(this)) {
    expire(x);
    return;
  }
  x.link = nullptr;
  auto& queue = queues_[x.shard];
  queue.held_until = std::max(queue.held_until, not_before);
  queue.waiting.emplace(number, std::move(x));
  ++waiting_;
  tick_soon();
}

void router::flush(std::uint16_t shard) {
  auto found = queues_.find(shard);
  if (found == queues_.end())
    return;
  auto& queue = found->second;
  if (queue.held_until <= seam::now(this)) {
    auto here = is_here(shard);
    auto link = link_of(shard);
    while ((here || link != nullptr) && !queue.waiting.empty()) {
      auto [number, x] = std::move(*queue.waiting.begin());
      queue.waiting.erase(queue.waiting.begin());
      --waiting_;
      if (here)
        x.promise.delegate(region_, std::move(x.content));
      else
        forward(number, std::move(x), link);
    }
  }
  if (queue.waiting.empty())
    queues_.erase(found);
}

void router::expire(parcel& x) {
  x.promise.deliver(
    x.doubtful
      ? evented::make_error(
        errc::outcome_unknown,
        describe(x.shard)
          + ": a node that does not answer may have carried "
            "out this command; send it again with the same "
            "ID")
      : evented::make_error(
        errc::unreachable, describe(x.shard)
                             + " was out of reach in time; nothing was stored, "
                               "try again"));
}

void router::tick_soon() {
  if (ticking_)
    return;
  ticking_ = true;
  seam::delayed_send(this, tick_length, tick{});
}

std::string router::describe(std::uint16_t shard) const {
  auto result = settings_.type_name + ": shard " + std::to_string(shard);
  if (routing_ == nullptr)
    return result;
  auto& x = routing_->shards[shard];
  if (x.where == routing::place::there)
    return result + " on node \"" + routing_->nodes[x.node].name + "\"";
  return *x.obstacle == '\0' ? result : result + " (" + x.obstacle + ")";
}

} // namespace evented::detail
