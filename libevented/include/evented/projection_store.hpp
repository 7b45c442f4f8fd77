#pragma once

#include <evented/event_filter.hpp>
#include <evented/export.hpp>
#include <evented/transaction.hpp>
#include <evented/uuid.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace evented {

// -- where a projection begins ------------------------------------------------

/// With the first event of the journal.
struct from_beginning {};

/// With the first event that is stored from now on.
struct from_now {};

/// With the first event that was created at or after a time.
struct from_time {
  /// By the database's clock.
  timestamp at;
};

/// With the first event after a sequence number.
struct from_seq_no {
  /// The number of an event that is not wanted any more.
  std::uint64_t after = 0;
};

/// Where a projection begins that has no checkpoint yet.
using start_position
  = std::variant<from_beginning, from_now, from_time, from_seq_no>;

/// A place in the journal to read on from.
struct event_position {
  /// Events up to this number are not wanted.
  std::uint64_t after = 0;
  /// Events that were created before this are not wanted either.
  std::optional<timestamp> since;
};

// -- ranges -------------------------------------------------------------------

/// Names one range of a projection: the unit that has a checkpoint and is run
/// by one process at a time.
struct range_key {
  /// The name of the projection.
  std::string projection;
  /// The version of the view that it writes.
  std::int32_t version = 1;
  /// Its first slice.
  std::uint16_t first = 0;

  /// Orders by projection, version and slice.
  friend auto operator<=>(const range_key&, const range_key&) = default;
};

/// The right to run a range, until somebody else draws a new epoch for it.
struct range_lease {
  /// Which range it is.
  range_key key;
  /// The slices whose events it handles.
  slice_range slices;
  /// Who holds a smaller one has lost the range.
  std::uint64_t epoch = 0;
  /// The checkpoint.
  std::uint64_t seq_no = 0;
  /// Events at or below this have been handled before: by another version, or
  /// before a reset.
  std::uint64_t mark = 0;
  /// Where set, the range stops there.
  std::optional<std::uint64_t> barrier;
  /// Whether the projection has dead letters that others may be parked behind.
  bool parked = false;
};

/// What the database says of a range.
struct range_status {
  /// Which range it is.
  range_key key;
  /// The slices whose events it handles.
  slice_range slices;
  /// The revision of the handler, see `projection_options::revision`.
  std::int32_t revision = 1;
  /// The checkpoint: events of the range up to this are handled or put away.
  std::uint64_t seq_no = 0;
  /// See `range_lease::epoch`.
  std::uint64_t epoch = 0;
  /// See `range_lease::mark`.
  std::uint64_t mark = 0;
  /// See `range_lease::barrier`.
  std::optional<std::uint64_t> barrier;
  /// Where the process of the owner runs; empty where nobody who is alive owns
  /// the range.
  std::string host;
  /// Who runs it, as far as the database knows; nothing for nobody.
  std::optional<uuid> owner;
  /// Empty where nothing is wrong.
  std::string error;
  /// The event that cannot be handled, 0 where there is none.
  std::uint64_t failed_seq_no = 0;
  /// Whether it is given up until somebody says `run`.
  bool halted = false;
};

/// What the database says of a projection.
struct projection_status {
  /// The name it was declared with.
  std::string name;
  /// The version of the view that is live.
  std::int32_t version = 1;
  /// The version that is being built beside it.
  std::optional<std::int32_t> building;
  /// Whether an operator has paused it, in all processes.
  bool paused = false;
  /// Events before this are none of its business.
  std::optional<timestamp> since;
  /// How many ranges a rescale under way will leave.
  std::optional<std::uint16_t> rescale_to;
  /// Whether an operator asks for something, see `take_request`.
  bool requested = false;
  /// All ranges of all versions.
  std::vector<range_status> ranges;
};

/// How much of the journal waits for a projection.
struct projection_lag {
  /// The number of events that wait, exact up to `max_counted`.
  std::uint64_t events = 0;
  /// Whether there are more than that, or may be: where few events pass the
  /// filter, only so many are looked at.
  bool more = false;
  /// The age of the oldest of them by the database's clock.
  std::chrono::microseconds age{0};

  /// Beyond so many waiting events nobody counts.
  static constexpr std::uint64_t max_counted = 10'000;
};

