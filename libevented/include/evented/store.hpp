#pragma once

#include <evented/event.hpp>
#include <evented/event_filter.hpp>
#include <evented/export.hpp>
#include <evented/listener.hpp>
#include <evented/options.hpp>
#include <evented/outbox.hpp>

#include <any>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evented {

class membership_session;
class projection_session;
class watch_session;

// -- appending ----------------------------------------------------------------

/// Names what became of one command's share of an append.
enum class append_status : std::uint8_t {
  /// Not decided yet: the call has to be repeated.
  pending,
  /// Stored and durable; for a check: the entity is still at that version.
  stored,
  /// Another writer's event stands in the way; for a check: the entity has
  /// moved on. Certainly not stored.
  conflict,
  /// The listener vetoed, see `append_step::veto`. Certainly not stored.
  vetoed,
  /// Refused, see `failure` and `message`. Certainly not stored.
  failed,
  /// Not tried, because an earlier step of the same request was not stored.
  skipped,
  /// A command with the same ID was stored before, see `earlier`. Certainly not
  /// stored again.
  repeated,
};

/// Names what is remembered of a command.
enum class command_outcome : std::uint8_t {
  /// Nothing: the step only asks whether its ID was used before.
  none,
  accepted,
  rejected,
};

/// What a command that has an ID wants to be remembered.
struct command_record {
  /// 1 to 200 bytes of valid UTF-8 without NUL. Unique within the entity.
  std::string command_id;
  /// Tells two commands apart.
  std::uint64_t fingerprint = 0;
  /// Whether it was accepted or rejected.
  command_outcome outcome = command_outcome::none;
  /// The reply or the rejection, opaque to the store.
  std::string reply_type;
  /// See `reply_type`.
  std::string reply;
};

/// What was remembered of a command.
struct remembered_command {
  /// See `command_record::fingerprint`.
  std::uint64_t fingerprint = 0;
  /// Whether it was accepted or rejected.
  command_outcome outcome = command_outcome::none;
  /// The entity's version after it.
  std::uint64_t version = 0;
  /// The number of its last event, 0 where it stored none.
  std::uint64_t seq_no = 0;
  /// See `command_record::reply_type`.
  /// @{
  std::string reply_type;
  std::string reply;
  /// @}
};

/// A message that goes out once the events of its command are durable.
struct outgoing_message {
  /// The name of the receiver. Does not begin with a line feed.
  std::string target;
  /// The message, opaque to the store.
  std::string message;
  /// When, by the database's clock; nothing: at once.
  std::optional<timestamp> due = {};
  /// The name of a timer, whose target is empty, or empty. What the entity has
  /// in the outbox under this name goes away.
  std::string timer = {};
  /// Whether that is all, and there is no message.
  bool cancels = false;
};

/// Checks whether `id` can be a command ID.
EVENTED_EXPORT bool valid_command_id(std::string_view id) noexcept;

/// Checks whether `name` can be the name of a timer.
EVENTED_EXPORT bool valid_timer_name(std::string_view name) noexcept;

/// What one command asks to be stored, or to be checked, and what came of it.
/// A check holds where the entity was at its version right after the steps
/// before it; a later step that is stored on the same version proves that.
struct append_step {
  // -- what is asked ----------------------------------------------------------

  /// Identifies this attempt of the command for ever: an append that is
  /// repeated with it recognises its own rows.
  uuid append_id;
  /// The version that the entity must have: the events get the versions after
  /// it. Without events, the step only checks that the entity is at it.
  std::uint64_t after = 0;
  /// What to store, in this order.
  std::vector<new_event> events;
  /// What the listener gets to see, opaque to the store.
  std::shared_ptr<const void> typed;
  /// Remembered together with the events; nothing for a command without an ID.
  std::optional<command_record> record = {};
  /// Stored together with the events, of which there is at least one then, in
  /// this order: of several with the name of one timer the last one counts.
  std::vector<outgoing_message> messages = {};

  // -- what came of it --------------------------------------------------------

  /// What became of the step.
  append_status status = append_status::pending;
  /// Whether a connection broke after this step had been sent: while pending,
  /// it may be stored already, or later.
  bool maybe_sent = false;
  /// The sequence number of the last event, once stored.
  std::uint64_t seq_no = 0;
  /// Where failed: listener_failed, invalid_event or refused, and why.
  errc failure = errc::none;
  /// A text for humans, see `failure`.
  std::string message;
  /// Where vetoed: what the listener returned.
  std::any veto;
  /// Where repeated: what became of the first command with this ID.
  remembered_command earlier;

