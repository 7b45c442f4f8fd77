#pragma once

#include <evented/actors/control.hpp>
#include <evented/actors/error.hpp>
#include <evented/actors/node_messages.hpp>
#include <evented/actors/published.hpp>
#include <evented/actors/seam.hpp>
#include <evented/actors/wire.hpp>
#include <evented/uuid.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace evented {

/// Answers a command that was accepted: it is durable.
struct accepted {
  /// The entity's version after this command.
  std::uint64_t version = 0;
  /// The sequence number of the command's last event; 0 where it stored none.
  std::uint64_t seq_no = 0;

  friend bool operator==(const accepted&, const accepted&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, accepted& x) {
  return inspect_object(f, x, "evented::accepted", field("version", x.version),
                        field("seq_no", x.seq_no));
}

/// Answers `control::get_state`, sent to a region.
struct region_state {
  /// The entity type's `type_name`.
  std::string type_name;
  /// How many entities have an actor, without those on their way to sleep.
  std::uint64_t awake = 0;
  /// How many are finishing what they have before they are put to sleep.
  std::uint64_t falling_asleep = 0;
  /// About how many bytes those awake take, see `entity_options::max_bytes`.
  std::uint64_t bytes = 0;
  /// How many wait for what the journal holds of them.
  std::uint64_t loading = 0;

  friend bool operator==(const region_state&, const region_state&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, region_state& x) {
  return inspect_object(
    f, x, "evented::region_state", field("type_name", x.type_name),
    field("awake", x.awake), field("falling_asleep", x.falling_asleep),
    field("bytes", x.bytes), field("loading", x.loading));
}

/// Sent after a command, makes it take effect once: whoever sends it again with
/// the same ID gets the same answer and nothing is stored, also from another
/// node, after a crash, and after the entity was put to sleep. Remembered per
/// entity, for `entity_options::remember_commands`.
///
///   self->request(accounts, 10s, id, deposit{5}, command_id{"transfer-17"});
struct command_id {
  /// 1 to 200 bytes of valid UTF-8 without NUL.
  std::string value;

  command_id() = default;
  /// Take it as a text, or the text of a UUID; see `value`.
  /// @{
  explicit command_id(std::string text) : value(std::move(text)) {}
  explicit command_id(const uuid& id) : value(to_string(id)) {}
  /// @}

  friend bool operator==(const command_id&, const command_id&) = default;
};

/// Sent after a command, demands that the entity is at this version: else it is
/// answered with `errc::unexpected_version`, see `actual_version`.
struct expect {
  /// 0: that nothing has happened to it yet.
  std::uint64_t version = 0;

  friend bool operator==(const expect&, const expect&) = default;
};

/// Sent after a command, says all there is to say about it.
///
///   self->request(accounts, 10s, id, deposit{5},
///                 envelope{.id = "transfer-17", .expected_version = 3});
struct envelope {
  /// Demands nothing of the version.
  static constexpr std::int64_t any_version = -1;

  /// See `command_id`; empty: none.
  std::string id = {};
  /// See `expect`.
  std::int64_t expected_version = any_version;
  /// Stored with the events, see `trace`.
  std::string correlation_id = {};
  /// See `correlation_id`.
  /// @{
  std::string causation_id = {};
  std::string traceparent = {};
  /// @}

  friend bool operator==(const envelope&, const envelope&) = default;
};

/// Comes with each message that an entity has sent to an actor with `.send(..)`:
/// `(message, delivery_id)`. The same one comes again where the message does,
/// since nobody could know whether the first one had arrived.
struct delivery_id {
  /// Unique in the journal.
  std::string value;

