#pragma once

#include <evented/export.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace evented {

/// Names the ways in which a command, a load or the opening of a journal fails.
/// Stored in `caf::error` as the category `evented`, hence `uint8_t` and 0 for
/// no error. Values are part of the wire format: append only.
enum class errc : std::uint8_t {
  /// No error.
  none = 0,
  /// The entity's handler or a listener rejected the command; the typed
  /// rejection is in the error. Nothing was stored.
  rejected,
  /// The message is no command of this entity type. Nothing was stored.
  unknown_command,
  /// The ID is of the wrong kind, empty, too long or not valid UTF-8. Nothing
  /// was stored.
  invalid_id,
  /// Other processes appended to this entity in every one of the rounds tried.
  /// Nothing was stored; trying again is safe.
  conflict,
  /// The command named a version that is not the entity's. Nothing was stored.
  unexpected_version,
  /// The entity's queue is full. Nothing was stored; try again later.
  overloaded,
  /// The database was out of reach in time and nothing had been sent to it.
  /// Nothing was stored; trying again is safe.
  unavailable,
  /// The command was sent to the database and its fate could not be found out
  /// in time: it may or may not have been stored, now or later.
  outcome_unknown,
  /// The command handler threw. Nothing was stored.
  handler_failed,
  /// The event listener threw, ran too long, swallowed a failed statement or
  /// tried to end the transaction. Nothing was stored.
  listener_failed,
  /// An event cannot be stored: not valid UTF-8, a NUL character, NaN or an
  /// infinity, or too large. Nothing was stored.
  invalid_event,
  /// The journal holds an event of this entity that has no decoder, that its
  /// decoder refuses, or on which `apply` threw. The entity cannot be rebuilt.
  corrupt_event,
  /// The database refused the append for a reason that trying again does not
  /// mend, for example a missing privilege. Nothing was stored.
  refused,
  /// The journal's schema is newer than this library, or made for another ID
  /// kind or codec, or it holds events that this program cannot read, or the
  /// server is too old or a standby.
  incompatible,
  /// The options of a journal or an entity type contradict themselves.
  invalid_options,
  /// The application is shutting down. Nothing was stored.
  shutting_down,
  /// There is no projection of this name in the journal.
  unknown_projection,
  /// The projection is not in the state that the request needs; the text says
  /// what is in the way. Nothing was changed.
  not_now,
  /// What was waited for did not come about in time.
  timed_out,
  /// Another command was stored under this command ID. Nothing was stored.
  used_command_id,
  /// A command with this ID was stored before, the text says how, but what it
  /// replied cannot be read any more. Nothing was stored now.
  unreadable_reply,
  /// An operator has archived the entity. Nothing was stored.
  archived,
  /// The node that owns the entity could not be reached in time, or nobody owned
  /// it. Nothing was stored; trying again is safe.
  unreachable,
};

/// Returns the name of `code`, for example `outcome_unknown`.
EVENTED_EXPORT std::string_view to_string(errc code) noexcept;

/// The root of all exceptions that this library throws. The text says which
/// entity and version are concerned and what to do, and holds no secret.
class EVENTED_EXPORT error : public std::runtime_error {
public:
  /// @param what which entity and version are concerned and what to do; no
  ///   secret
  error(errc code, const std::string& what)
    : std::runtime_error(what), code_(code) {
    // nop
  }

  /// Returns which kind of failure this is.
  [[nodiscard]] errc code() const noexcept { return code_; }

private:
  errc code_;
};

/// Thrown when the connection to the database breaks or cannot be made.
class EVENTED_EXPORT connection_lost : public error {
public:
  /// @param sent whether a statement that may have taken effect had been sent
  connection_lost(bool sent, const std::string& what)
    : error(sent ? errc::outcome_unknown : errc::unavailable, what) {
    // nop
  }

  /// Returns whether a statement that may have taken effect had been sent.
  [[nodiscard]] bool sent() const noexcept {
    return code() == errc::outcome_unknown;
  }
};

} // namespace evented
