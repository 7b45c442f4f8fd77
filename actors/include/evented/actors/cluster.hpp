#pragma once

#include <evented/actors/entities.hpp>
#include <evented/actors/journal.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/router_settings.hpp>
#include <evented/event_filter.hpp>
#include <evented/export.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace evented {

// -- configuration ------------------------------------------------------------

/// The files by which nodes prove to each other who they are, in PEM. Empty: no
/// TLS, so every user of the machine is trusted.
///
/// A peer without a certificate of this authority gets nothing. CAF checks no
/// host names: every certificate of the authority may be any node, so use one
/// that signs nothing else.
struct node_security {
  /// What this node shows to others, and its private key.
  /// @{
  std::filesystem::path certificate;
  std::filesystem::path key;
  /// @}
  /// The certificate of the cluster's own authority.
  std::filesystem::path authority;
  /// Of the private key; empty: it has none.
  secret passphrase;

  /// Returns whether there is no TLS.
  [[nodiscard]] bool empty() const noexcept { return certificate.empty(); }
};

/// Lets an actor system take part in a cluster: call it before the system exists.
/// Loads CAF's middleman, and with `how` its OpenSSL module, and makes it notice
/// connections that are dead.
/// @throws error(invalid_options) where only some of the files are named, or one
///         is not there
EVENTED_EXPORT void use_nodes(caf::actor_system_config& cfg,
                              const node_security& how = {});

// -- cluster ------------------------------------------------------------------

/// How a process takes part in a cluster. A plain struct: set what differs from
/// the defaults.
struct cluster_options {
  /// The name of the cluster: 1 to 200 characters of `[.A-Za-z0-9_:-]`. All its
  /// nodes use the same journal and have the same entity types.
  std::string cluster = "evented";
  /// The name of this node, the same whenever it starts anew. Whoever joins last
  /// under a name is the node.
  std::string name;
  /// Where to listen for the other nodes. One that other machines can reach
  /// needs TLS, see `use_nodes`.
  std::string address = "127.0.0.1";
  /// Zero: any free one.
  std::uint16_t port = 0;
  /// Where the other nodes connect to, if not to `address` and `port`.
  std::string public_address;
  /// Zero: as `port`.
  std::uint16_t public_port = 0;
  /// Lets other machines connect without TLS: only where nobody else can reach
  /// the network.
  bool allow_plain = false;

  /// Whether this node owns entities. One that does not sends to those of the
  /// others only, for programs that come and go.
  bool owns_entities = true;