  friend bool operator==(const delivery_id&, const delivery_id&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, delivery_id& x) {
  return inspect_object(f, x, "evented::delivery_id", field("value", x.value));
}

template <class Inspector>
auto inspect(Inspector& f, command_id& x) {
  return inspect_object(f, x, "evented::command_id", field("value", x.value));
}

template <class Inspector>
auto inspect(Inspector& f, expect& x) {
  return inspect_object(f, x, "evented::expect", field("version", x.version));
}

template <class Inspector>
auto inspect(Inspector& f, envelope& x) {
  return inspect_object(f, x, "evented::envelope", field("id", x.id),
                        field("expected_version", x.expected_version),
                        field("correlation_id", x.correlation_id),
                        field("causation_id", x.causation_id),
                        field("traceparent", x.traceparent));
}

template <class Inspector>
auto inspect(Inspector& f, uuid& x) {
  return inspect_object(f, x, "evented::uuid", field("bytes", x.bytes));
}

namespace detail {

// -- messages inside of one process -------------------------------------------

struct append_job;
struct append_batch;
class load_job;
struct load_batch;
struct delivery_content;
struct session_job;
struct snapshot_job;
struct outbox_job;

/// Tells the region, and that its dispatcher, that there are new messages.
struct outbox_filled {};

/// Between the dispatcher and its worker.
struct outbox_work {
  std::shared_ptr<outbox_job> job;
};

struct outbox_worked {
  std::shared_ptr<outbox_job> job;
};

/// Asks for a snapshot to be written. There is no answer, see `snapshot_job`.
struct snapshot_order {
  std::shared_ptr<snapshot_job> job;
};

struct snapshot_work {
  std::vector<std::shared_ptr<snapshot_job>> jobs;
};

/// Answers `snapshot_work` and `forget_order`.
struct snapshot_worked {};

/// Asks for commands of an entity type to be forgotten that are older than this.
struct forget_order {
  std::string type_name;
  std::chrono::seconds age{0};
};

/// Tells the region about how many bytes an entity takes.
struct sized {
  std::uint64_t incarnation = 0;
  std::size_t bytes = 0;
};

/// A command on its way from the region to its entity.
struct delivery {
  std::shared_ptr<delivery_content> content;
  /// Whether its entity was loaded after it had arrived.
  bool loaded_since = false;
};

/// Asks the appender for an append; comes back as `append_done`.
struct append_order {
  std::shared_ptr<append_job> job;
};

struct append_done {
  std::shared_ptr<append_job> job;
};

/// Between the appender and its worker.
struct append_work {
  std::shared_ptr<append_batch> batch;
};

struct append_worked {
  std::shared_ptr<append_batch> batch;
};

/// Asks the loader to bring an entity up to date; comes back in a `load_done`.
struct load_order {
  std::shared_ptr<load_job> job;
};

struct load_done {
  std::vector<std::shared_ptr<load_job>> jobs;
};

/// Between the loader and its workers.
struct load_work {
  std::shared_ptr<load_batch> batch;
};

struct load_worked {
  std::shared_ptr<load_batch> batch;
};

/// Tells an entity, or the region for one that is loaded, that time is up for
/// some of its commands.
struct overdue {
  /// Whether its append may have reached the database.
  bool maybe_sent = false;
  std::uint64_t incarnation = 0;
};

/// Reminds an actor to look after what it waits for.
struct tick {};

/// Ends a pause after a failed attempt.
struct retry {};

/// Tells the region that an entity wants to stop.
struct stopping {
  std::uint64_t incarnation = 0;
};

/// Tells an entity to stop when its work is done.
struct stop {};

/// Tells the region that an entity is gone.
struct stopped {
  std::uint64_t incarnation = 0;
};

/// Asks a thread to run something, and comes back as `session_done`.
struct session_order {
  std::shared_ptr<session_job> job;
};

struct session_done {
  std::shared_ptr<session_job> job;
};

/// Tells whoever follows the journal how far it is final.
struct frontier_moved {
  std::uint64_t frontier = 0;
  /// Which subscription it comes from.
  std::uint64_t subscription = 0;
};

/// Tells a runner how far it may go while its version is being built.
struct range_limit {
  std::uint64_t seq_no = 0;
};

/// Tells a runner that its lease may be gone.
struct range_recheck {};

/// Tells a runner to stop as soon as it can.
struct range_stop {};

/// Ends a runner's pause, unless something else has happened meanwhile.
struct range_retry {
  std::uint64_t generation = 0;
  /// Whether it is the pause of the reading ahead.
  bool reading = false;
};

/// Tells a projection how far one of its runners is.
struct range_progress {
  std::uint64_t incarnation = 0;
  std::uint64_t epoch = 0;
  std::uint64_t seq_no = 0;
  /// Empty where nothing is wrong.
  std::string error;
};

/// Tells a projection that one of its runners handles nothing any more.
struct range_ended {
  std::uint64_t incarnation = 0;
};

} // namespace detail

} // namespace evented

CAF_BEGIN_TYPE_ID_BLOCK(evented, 1000)

CAF_ADD_TYPE_ID(evented, (evented::uuid))
CAF_ADD_TYPE_ID(evented, (evented::accepted))
CAF_ADD_TYPE_ID(evented, (evented::control::done))
CAF_ADD_TYPE_ID(evented, (evented::control::run))
CAF_ADD_TYPE_ID(evented, (evented::control::stop))
CAF_ADD_TYPE_ID(evented, (evented::control::get_state))
CAF_ADD_TYPE_ID(evented, (evented::control::pause))
CAF_ADD_TYPE_ID(evented, (evented::control::resume))
CAF_ADD_TYPE_ID(evented, (evented::control::reset))
CAF_ADD_TYPE_ID(evented, (evented::control::skip))
CAF_ADD_TYPE_ID(evented, (evented::control::rescale))
CAF_ADD_TYPE_ID(evented, (evented::control::rebuild))
CAF_ADD_TYPE_ID(evented, (evented::control::wait_until))
CAF_ADD_TYPE_ID(evented, (evented::control::get_letters))
CAF_ADD_TYPE_ID(evented, (evented::control::replay))
CAF_ADD_TYPE_ID(evented, (evented::control::drop))
CAF_ADD_TYPE_ID(evented, (evented::range_state))
CAF_ADD_TYPE_ID(evented, (std::vector<evented::range_state>))
CAF_ADD_TYPE_ID(evented, (evented::projection_state))
CAF_ADD_TYPE_ID(evented, (evented::reached))
CAF_ADD_TYPE_ID(evented, (evented::letter))
CAF_ADD_TYPE_ID(evented, (std::vector<evented::letter>))
CAF_ADD_TYPE_ID(evented, (evented::dead_letters))
CAF_ADD_TYPE_ID(evented, (evented::replayed_letters))
CAF_ADD_TYPE_ID(evented, (evented::published_event))
CAF_ADD_TYPE_ID(evented, (std::vector<evented::published_event>))
CAF_ADD_TYPE_ID(evented, (evented::event_batch))
CAF_ADD_TYPE_ID(evented, (evented::ack))
CAF_ADD_TYPE_ID(evented, (evented::command_id))
CAF_ADD_TYPE_ID(evented, (evented::expect))
CAF_ADD_TYPE_ID(evented, (evented::envelope))
CAF_ADD_TYPE_ID(evented, (evented::region_state))
CAF_ADD_TYPE_ID(evented, (evented::delivery_id))
CAF_ADD_TYPE_ID(evented, (evented::detail::wire::hello))
CAF_ADD_TYPE_ID(evented, (evented::detail::wire::forward))
CAF_ADD_TYPE_ID(evented, (evented::detail::wire::not_here))
CAF_ADD_TYPE_ID(evented, (evented::detail::wire::changed))
#if EVENTED_CAF >= 1800
CAF_ADD_TYPE_ID(evented, (evented::errc))
#endif

CAF_END_TYPE_ID_BLOCK(evented)

CAF_BEGIN_TYPE_ID_BLOCK(evented_local, 1100)

CAF_ADD_TYPE_ID(evented_local, (evented::detail::delivery))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::append_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::append_done))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::append_work))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::append_worked))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::load_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::load_done))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::load_work))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::load_worked))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::overdue))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::tick))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::retry))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::stopping))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::stop))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::stopped))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::session_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::session_done))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::frontier_moved))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::range_limit))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::range_recheck))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::range_stop))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::range_retry))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::range_progress))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::range_ended))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::sized))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::snapshot_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::snapshot_work))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::snapshot_worked))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::forget_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::outbox_filled))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::outbox_work))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::outbox_worked))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::sync_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::sync_done))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::route_order))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::routed))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::sync_wanted))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::vacate))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::vacated))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::region_ready))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::node_has))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::node_joined))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::node_leave))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::node_look))
CAF_ADD_TYPE_ID(evented_local, (evented::detail::link_lost))
CAF_ADD_TYPE_ID(evented_local, (evented::cluster_state))