/// A transaction that holds the frontier back.
struct frontier_holder {
  /// The server process, 0 for a prepared transaction.
  std::int32_t pid = 0;
  /// How long the transaction has been open, by the database's clock.
  std::chrono::microseconds age{0};
  /// What `pg_stat_activity.state` says, for example `idle in transaction`.
  std::string state;
  /// What it does or did last; for a prepared transaction its name.
  std::string query;
};

// -- dead letters -------------------------------------------------------------

/// Why an event is a dead letter.
enum class letter_kind : std::uint8_t {
  /// It could not be handled.
  parked,
  /// An earlier event of its entity is parked.
  behind,
  /// It was left out for good.
  skipped,
};

/// Returns the name of `kind`: parked, behind or skipped.
EVENTED_EXPORT std::string_view to_string(letter_kind kind) noexcept;

/// An event that a projection could not handle.
struct dead_letter {
  /// Whose event it is.
  /// @{
  std::string type_name;
  entity_id id;
  /// @}
  /// Its sequence number.
  std::uint64_t seq_no = 0;
  /// Why it is here.
  letter_kind kind = letter_kind::parked;
  /// What the handler failed with.
  std::string error;
};

// -- requests -----------------------------------------------------------------

/// What an operator, who has no handle, can ask of a projection's processes.
enum class request_kind : std::uint8_t { reset, rebuild, replay };

/// Something that an operator asks for, of a process that knows the handler and
/// the view.
struct projection_request {
  /// Identifies the request, see `end_request`.
  std::uint64_t id = 0;
  /// What is asked for.
  request_kind kind = request_kind::reset;
  /// For a reset: where to begin; nothing for where it began.
  std::optional<start_position> start;
  /// For a replay: whose dead letters.
  std::string type_name;
  /// See `type_name`.
  entity_id entity;
};

// -- sessions -----------------------------------------------------------------

/// Says that a range is no longer the caller's. Nothing was committed.
class EVENTED_EXPORT fenced : public error {
public:
  /// @param what which range, for the log
  explicit fenced(const std::string& what) : error(errc::conflict, what) {
    // nop
  }
};

/// One step of a range: what is committed together. `work` may still change
/// the other members.
struct projection_step {
  /// The checkpoint afterwards.
  std::uint64_t up_to = 0;
  /// Events that are not handled but put away.
  std::vector<dead_letter> letters;
  /// Writes the view; null where there is nothing to write.
  std::function<void(transaction&)> work;
};

/// One connection that runs projections. Used by one thread at a time. Every
/// member throws `connection_lost`, after which the session is of no more use,
/// or `sql_error`.
class EVENTED_EXPORT projection_session {
public:
  virtual ~projection_session() = default;

  // -- life -------------------------------------------------------------------

  /// Makes the projection where it is not there yet, with `ranges` ranges that
  /// share the slices evenly.
  /// @throws error(invalid_options) where the name is not 1 to 200 characters
  ///         of `[A-Za-z0-9_.:-]`
  virtual void declare(std::string_view name, std::int32_t revision,
                       std::uint16_t ranges, const start_position& start)
    = 0;

  /// Returns the sequence number and the time that `start` means now: what comes
  /// after both is wanted.
  virtual event_position resolve(const start_position& start) = 0;

  /// Returns what the database knows of a projection.
  /// @throws error(unknown_projection)
  virtual projection_status status(std::string_view name) = 0;

  /// Takes a range, unless it is paused, halted, of another revision, or held
  /// by somebody who is alive.
  virtual std::optional<range_lease>
  acquire(const range_key& key, std::int32_t revision, const uuid& owner) = 0;

  /// Takes what an operator asks of the projection; nobody else gets it then.
  virtual std::optional<projection_request> take_request(std::string_view name)
    = 0;

  /// Tells the operator what came of it.
  /// @param error empty where nothing went wrong
  /// @param count how many dead letters were replayed
  virtual void end_request(std::uint64_t id, std::string_view error,
                           std::uint64_t count)
    = 0;

  /// Gives a range back, so that others need not wait.
  virtual void release(const range_lease& lease) = 0;

  /// Gives back whatever the runner `owner` holds; it is not to come back.
  virtual void forget(const uuid& owner) = 0;

  // -- running ----------------------------------------------------------------

