#pragma once

#include <evented/actors/seam.hpp>
#include <evented/entity_id.hpp>
#include <evented/export.hpp>
#include <evented/projection_store.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace evented {

// -- requests -----------------------------------------------------------------

/// Messages that control a projection, sent or requested from any actor on any
/// node. Unless said otherwise, the answer is `control::done`, once it has taken
/// effect, or an error of the category `evented`.
namespace control {

/// Answers a request that has no other answer.
struct done {};

/// Runs the projection in this process, and lets ranges run again that an error
/// has stopped. Where another process runs it, this one stands by.
struct run {};

/// Ends running it in this process; another one that stands by takes over.
/// Answered when no handler runs any more, at the latest after the event that
/// is being handled.
struct stop {};

/// Answered with `projection_state`.
struct get_state {};

/// Ends running it in all processes, until `resume`. Stored.
struct pause {};

/// Takes `pause` back.
struct resume {};

/// Empties the view (see `projection_options::on_reset`) and begins anew, where
/// the projection began unless `start` is set.
struct EVENTED_EXPORT reset {
  /// Carry what the constructor was given.
  /// @{
  bool move = false;
  bool from_now = false;
  std::int64_t since = 0;
  std::uint64_t after = 0;
  /// @}

  reset() = default;

  /// Begins somewhere else, now and after later resets.
  explicit reset(const start_position& start);

  /// Returns what the constructor was given, nothing for the default.
  [[nodiscard]] std::optional<start_position> start() const;
};

/// Leaves the event `seq_no` out for good, where it is the next one of its
/// range; else the answer is `errc::not_now`.
struct skip {
  /// Its sequence number.
  std::uint64_t seq_no = 0;
};

/// Shares the slices among `ranges` ranges, each with a runner and a checkpoint
/// of its own. Answered when it has begun; `projection_state::ranges` tells when
/// it has ended.
struct rescale {
  /// 1 to 1024.
  std::uint32_t ranges = 1;
};

/// Builds the next version of the view beside the live one and swaps them when
/// it has caught up. Answered when it has begun.
struct rebuild {};

/// Waits until the event `seq_no` of the entity is in the view; answered with
/// `reached`, or `errc::timed_out`.
struct wait_until {
  /// The slice of the entity.
  std::uint16_t slice = 0;
  /// See `accepted::seq_no`.
  std::uint64_t seq_no = 0;
  /// How long to wait, in milliseconds.
  std::int64_t timeout_ms = 0;

  wait_until() = default;

  /// @param seq_no from `accepted`
  wait_until(const entity_id& id, std::uint64_t seq_no,
             std::chrono::milliseconds timeout)
    : slice(slice_of(id)), seq_no(seq_no), timeout_ms(timeout.count()) {
    // nop
  }
};

/// Answered with `dead_letters`: at most `limit` after `after`.
struct get_letters {
  /// A sequence number; 0 for the first letters.
  std::uint64_t after = 0;
  /// The most that one answer holds.
  std::uint32_t limit = 100;
};

/// Hands the dead letters of one entity to the handler again, in order and in
/// one transaction; answered with `replayed_letters`, or with what the handler
/// fails with.
struct replay {
  /// See `journal_entry::type_name`.
  std::string type_name;
  /// As `to_string(entity_id)` writes it.
  std::string id;
};

/// Forgets a dead letter; those behind it wait for a replay. `errc::not_now`
/// where there is none.
struct drop {
  /// Its sequence number.
  std::uint64_t seq_no = 0;
};

} // namespace control

// -- answers ------------------------------------------------------------------

/// How far one range of a projection is.
struct range_state {
  /// Its first and last slice.
  /// @{
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  /// @}
  /// The version of the view that it writes.
  std::int32_t version = 1;
  /// The checkpoint.
  std::uint64_t seq_no = 0;
  /// Where it runs, empty where nowhere.
  std::string owner;
  /// Whether it runs in the process that answers.
  bool here = false;
  /// Empty where nothing is wrong.
  std::string error;
  /// The event that could not be handled, 0 where there is none.
  std::uint64_t failed_seq_no = 0;
  /// Whether an error has stopped it until `control::run`.
  bool halted = false;
};

/// How a projection is.
struct projection_state {
  /// The name it was spawned with.
  std::string name;
  /// The version of its view that is live.
  std::int32_t version = 1;
  /// The version that is being built beside it, 0 where there is none.
  std::int32_t building = 0;
  /// Every event of its own at or below this is in the live view, parked or
  /// skipped.
  std::uint64_t seq_no = 0;
  /// Whether it was told to run in the process that answers.
  bool running = false;
  /// Whether it was told to rest in all processes.
  bool paused = false;
  /// Where it runs, the hosts of all ranges.
  std::string owner;
  /// The first error of a range, empty where there is none.
  std::string error;
  /// How many events wait; with `lag_more`, more than that.
  std::uint64_t lag_events = 0;
  /// See `lag_events`.
  bool lag_more = false;
  /// How long the oldest of them has waited, by the database's clock.
  double lag_seconds = 0;
  /// Whether it does what it should: what is wrong is in `health`.
  bool healthy = true;
  /// For humans; empty where it is healthy.
  std::string health;
  /// All ranges of the live version, and of the one that is being built.
  std::vector<range_state> ranges;
};

