#pragma once

#include "cluster/routing.hpp"

#include <evented/actors/messages.hpp>
#include <evented/actors/router_settings.hpp>

#include <caf/event_based_actor.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace evented::detail {

/// Stands for the entities of one type on all nodes: hands each message to the
/// region of this node or to the router of the owner, and answers what it cannot
/// hand on.
///
/// A message that arrives for a shard on the move waits, in order and in a bounded
/// place. One that was sent to an owner which is gone is sent again to its
/// successor where that does no harm: a query, or a command with an ID. Others are
/// answered with `errc::outcome_unknown`.
class router : public caf::event_based_actor {
public:
  router(caf::actor_config& cfg, router_settings settings,
         std::shared_ptr<const lease_clock> lease, caf::actor node);

  caf::behavior make_behavior() override;

  const char* name() const override { return "evented.router"; }

  void on_exit() override;

private:
  /// A message on its way. Its place in all maps is its number, so that those of
  /// one sender stay in their order.
  struct parcel {
    caf::message content;
    caf::response_promise promise;
    std::uint16_t shard = 0;
    /// Whether it may be handled twice.
    bool repeatable = false;
    /// Whether it may have been handled, by an owner that has not answered.
    bool doubtful = false;
    bool query = false;
    clock::time_point deadline = {};
    /// Where it was sent to, and how often it was sent.
    caf::actor link = nullptr;
    std::uint64_t attempt = 0;
  };

  using parcels = std::map<std::uint64_t, parcel>;

  struct shard_queue {
    parcels waiting;
    /// Not before that, since the owner has sent something back.
    clock::time_point held_until = {};
  };

  void on_message(caf::message x);
  void on_forward(wire::forward& x);
  void on_routing(std::shared_ptr<const routing> now);
  void on_tick();

  // -- parcels ----------------------------------------------------------------

  [[nodiscard]] bool is_here(std::uint16_t shard) const;
  /// Returns whom to send to, null where the shard is here or nowhere.
  [[nodiscard]] caf::actor link_of(std::uint16_t shard) const;
  void forward(std::uint64_t number, parcel x, const caf::actor& link);
  void on_answer(std::uint64_t number, std::uint64_t attempt, caf::message x);
  void on_failure(std::uint64_t number, std::uint64_t attempt, caf::error& x);
  /// Does what can be done about a parcel whose owner will not answer.
  void on_lost(std::uint64_t number, parcel x);
  void put_back(std::uint64_t number, parcel x, clock::time_point not_before);
  void flush(std::uint16_t shard);
  void expire(parcel& x);
  void tick_soon();

  [[nodiscard]] std::string describe(std::uint16_t shard) const;

  router_settings settings_;
  std::shared_ptr<const lease_clock> lease_;
  caf::actor node_;
  caf::actor region_;
  std::shared_ptr<const routing> routing_;
  std::map<std::uint16_t, shard_queue> queues_;
  std::size_t waiting_ = 0;
  parcels in_flight_;
  std::uint64_t last_number_ = 0;
  bool ticking_ = false;
};

} // namespace evented::detail