  /// Runs `step.work` in a transaction and commits it with the letters and the
  /// checkpoint, then moves `lease.seq_no`. Where the connection breaks at the
  /// commit, acquiring the range anew tells what became of it.
  /// @throws fenced, or what `step.work` throws after the transaction was
  ///         rolled back; a statement that failed and was caught inside of it
  ///         is thrown as `error(handler_failed)`
  virtual void commit(range_lease& lease, projection_step& step) = 0;

  /// Returns for each of `entries` whether an earlier event of its entity is
  /// parked. Holds as long as the lease does.
  virtual std::vector<bool> behind(const range_lease& lease,
                                   std::span<const journal_entry> entries)
    = 0;

  /// Stores what is wrong with a range, and whether it is given up.
  /// @throws fenced
  virtual void report(const range_lease& lease, std::string_view error,
                      std::uint64_t failed_seq_no, bool halted)
    = 0;

  // -- watching ---------------------------------------------------------------

  /// See `store_session::read`. For reading ahead: not on a connection that
  /// runs handlers, since it tells the planner how to read.
  virtual read_result read(const event_filter& filter, std::uint64_t after,
                           std::uint64_t up_to, std::size_t limit)
    = 0;

  /// Returns how much waits for one range.
  virtual projection_lag lag(const event_filter& filter, std::uint64_t after)
    = 0;

  /// Returns who holds the frontier back, the oldest first.
  virtual std::vector<frontier_holder> frontier_holders() = 0;

  /// Returns what became of an event: nothing where it was handled, or is yet
  /// to be.
  virtual std::optional<letter_kind> fate(const range_key& key,
                                          std::uint64_t seq_no)
    = 0;

  /// Returns dead letters in the order of seq_no, at most `limit`.
  virtual std::vector<dead_letter>
  letters(std::string_view name, std::uint64_t after, std::size_t limit) = 0;

  // -- changes from outside ---------------------------------------------------
  //
  // Each takes the ranges from their owners, whose open transactions can then
  // not be committed. They throw error(unknown_projection), or error(not_now)
  // where a rescale or rebuild is in the way. Where they meet a handler in a
  // deadlock, they begin anew, and so call `work` again.

  /// Stores that nobody is to run the projection, or that it may run again.
  virtual void pause(std::string_view name, bool paused) = 0;

  /// Lets halted ranges run again.
  virtual void unhalt(std::string_view name) = 0;

  /// Runs `work(tx, version)`, which empties the view, and begins anew in the
  /// same transaction: where the projection began, unless `start` says so.
  virtual void
  reset(std::string_view name, const std::optional<start_position>& start,
        const std::function<void(transaction&, std::int32_t)>& work)
    = 0;

  /// Leaves the event `seq_no` out for good where it is the next one of its
  /// range that passes `filter`. Returns whether it was.
  virtual bool skip(std::string_view name, const event_filter& filter,
                    std::uint64_t seq_no)
    = 0;

  /// Begins to share the slices among `ranges` ranges.
  virtual void rescale(std::string_view name, std::uint16_t ranges) = 0;

  /// Ends a rescale once all ranges are at the barrier. Returns whether none is
  /// under way any more.
  virtual bool finish_rescale(std::string_view name) = 0;

  /// Runs `work(tx, version)`, which makes room for the next version of the
  /// view, and begins to build it. Returns that version. Without a revision of
  /// the handler, the live version's.
  virtual std::int32_t
  rebuild(std::string_view name, std::optional<std::int32_t> revision,
          const std::function<void(transaction&, std::int32_t)>& work)
    = 0;

  /// Stops the live version where it is, so that the next one can catch up.
  virtual void approach_swap(std::string_view name) = 0;

  /// Makes the next version the live one where both have handled the same
  /// events; runs `work(tx, old, new)` in the same transaction. Returns whether
  /// it did.
  virtual bool swap(
    std::string_view name,
    const std::function<void(transaction&, std::int32_t, std::int32_t)>& work)
    = 0;

  /// Hands the dead letters of one entity to `work`, in order and in one
  /// transaction with their removal; skipped ones stay. Returns how many there
  /// were.
  /// @throws what `work` throws; the letters then stay
  virtual std::size_t
  replay(std::string_view name, std::string_view type_name, const entity_id& id,
         const std::function<void(const journal_entry&, transaction&)>& work)
    = 0;

  /// Forgets one dead letter. Those behind it wait for a replay. Returns
  /// whether it was there.
  virtual bool drop(std::string_view name, std::uint64_t seq_no) = 0;
};

} // namespace evented
