#pragma once

#include <evented/event.hpp>
#include <evented/event_filter.hpp>
#include <evented/listener.hpp>
#include <evented/options.hpp>

#include <any>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evented {

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
};

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
  std::vector<new_event> events;
  /// What the listener gets to see, opaque to the store.
  std::shared_ptr<const void> typed;

  // -- what came of it --------------------------------------------------------

  append_status status = append_status::pending;
  /// Whether a connection broke after this step had been sent: while pending,
  /// it may be stored already, or later.
  bool maybe_sent = false;
  /// The sequence number of the last event, once stored.
  std::uint64_t seq_no = 0;
  /// Where failed: listener_failed, invalid_event or refused, and why.
  errc failure = errc::none;
  std::string message;
  /// Where vetoed: what the listener returned.
  std::any veto;
};

/// What one entity asks to be stored, in order. Each step rests on the ones
/// before it: once one is not stored, the later ones are skipped.
struct append_request {
  std::string type_name;
  entity_id id;
  std::vector<append_step> steps;
  /// Null where the entity type has none.
  std::shared_ptr<const event_listener> listener;
};

// -- loading ------------------------------------------------------------------

/// Asks for the events of one entity with versions above `after`.
struct load_request {
  std::string type_name;
  entity_id id;
  std::uint64_t after = 0;
};

/// Some of the events that were asked for, ordered by version.
struct load_result {
  std::vector<stored_event> events;
  /// Whether there may be more after the last one.
  bool more = false;
};

// -- store --------------------------------------------------------------------

/// One connection to a journal. Used by one thread at a time.
class store_session {
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
class store {
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

  /// Returns the options that the journal was opened with, without secrets.
  [[nodiscard]] virtual const journal_options& options() const noexcept = 0;
};

/// Opens the journal that `options` describe: connects, then makes or migrates
/// its schema, or checks that this library can use it.
/// @throws connection_lost where the database is out of reach, error with
///         `incompatible` or `invalid_options`, sql_error
std::shared_ptr<store> open_store(const journal_options& options);

/// Makes a journal in memory, for tests: the same behaviour, gone with the last
/// handle. Listeners can veto, but their statements are refused. Connection and
/// pool options are ignored.
std::shared_ptr<store> make_memory_store(const journal_options& options = {});

} // namespace evented
