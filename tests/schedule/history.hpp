#pragma once

// What was asked and answered in a schedule, and whether that can be.

#include "support/vault.hpp"

#include <evented/store.hpp>

#include <caf/message.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace evented::test {

/// Names what a command or query of a schedule is.
enum class request_kind : std::uint8_t {
  add,
  take_out,
  spoil,
  stumble,
  ask_memory,
  ask_journal,
};

/// What somebody wants, once or, with an ID, several times.
struct wish {
  request_kind kind = request_kind::add;
  std::int64_t entity = 0;
  std::uint64_t key = 0;
  std::int64_t amount = 0;
  std::uint64_t parts = 0;
  /// The command ID, empty where it has none.
  std::string id;
  std::optional<std::uint64_t> expected;
};

/// An answer in the form in which answers are compared.
struct reply {
  /// rejected where `too_little`, none for anything but an error.
  errc code = errc::none;
  std::uint64_t version = 0;
  std::uint64_t seq_no = 0;
  std::optional<std::int64_t> total;
  /// What it says, for anything else.
  std::string text;

  friend bool operator==(const reply&, const reply&) = default;
};

/// Whether an answer settles a command for ever, so that it must not change.
inline bool definite(const reply& x) {
  return x.code == errc::none || x.code == errc::rejected;
}

std::string to_string(const reply& x);

std::string to_string(const wish& x);

/// What a schedule may bring about besides definite answers.
struct allowances {
  /// The limits of time may be reached.
  bool time_is_up = false;
  bool refusals = false;
  bool full_queues = false;
};

/// Follows a journal and everything that is asked of it, and checks each answer
/// against the journal at that moment.
class history {
public:
  /// @param session reads the journal behind all faults
  explicit history(std::unique_ptr<store_session> session);

  // -- what happens -----------------------------------------------------------

  /// Sets what the schedule brings about.
  void allow(allowances x) { allowed_ = x; }

  /// Notes a wish; returns its number.
  std::size_t wished(wish x);

  /// Notes that a process was asked; returns the number of the attempt.
  std::size_t asked(std::size_t wish, std::size_t process);

  /// Notes the answer to an attempt.
  void answered(std::size_t attempt, const caf::message& what);

  /// Notes that a process is gone: its answers were never given.
  void crashed(std::size_t process);

  /// Notes that a process is being stopped: it may refuse commands.
  void stopped(std::size_t process);

  /// Notes what a reader has read.
  void read(const std::vector<journal_entry>& entries);

  /// Ends with a reason of the schedule's own.
  void give_up(const std::string& why) { fail(why); }

  /// Checks the whole, once nothing happens any more.
  void finish();

  // -- properties -------------------------------------------------------------

  /// Returns what is wrong, an empty text as long as nothing is.
  [[nodiscard]] const std::string& wrong() const noexcept { return wrong_; }

  [[nodiscard]] const wish& at(std::size_t wish) const {
    return wishes_[wish].what;
  }

  /// Returns whether nobody knows what became of the wish, so that somebody who
  /// has a command ID would ask again.
  [[nodiscard]] bool unsettled(std::size_t wish) const;

  /// Returns how many attempts wait for an answer.
  [[nodiscard]] std::size_t open() const noexcept { return open_; }

  /// Returns the version of an entity in the journal.
  std::uint64_t version(std::int64_t entity);

private:
  /// An event of an entity and the state after it.
  struct event {
    std::uint64_t key = 0;
    std::uint64_t seq_no = 0;
    std::int64_t total = 0;
  };

  /// Where the events of a wish stand.
  struct place {
    std::int64_t entity = 0;
    std::uint64_t last_version = 0;
    std::uint64_t count = 0;
  };

  struct attempt {
    std::size_t wish = 0;
    std::size_t process = 0;
    /// The entity's version when it was asked.
    std::uint64_t version = 0;
    /// The highest version that the process was known to know then.
    std::uint64_t known = 0;
    bool open = true;
    std::optional<reply> answer;
  };

  struct entry {
    wish what;
    std::vector<std::size_t> attempts;
    /// The first definite answer.
    std::optional<reply> answer;
  };

  struct process {
    bool gone = false;
    bool stopped = false;
    /// By entity: the highest version in an answer, and the last attempt that
    /// was answered definitely.
    std::map<std::int64_t, std::uint64_t> known;
    std::map<std::int64_t, std::size_t> last;
  };

  void fail(const std::string& why);
  void fail(const attempt& which, const std::string& why);
  void refresh(std::int64_t entity);
  void append(std::int64_t entity, const stored_event& from);
  [[nodiscard]] std::int64_t total_at(std::int64_t entity,
                                      std::uint64_t version) const;
  [[nodiscard]] std::uint64_t events_of(const wish& x) const;
  [[nodiscard]] std::uint64_t first_version(const entry& x) const;
  void check(attempt& x, const reply& found);
  void check_accepted(const attempt& x, const reply& found);
  void check_state(const attempt& x, const reply& found);
  void check_error(const attempt& x, const reply& found);
  void check_definite(attempt& x, std::size_t number, const reply& found);
  void check_wish(const entry& x);
  void check_load(std::int64_t entity);
  [[nodiscard]] static std::uint64_t parts(const wish& x);

  std::unique_ptr<store_session> session_;
  allowances allowed_;
  std::string wrong_;
  std::vector<entry> wishes_;
  std::vector<attempt> attempts_;
  std::map<std::size_t, process> processes_;
  std::map<std::int64_t, std::vector<event>> events_;
  std::map<std::uint64_t, place> places_;
  std::map<std::uint64_t, std::size_t> by_key_;
  std::vector<std::uint64_t> read_;
  std::size_t open_ = 0;
};

} // namespace evented::test