CAF_END_TYPE_ID_BLOCK(evented_local)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::delivery)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::append_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::append_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::append_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::append_worked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::load_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::load_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::load_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::load_worked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::overdue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::retry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::stopping)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::stopped)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::session_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::session_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::frontier_moved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::range_limit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::range_recheck)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::range_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::range_retry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::range_progress)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::range_ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::sized)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::snapshot_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::snapshot_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::snapshot_worked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::forget_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::outbox_filled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::outbox_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::outbox_worked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::sync_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::sync_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::route_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::routed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::sync_wanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::vacate)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::vacated)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::region_ready)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::node_has)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::node_joined)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::node_leave)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::node_look)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::detail::link_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(evented::cluster_state)

namespace evented {

/// The configuration of an actor system that uses this library. Registers the
/// library's types and errors, and the application's type ID blocks:
///
///   evented::config<caf::id_block::bank> cfg;
///   caf::actor_system sys{cfg};
template <class... Blocks>
class config
#if EVENTED_CAF >= 1800
  : detail::type_registration<caf::id_block::evented,
                              caf::id_block::evented_local, Blocks...>,
    public caf::actor_system_config {
#else
  : public caf::actor_system_config {
#endif
public:
  config() {
#if EVENTED_CAF < 1800
    this->template add_message_types<caf::id_block::evented>();
    (this->template add_message_types<Blocks>(), ...);
    detail::add_error_category(*this);
#endif
  }
};

} // namespace evented
