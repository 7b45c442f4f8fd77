#pragma once

#include <evented/actors/jobs.hpp>
#include <evented/uuid.hpp>

#include <caf/actor.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace evented::detail {

/// Where the entities of each shard are, as one node sees it. Made by the actor
/// of the node, for its routers.
struct routing {
  struct node {
    uuid incarnation;
    std::string name;
    /// The actor that speaks for it.
    caf::actor link;

    friend bool operator==(const node& x, const node& y) {
      return x.incarnation == y.incarnation && x.link == y.link;
    }
  };

  enum class place : std::uint8_t {
    /// Nobody's, or somebody's who cannot be reached.
    nowhere,
    /// On this node.
    here,
    /// On the node `shard::node`.
    there,
  };

  struct shard {
    place where = place::nowhere;
    std::size_t node = 0;
    /// Why it is nowhere, for errors.
    const char* obstacle = "";

    friend bool operator==(const shard&, const shard&) = default;
  };

  /// Counts up.
  std::uint64_t number = 0;
  std::vector<shard> shards;
  /// All other nodes that can be reached.
  std::vector<node> nodes;
};

/// Tells other threads which shards are this node's. Thread-safe.
class ownership {
public:
  void set(std::vector<bool> shards) {
    std::lock_guard guard{mutex_};
    shards_ = std::move(shards);
  }

  [[nodiscard]] bool owns(std::size_t shard) const {
    std::lock_guard guard{mutex_};
    return shard < shards_.size() && shards_[shard];
  }

private:
  mutable std::mutex mutex_;
  std::vector<bool> shards_;
};

/// Tells for how long the shards of a node are its own: a process that was stopped
/// for a while and goes on finds out before it serves anybody. Thread-safe.
class lease_clock {
public:
  using time_source = std::function<clock::time_point()>;

  explicit lease_clock(time_source now) : now_(std::move(now)) {
    // nop
  }

  [[nodiscard]] clock::time_point now() const { return now_(); }

  [[nodiscard]] bool valid() const {
    return now_().time_since_epoch().count() < until_.load();
  }

  void extend(clock::time_point until) {
    until_ = until.time_since_epoch().count();
  }

private:
  time_source now_;
  std::atomic<clock::rep> until_{0};
};

} // namespace evented::detail