/// What became of the event that somebody has waited for.
struct reached {
  /// "handled", "parked", "behind" or "skipped", see `letter_kind`.
  std::string fate;
};

/// A dead letter, see `evented::dead_letter`.
struct letter {
  /// Whose event it is, see `replay`.
  /// @{
  std::string type_name;
  std::string id;
  /// @}
  /// Its sequence number.
  std::uint64_t seq_no = 0;
  /// "parked", "behind" or "skipped", see `letter_kind`.
  std::string kind;
  /// What the handler failed with.
  std::string error;
};

/// Answers `control::get_letters`.
struct dead_letters {
  /// In the order of seq_no.
  std::vector<letter> letters;
};

/// Answers `control::replay`.
struct replayed_letters {
  /// How many there were.
  std::uint64_t count = 0;
};

// -- inspection ---------------------------------------------------------------

namespace control {

#define EVENTED_EMPTY(name)                                                    \
  template <class Inspector>                                                   \
  auto inspect(Inspector& f, name& x) {                                        \
    return inspect_object(f, x, "evented::control::" #name);                   \
  }

EVENTED_EMPTY(done)
EVENTED_EMPTY(run)
EVENTED_EMPTY(stop)
EVENTED_EMPTY(get_state)
EVENTED_EMPTY(pause)
EVENTED_EMPTY(resume)
EVENTED_EMPTY(rebuild)

#undef EVENTED_EMPTY

template <class Inspector>
auto inspect(Inspector& f, reset& x) {
  return inspect_object(f, x, "evented::control::reset", field("move", x.move),
                        field("from_now", x.from_now), field("since", x.since),
                        field("after", x.after));
}

template <class Inspector>
auto inspect(Inspector& f, skip& x) {
  return inspect_object(f, x, "evented::control::skip",
                        field("seq_no", x.seq_no));
}

template <class Inspector>
auto inspect(Inspector& f, rescale& x) {
  return inspect_object(f, x, "evented::control::rescale",
                        field("ranges", x.ranges));
}

template <class Inspector>
auto inspect(Inspector& f, wait_until& x) {
  return inspect_object(f, x, "evented::control::wait_until",
                        field("slice", x.slice), field("seq_no", x.seq_no),
                        field("timeout_ms", x.timeout_ms));
}

template <class Inspector>
auto inspect(Inspector& f, get_letters& x) {
  return inspect_object(f, x, "evented::control::get_letters",
                        field("after", x.after), field("limit", x.limit));
}

template <class Inspector>
auto inspect(Inspector& f, replay& x) {
  return inspect_object(f, x, "evented::control::replay",
                        field("type_name", x.type_name), field("id", x.id));
}

template <class Inspector>
auto inspect(Inspector& f, drop& x) {
  return inspect_object(f, x, "evented::control::drop",
                        field("seq_no", x.seq_no));
}

} // namespace control

template <class Inspector>
auto inspect(Inspector& f, range_state& x) {
  return inspect_object(f, x, "evented::range_state", field("first", x.first),
                        field("last", x.last), field("version", x.version),
                        field("seq_no", x.seq_no), field("owner", x.owner),
                        field("here", x.here), field("error", x.error),
                        field("failed_seq_no", x.failed_seq_no),
                        field("halted", x.halted));
}

template <class Inspector>
auto inspect(Inspector& f, projection_state& x) {
  return inspect_object(
    f, x, "evented::projection_state", field("name", x.name),
    field("version", x.version), field("building", x.building),
    field("seq_no", x.seq_no), field("running", x.running),
    field("paused", x.paused), field("owner", x.owner), field("error", x.error),
    field("lag_events", x.lag_events), field("lag_more", x.lag_more),
    field("lag_seconds", x.lag_seconds), field("healthy", x.healthy),
    field("health", x.health), field("ranges", x.ranges));
}

template <class Inspector>
auto inspect(Inspector& f, reached& x) {
  return inspect_object(f, x, "evented::reached", field("fate", x.fate));
}

template <class Inspector>
auto inspect(Inspector& f, letter& x) {
  return inspect_object(
    f, x, "evented::letter", field("type_name", x.type_name), field("id", x.id),
    field("seq_no", x.seq_no), field("kind", x.kind), field("error", x.error));
}

template <class Inspector>
auto inspect(Inspector& f, dead_letters& x) {
  return inspect_object(f, x, "evented::dead_letters",
                        field("letters", x.letters));
}

template <class Inspector>
auto inspect(Inspector& f, replayed_letters& x) {
  return inspect_object(f, x, "evented::replayed_letters",
                        field("count", x.count));
}

} // namespace evented
