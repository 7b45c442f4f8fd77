#pragma once

#include "detail/pq.hpp"

#include <evented/store.hpp>

#include <limits>
#include <span>
#include <string>
#include <vector>

namespace evented::detail {

/// One call of the append function: what goes out, and what comes back.
class append_call {
public:
  // -- member types -----------------------------------------------------------

  /// What the database says of one step.
  struct outcome {
    append_request* request = nullptr;
    append_step* step = nullptr;
    append_status status = append_status::pending;
    /// Whether an earlier attempt has stored it.
    bool found = false;
    /// One per event.
    std::vector<std::uint64_t> seq_nos;
    errc failure = errc::none;
    std::string message;
    std::any veto;
    remembered_command earlier = {};
  };

  struct outcomes {
    std::vector<outcome> steps;
  };

  // -- constructors -----------------------------------------------------------

  /// Collects the pending steps of `requests`, at most `limit` per request,
  /// after leaving out the first `skip` of them.
  append_call(const journal_options& options,
              std::span<append_request* const> requests,
              std::size_t limit = std::numeric_limits<std::size_t>::max(),
              std::size_t skip = 0);

  // -- properties -------------------------------------------------------------

  [[nodiscard]] bool empty() const noexcept {
    return writes_.empty() && checks_.empty();
  }

  /// Returns whether an earlier attempt may have stored some of it.
  [[nodiscard]] bool maybe_sent() const noexcept;

  /// Returns whether it is a single event without tags, of a command without an
  /// ID and messages, that no earlier attempt may have stored.
  [[nodiscard]] bool is_plain_event() const noexcept;

  /// Returns the parameters of the function that stores a plain event, in order.
  std::array<pq::binary, 9> event_parameters() const;

  /// Returns the parameters of the append function, in order.
  std::array<pq::binary, 30> parameters() const;

  /// Returns what a result of the append function says of the steps, writes
  /// first. Checks that were not sent, since a later write answers them, are
  /// settled by `apply`.
  outcomes read(const pqxx::result& result) const;

  /// Returns outcomes that say that every step failed.
  outcomes all_failed(errc code, const std::string& why) const;

  // -- modifiers --------------------------------------------------------------

  /// Writes outcomes into the steps.
  void apply(outcomes& from);

  void take(const pqxx::result& result) {
    auto x = read(result);
    apply(x);
  }

  /// Takes the number under which a plain event was stored.
  void take(std::uint64_t seq_no);

  /// Notes that the connection broke after the steps had been sent.
  void mark_sent();

  /// Notes what is in the way of steps that stay pending.
  void note(const std::string& why);

  /// Settles what follows from the steps that are decided: checks that a later
  /// write answers, and steps that rest on one that was not stored.
  static void settle(append_request& request);

  /// Fails all steps of this call.
  void fail(errc code, const std::string& why);

private:
  struct item {
    append_request* request;
    append_step* step;
    std::int32_t entity;
    bool opens;
    /// Whether a later write shows that the entity is where this step, which
    /// has no events, wants it.
    bool proved = false;
  };

  static bool has_tags(const item& x);

  id_kind ids_;
  codec payloads_;
  std::vector<append_request*> requests_;
  /// Steps with events or with a command ID.
  std::vector<item> writes_;
  std::vector<item> checks_;
};

} // namespace evented::detail