  /// Returns whether the step writes anything into the journal.
  [[nodiscard]] bool stores() const noexcept {
    return !events.empty()
           || (record && record->outcome != command_outcome::none);
  }
};

/// What one entity asks to be stored, in order. Each step rests on the ones
/// before it: once one is not stored, the later ones are skipped.
struct append_request {
  /// The entity.
  /// @{
  std::string type_name;
  entity_id id;
  /// @}
  /// The commands of the entity, in the order in which they were decided.
  std::vector<append_step> steps;
  /// Null where the entity type has none.
  std::shared_ptr<const event_listener> listener;
};

// -- loading ------------------------------------------------------------------

/// Asks for the events of one entity with versions above `after`.
struct load_request {
  /// The entity.
  /// @{
  std::string type_name;
  entity_id id;
  /// @}
  /// The version that the caller knows already, 0 for none.
  std::uint64_t after = 0;
  /// Whether to begin with the newest snapshot above `after`, where there is
  /// one.
  bool snapshot = false;
  /// Whether only name, shape, version and payload of the events are wanted,
  /// which is all that it takes to rebuild an entity.
  bool lean = false;
};

/// The state of an entity after the event with the number `version`.
struct stored_snapshot {
  /// The version of the entity.
  std::uint64_t version = 0;
  /// What `state_version` of the entity type was.
  std::int32_t schema_version = 1;
  /// When it was stored, by the database's clock.
  timestamp created_at;
  /// Written with the journal's codec.
  std::string state;
};

/// Some of the events that were asked for, ordered by version, and what was
/// asked for before them.
struct load_result {
  /// The events are those above its version.
  std::optional<stored_snapshot> snapshot;
  /// The version up to which an operator has trimmed the events; 0: none. Only
  /// told where `load_request::after` is 0.
  std::uint64_t horizon = 0;
  /// Whether an operator has put the entity away.
  bool archived = false;
  /// Without holes.
  std::vector<stored_event> events;
  /// Whether there may be more after the last one.
  bool more = false;
};

// -- store --------------------------------------------------------------------

/// A snapshot on its way into the journal.
struct new_snapshot {
  /// The entity.
  /// @{
  std::string type_name;
  entity_id id;
  /// @}
  /// The version that the state is of.
  std::uint64_t version = 0;
  /// What `state_version` of the entity type is.
  std::int32_t schema_version = 1;
  /// Written with the journal's codec.
  std::string state;
  /// The number of the event that has led to `version`. The journal may hold
  /// another one by now, where a failover has lost this one.
  std::uint64_t seq_no = 0;
};

/// One connection to a journal. Used by one thread at a time.
class EVENTED_EXPORT store_session {
public:
  virtual ~store_session() = default;

  /// Stores what is asked, as many requests as possible with one commit, and
  /// writes the outcome into each step. One request per entity in a batch.
  ///
  /// Returns false where steps are left pending and the call is to be repeated:
  /// at once where it made progress, with a delay where `message` of a pending
  /// step says what is in the way.
  /// @throws connection_lost, after which the session is of no more use. Steps
  ///         left pending with `maybe_sent` may be stored now or later: only
  ///         asking the same again, on a new session, finds out.
  virtual bool append(std::span<append_request* const> batch) = 0;

  /// Loads events of several entities, at most about `max_events` in all; a
  /// result per request, in the same order.
  /// @throws connection_lost, sql_error
  virtual std::vector<load_result> load(std::span<const load_request> batch,
                                        std::size_t max_events)
    = 0;

  /// Returns the highest sequence number such that every event at or below it
  /// is either visible to statements that begin from now on, or will never be.
  /// A later call may return less, where a writer was slow to take its lock
  /// after it had looked at the sequence; every earlier answer remains true, so
  /// keep the highest.
  /// @throws connection_lost, sql_error, error(incompatible) on a standby
  virtual std::uint64_t frontier() = 0;

  /// Returns the events that pass `filter` and have `after < seq_no <= up_to`,
  /// in the order of seq_no, at most `limit`. To miss none, `up_to` must come
  /// from an earlier call of `frontier`. Looks at a limited number of events a
  /// call, so that `read_result::up_to` may be below `up_to` although nothing
  /// was found.
  /// @throws connection_lost, sql_error
  virtual read_result read(const event_filter& filter, std::uint64_t after,
                           std::uint64_t up_to, std::size_t limit)
    = 0;

  /// Stores snapshots of several entities, and of each keeps only the newest
  /// `keep`. Leaves out those whose event is not in the journal, by its version
  /// and its number.
  /// @pre `keep > 0`
  /// @throws connection_lost, sql_error
  virtual void save_snapshots(std::span<const new_snapshot> batch,
                              unsigned keep)
    = 0;

