#pragma once

#include <evented/export.hpp>

#include <cereal/cereal.hpp>

#include <string>
#include <string_view>

namespace evented {

/// Says where a command came from. Travels with the command, is stored in the
/// metadata of its events, and reaches projections and subscriptions.
struct trace {
  /// Shared by everything that one request from outside has set off.
  std::string correlation_id;
  /// The ID of the message that has caused this one.
  std::string causation_id;
  /// The W3C trace context's header of this name (Trace Context, Level 1, 3.2).
  std::string traceparent;

  friend bool operator==(const trace&, const trace&) = default;

  /// Returns whether nothing is known.
  [[nodiscard]] bool empty() const noexcept {
    return correlation_id.empty() && causation_id.empty()
           && traceparent.empty();
  }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(correlation_id), CEREAL_NVP(causation_id),
            CEREAL_NVP(traceparent));
  }
};

/// Returns `metadata`, a JSON object or nothing, with `from` as its field
/// `"$trace"`.
/// @throws error(invalid_event) where PostgreSQL would refuse it
EVENTED_EXPORT std::string add_trace(std::string metadata, const trace& from);

/// Returns the trace in an event's metadata, an empty one where there is none.
EVENTED_EXPORT trace trace_of(std::string_view metadata);

/// Checks whether `metadata` is nothing, or nothing but a trace.
EVENTED_EXPORT bool only_trace(std::string_view metadata);

} // namespace evented
