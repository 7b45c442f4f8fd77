#pragma once

#include <evented/export.hpp>
#include <evented/uuid.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evented {

/// Names where a node of a cluster is in its life.
enum class node_state : std::uint8_t {
  /// It is known, and not to be given any shard, or not yet.
  joining,
  /// It is to have its share.
  up,
  /// It gives away what it has.
  leaving,
};

/// Returns the name of `state`, for example `joining`.
EVENTED_EXPORT std::string_view to_string(node_state state) noexcept;

/// What a node says of itself when it joins a cluster.
struct node_description {
  /// Of the cluster and of the node: 1 to 200 characters of
  /// `[.A-Za-z0-9_:-]`.
  std::string cluster;
  /// See `cluster_options::name`.
  std::string name;
  /// Another one for each start of the process.
  uuid incarnation;
  /// Where the other nodes connect to.
  std::string address;
  /// See `address`.
  std::uint16_t port = 0;
  /// Nodes understand each other only where this is the same.
  std::string protocol;
  /// Which program it is, for operators.
  std::string program;
  /// How many shards share the slices: a power of two up to 1024, the same for
  /// all nodes of the cluster.
  std::uint16_t shards = 256;
  /// For how long a sign of life is good.
  std::chrono::milliseconds lease{6000};
};

/// A node that is alive.
struct cluster_member {
  /// Unique among those that are alive.
  std::string name;
  /// Drawn anew at every start: two processes of one name differ in it.
  uuid incarnation;
  /// Where other nodes reach it.
  /// @{
  std::string address;
  std::uint16_t port = 0;
  /// @}
  /// What it was told to be, see `node_description::program`.
  std::string program;
  /// How far it is in joining or leaving.
  node_state state = node_state::joining;

  friend bool operator==(const cluster_member&, const cluster_member&)
    = default;
};

/// Who owns a shard.
struct shard_lease {
  /// The incarnation of a node, which may be dead; nil where it is nobody's.
  uuid owner;
  /// Grows with every change of the owner.
  std::uint64_t epoch = 0;

  friend bool operator==(const shard_lease&, const shard_lease&) = default;
};

/// What a node wants to do about shards.
struct membership_change {
  /// What the node is now.
  node_state state = node_state::up;
  /// Shards to hand over, and to whom; nil for nobody. One that is not this
  /// node's stays as it is, and one whose heir is gone becomes nobody's.
  std::map<std::uint16_t, uuid> give = {};
  /// Shards to take if they are nobody's who is alive.
  std::vector<std::uint16_t> take = {};
};

/// What the database says of a cluster.
struct cluster_picture {
  /// Grows with every change of a lease.
  std::uint64_t revision = 0;
  /// In the order of their names.
  std::vector<cluster_member> members;
  /// One for each shard.
  std::vector<shard_lease> leases;

  friend bool operator==(const cluster_picture&, const cluster_picture&)
    = default;
};

/// One node's connection to the membership of its cluster. Used by one thread at
/// a time. Every member throws `connection_lost`, after which the session is of
/// no more use, or `sql_error`.
///
/// Leases are for saving conflicts: whoever believes to own what another one
/// owns can do no harm, since the journal decides. All times are the database's.
class EVENTED_EXPORT membership_session {
public:
  virtual ~membership_session() = default;

  /// Makes the node a member in the state `joining`. Whoever had its name before
  /// is none any more.
  /// @throws error(invalid_options), or error(incompatible) where the cluster
  ///         has another number of shards or a node that is alive another
  ///         protocol
  virtual void join(const node_description& self) = 0;

  /// Says that the node is alive for another `lease`, changes what `change` asks
  /// for, and brings `known` up to date, in one round trip. Trying again after
  /// a broken connection is safe. Returns whether the node is still a member;
  /// where it is not, nothing was changed.
  virtual bool sync(const node_description& self,
                    const membership_change& change, cluster_picture& known)
    = 0;

  /// Ends the membership. What the node owned is free.
  virtual void leave(const node_description& self) = 0;
};

// -- who should own what ------------------------------------------------------

/// Returns the shard of a slice.
/// @pre `shards` is a power of two up to 1024
EVENTED_EXPORT std::uint16_t shard_of(std::uint16_t slice,
                                      std::uint16_t shards) noexcept;

/// Returns for each shard the member in the state `up` that should own it, by
/// its place in `members`; `members.size()` where there is none. By rendezvous
/// hashing (Thaler and Ravishankar, 1998) of the members' names: one that comes
/// or goes moves only its own share, and one that starts anew gets the same.
EVENTED_EXPORT std::vector<std::size_t>
share_out(std::span<const cluster_member> members, std::uint16_t shards);

} // namespace evented