  /// How many shards share the entities: a power of two up to 1024, the same for
  /// all nodes. A good number is ten or more for each node there will ever be.
  std::uint16_t shards = 256;
  /// After this at the latest, others have taken over the shards of a node that
  /// is gone, stopped or cut off. At least 500 ms.
  std::chrono::milliseconds take_over{10'000};
  /// How long a message may wait until its owner is known and can be reached:
  /// then it is answered with `errc::unreachable`. Longer than `take_over`, or
  /// messages for a node that dies do not wait for its successor.
  std::chrono::milliseconds routing_timeout{15'000};
  /// How many messages of one entity type may wait for that; more get
  /// `errc::overloaded`.
  std::size_t max_waiting = 16'384;
  /// How many of them may be on their way to other nodes.
  std::size_t max_in_flight = 65'536;
  /// The largest message that goes to another node, in bytes.
  std::size_t max_message_bytes = 8 * 1024 * 1024;

  /// The clock by which this node knows when its shards are no longer its own;
  /// null: the system's, which goes on while a process is stopped. For tests.
  std::function<std::chrono::steady_clock::time_point()> lease_clock;
};

/// The membership of this process in a cluster: processes that share the entities
/// of a journal among them. A command that is sent to the region of a type on any
/// node reaches the one node that owns the entity. Thread-safe.
///
///   evented::config<caf::id_block::bank> cfg;
///   evented::use_nodes(cfg);
///   caf::actor_system sys{cfg};
///   evented::journal journal{sys, where};
///   evented::cluster nodes{sys, journal, {.name = "a"}};
///   auto accounts = evented::spawn_entities<account>(sys, journal, nodes);
///
/// Nothing but speed rests on who owns what: the journal decides, also where two
/// nodes believe that they own an entity.
class EVENTED_EXPORT cluster {
public:
  /// Listens for other nodes and joins the cluster. Blocks for as long as the
  /// database takes. The node gets its share with the first `spawn_entities`, so
  /// spawn all types right after.
  /// @throws connection_lost, sql_error; error(invalid_options);
  ///         error(incompatible) where the nodes of the cluster speak another
  ///         version or have another number of shards
  cluster(caf::actor_system& sys, const journal& where,
          const cluster_options& options);

  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  /// Leaves, for `take_over` at most, and ends all that `spawn_entities` has
  /// returned.
  ~cluster();

  /// Hands all shards over to the other nodes and ends the membership: entities
  /// finish what they have, and no message is lost. This process can still send
  /// to the entities of the others. Blocks, for `limit` at most; returns whether
  /// all is handed over.
  bool leave(std::chrono::milliseconds limit);

  /// Returns what this node knows of the cluster.
  [[nodiscard]] cluster_state state() const;

  /// Returns the port that the other nodes connect to.
  [[nodiscard]] std::uint16_t port() const noexcept;

  /// Returns what shares the ranges of a projection among the nodes: a range is
  /// run by the node that owns the shard of its first slice. Every node spawns the
  /// projection, with several ranges. May outlive the cluster, and then answers no.
  ///
  ///   options.ranges = 16;
  ///   options.runs_here = nodes.runs_here();
  [[nodiscard]] std::function<bool(const slice_range&)> runs_here() const;

  // -- access for `spawn_entities` --------------------------------------------

  /// Starts what stands for the entities of a type. Not for users.
  [[nodiscard]] caf::actor spawn_router(detail::router_settings settings) const;

  /// Says that `region` has the entities of this node. Not for users.
  void attach(const std::string& type_name, const caf::actor& router,
              const caf::actor& region) const;

private:
  class impl;

  std::unique_ptr<impl> impl_;
};

// -- entities -----------------------------------------------------------------

namespace detail {

/// Returns what a router has to know of a message to an entity of type `E`.
template <class E>
std::optional<destination> look_at(const caf::message& msg) {
  using id = typename E::id_type;
  if (msg.size() < 2 || msg.size() > 3 || !seam::has_type<id>(msg, 0))
    return std::nullopt;
  destination result;
  if (is_one_of(msg, static_cast<queries_of<E>*>(nullptr)))
    result.query = true;
  else if (!is_one_of(msg, static_cast<typename E::commands*>(nullptr)))
    return std::nullopt;
  if (msg.size() == 3)
    result.has_id = seam::has_type<command_id>(msg, 2)
                    || (seam::has_type<envelope>(msg, 2)
                        && !seam::get<envelope>(msg, 2).id.empty());
  result.id = seam::get<id>(msg, 0);
  return result;
}

} // namespace detail

/// Starts the entities of the type `E` on this node of a cluster, and returns a
/// handle that takes the same messages as that of a region on one node alone. Each
/// goes to the node that owns the entity, and is answered in every case:
///
///  - A message for a shard that is on the move, or whose node is gone, waits for
///    its new owner; after `routing_timeout` it gets `errc::unreachable`, and
///    nothing was stored.
///  - Where a node dies after a command was sent to it, a command with an ID is
///    sent again to the successor, and takes effect once; so is a query. Any
///    other command gets `errc::outcome_unknown`.
///  - A command with an ID that could not be repeated in time gets
///    `errc::outcome_unknown`, too: send it again with the same ID.
///
/// Together with `command_timeout`, which begins anew with each owner, this bounds
/// every answer: choose a caller's timeout above `routing_timeout` plus
/// `command_timeout` plus a second.
///
/// `control::get_state` is answered by the region of this node. The handle works
/// until `where` is destroyed.
/// @throws what `spawn_entities` on one node throws
template <class E>
caf::actor spawn_entities(caf::actor_system& sys, const journal& journal,
                          const cluster& where,
                          const entity_options<E>& options = {}) {
  detail::router_settings settings;
  settings.type_name = E::type_name;
  settings.command_timeout = options.command_timeout;
  settings.look
    = [](const caf::message& msg) { return detail::look_at<E>(msg); };
  auto router = where.spawn_router(std::move(settings));
  // What an entity sends to its own kind goes to whoever owns the receiver.
  auto local = options;
  local.target(std::string{E::type_name}, router);
  try {
    where.attach(std::string{E::type_name}, router,
                 spawn_entities<E>(sys, journal, local));
  } catch (...) {
    caf::anon_send_exit(router, caf::exit_reason::user_shutdown);
    throw;
  }
  return router;
}

} // namespace evented