  /// Returns the shapes (`state_version`) of the entity type's snapshots, in
  /// order.
  /// @throws connection_lost, sql_error
  virtual std::vector<std::int32_t> snapshot_shapes(std::string_view type_name)
    = 0;

  /// Forgets commands of an entity type whose outcome was remembered longer than
  /// `age` ago, at most `limit`, the oldest first; returns how many.
  /// @throws connection_lost, sql_error
  virtual std::size_t forget_commands(std::string_view type_name,
                                      std::chrono::seconds age,
                                      std::size_t limit)
    = 0;

  /// Claims messages of the outbox that are due, the first ones first. Those of
  /// one entity and target are handed out one after the other: the next one
  /// once the one before is settled as delivered.
  /// @throws connection_lost, sql_error
  virtual claimed_messages claim_messages(const message_claim& what) = 0;

  /// Removes messages that were delivered and gives back the others. Leaves out
  /// those whose claim has run out and that somebody else has claimed.
  /// @throws connection_lost, sql_error
  virtual void settle_messages(std::span<const settled_message> batch) = 0;

  /// Returns the names of the receivers that messages of an entity type wait
  /// for, due or not.
  /// @throws connection_lost, sql_error
  virtual std::vector<std::string> waiting_targets(std::string_view type_name)
    = 0;

  /// Returns the shapes of the entity type's events, in order. All that are
  /// stored are among them; perhaps also some whose append has failed, see
  /// `holds`.
  /// @throws connection_lost, sql_error
  virtual std::vector<event_shape> shapes(std::string_view type_name) = 0;

  /// Returns whether an event of this shape is stored. Looks through all events
  /// of the type where there is none, so ask only about what `shapes` returns.
  /// @throws connection_lost, sql_error
  virtual bool holds(std::string_view type_name, const event_shape& shape) = 0;

  /// Runs one statement of the application's own, outside of any append: for
  /// making and querying views.
  /// @throws connection_lost, sql_error, which a journal in memory always does
  virtual rows query(std::string_view sql, const std::vector<parameter>& params)
    = 0;
};

/// An opened journal. Thread-safe.
class EVENTED_EXPORT store {
public:
  virtual ~store() = default;

  /// Makes a connection, which may outlive the store.
  /// @throws connection_lost where the database is out of reach
  virtual std::unique_ptr<store_session> connect() = 0;

  /// Makes a connection that runs projections, which may outlive the store.
  /// @param limit how long a statement may take; zero: two fifths of
  ///        `journal_options::take_over`, so that an owner that was stopped
  ///        does not keep its locks for longer
  /// @throws connection_lost where the database is out of reach
  virtual std::unique_ptr<projection_session>
  connect_projections(std::chrono::milliseconds limit = {}) = 0;

  /// Makes a connection for a `frontier_watch`, which may outlive the store.
  /// @throws connection_lost where the database is out of reach
  virtual std::unique_ptr<watch_session> connect_watch() = 0;

  /// Makes a connection for a node of a cluster, which may outlive the store.
  /// @throws connection_lost where the database is out of reach;
  ///         error(incompatible) for a journal in memory, which no other
  ///         process can see
  virtual std::unique_ptr<membership_session> connect_membership() = 0;

  /// Returns the options that the journal was opened with, without secrets.
  [[nodiscard]] virtual const journal_options& options() const noexcept = 0;

  /// Returns whether a `store_session` may wait for something. Where it never
  /// does, whoever uses it needs no thread.
  [[nodiscard]] virtual bool blocks() const noexcept { return true; }
};

/// Opens the journal that `options` describe: connects, then makes or migrates
/// its schema, or checks that this library can use it.
/// @throws connection_lost where the database is out of reach, error with
///         `incompatible` or `invalid_options`, sql_error
EVENTED_EXPORT std::shared_ptr<store>
open_store(const journal_options& options);

/// Names how a journal in memory stores what an `append` asks for.
enum class memory_commits : std::uint8_t {
  /// With one call.
  at_once,
  /// With three calls, between which other sessions may do theirs, as with
  /// PostgreSQL: the first draws the sequence numbers, the second makes the
  /// events visible, the third tells the outcome. A session that is destroyed
  /// in between leaves numbers that are never used, or an outcome that nobody
  /// was told.
  in_steps,
};

/// Makes a journal in memory, for tests: the same behaviour, gone with the last
/// handle. Listeners can veto, but their statements are refused. Connection and
/// pool options are ignored.
EVENTED_EXPORT std::shared_ptr<store>
make_memory_store(const journal_options& options = {},
                  memory_commits how = memory_commits::at_once);

} // namespace evented
