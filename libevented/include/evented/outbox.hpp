#pragma once

#include <evented/entity_id.hpp>
#include <evented/uuid.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace evented {

// What a store_session hands out of the outbox, and takes back. A message goes
// out at least once: it is claimed for some time, sent, and completed once its
// receiver has acknowledged it. A claim that runs out is free for everybody.

/// Says which messages of an entity type somebody is able to deliver.
struct message_claim {
  /// The entity type that sends them.
  std::string type_name;
  /// The names of the receivers.
  std::vector<std::string> targets;
  /// How long the messages belong to whoever claims them.
  std::chrono::milliseconds lease{0};
  /// The most that one claim takes.
  std::size_t limit = 0;
};

/// A message that was claimed.
struct claimed_message {
  /// Unique in the journal, and its place in the order of commits.
  std::uint64_t id = 0;
  /// Shows who has claimed it, when it is given back.
  uuid claim;
  /// The entity that sends it.
  entity_id entity;
  /// The version after the command that has sent it.
  std::uint64_t version = 0;
  /// Of that command, see `append_step::append_id`.
  uuid append_id;
  /// The name of the receiver, see `outgoing_message::target`.
  std::string target;
  /// See `outgoing_message::message`.
  std::string message;
  /// How many attempts have failed.
  std::uint32_t attempts = 0;
};

/// What came of a claim.
struct claimed_messages {
  /// Of one entity and target at most one: the next one waits until this one is
  /// completed.
  std::vector<claimed_message> messages;
  /// After how long the next message that has a time falls due, or zero where
  /// there is more to look at than one call does.
  std::optional<std::chrono::milliseconds> next = {};
};

/// What became of a claimed message.
struct settled_message {
  /// See `claimed_message::id`.
  std::uint64_t id = 0;
  /// See `claimed_message::claim`.
  uuid claim;
  /// Where it was not delivered: after how long to try again.
  std::optional<std::chrono::milliseconds> again = {};
  /// Whether that counts as a failed attempt.
  bool failed = true;
};

} // namespace evented
