#include <evented/range_batch.hpp>
#include <evented/sql_error.hpp>
#include <evented/utf8.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>

namespace evented {

void effects::run() {
  auto list = std::move(list_);
  list_.clear();
  for (auto& f : list) {
    try {
      f();
    } catch (const std::exception& e) {
      SPDLOG_WARN("evented: an effect of a projection threw: {}", e.what());
    } catch (...) {
      SPDLOG_WARN("evented: an effect of a projection threw something that is "
                  "no std::exception");
    }
  }
}

namespace {

dead_letter letter(const journal_entry& x, letter_kind kind, std::string why) {
  return {x.type_name, x.id, x.event.seq_no, kind, std::move(why)};
}

/// One transaction over a part of a batch.
class attempt {
public:
  attempt(projection_session& session, const projection_handler& handler,
          range_batch& x, const std::atomic<bool>& stop)
    : session_(session), handler_(handler), x_(x), stop_(stop) {
    // nop
  }

  /// Tries the next `count` entries and moves on where they are committed, which
  /// are fewer where the stop flag was seen.
  void run(std::size_t count) {
    handled_ = 0;
    took_part_ = false;
    fx_.clear();
    auto rest = std::span{x_.entries}.subspan(x_.next, count);
    auto behind = session_.behind(x_.lease, rest);
    projection_step step;
    auto finish = [&] {
      for (std::size_t i = 0; i < handled_; ++i)
        if (behind[i])
          step.letters.push_back(
            letter(rest[i], letter_kind::behind,
                   "an earlier event of this entity is parked"));
      step.up_to = checkpoint(handled_);
    };
    if (std::all_of(behind.begin(), behind.end(), [](bool b) { return b; })) {
      handled_ = count;
      finish();
    } else {
      step.work = [&](transaction& tx) {
        took_part_ = true;
        handle(rest, behind, tx);
        finish();
      };
    }
    session_.commit(x_.lease, step);
    x_.next += handled_;
    fx_.run();
  }

  /// Returns how many entries the handler had done with when it threw.
  [[nodiscard]] std::size_t handled() const noexcept { return handled_; }

  /// Returns whether the handler, and so the events, had a part in what `run`
  /// has thrown.
  [[nodiscard]] bool handler_took_part() const noexcept { return took_part_; }

  /// Checks whether `e`, which `run` has thrown, says nothing about the events:
  /// a deadlock or serialization failure (class 40), a lack of resources (53),
  /// an I/O error (58), or that somebody else has locked the view (55P03).
  [[nodiscard]] bool is_obstacle(const sql_error& e) const {
    auto& x = e.sqlstate();
    return !took_part_ || x.starts_with("40") || x.starts_with("53")
           || x.starts_with("58") || x == "55P03";
  }

private:
  void handle(std::span<const journal_entry> rest,
              const std::vector<bool>& behind, transaction& tx) {
    handling common{x_.lease.key.version, x_.lease.mark};
    if (handler_.takes_batches()) {
      std::vector<const journal_entry*> list;
      list.reserve(rest.size());
      for (std::size_t i = 0; i < rest.size(); ++i)
        if (!behind[i])
          list.push_back(&rest[i]);
      handler_.handle(list, common, tx, fx_);
      handled_ = rest.size();
      return;
    }
    for (; handled_ < rest.size(); ++handled_) {
      if (stop_ && handled_ > 0)
        return;
      const journal_entry* one = &rest[handled_];
      if (!behind[handled_])
        handler_.handle({&one, 1}, common, tx, fx_);
    }
  }

  /// Returns the checkpoint after the next `count` entries.
  [[nodiscard]] std::uint64_t checkpoint(std::size_t count) const {
    auto end = x_.next + count;
    if (end == x_.entries.size())
      return x_.up_to;
    return end == 0 ? x_.lease.seq_no : x_.entries[end - 1].event.seq_no;
  }

  projection_session& session_;
  const projection_handler& handler_;
  range_batch& x_;
  const std::atomic<bool>& stop_;
  effects fx_;
  std::size_t handled_ = 0;
  bool took_part_ = false;
};

} // namespace

void handle_batch(projection_session& session,
                  const projection_handler& handler, range_batch& x, bool alone,
                  const std::atomic<bool>& stop) {
  attempt current{session, handler, x, stop};
  x.error.clear();
  auto size = alone ? std::size_t{1} : x.entries.size();
  // The entry that has failed, once it is known which one.
  auto poison = x.entries.size();
  auto obstacles = 0;
  for (;;) {
    auto left = x.entries.size() - x.next;
    if (left == 0 && x.lease.seq_no >= x.up_to) {
      x.outcome = batch_outcome::committed;
      return;
    }
    if (left > 0 && x.next == poison) {
      x.outcome = batch_outcome::failed;
      return;
    }
    // Never twice, whoever made a mistake: the caller has to begin anew.
    if (left > 0 && x.entries[x.next].event.seq_no <= x.lease.seq_no) {
      x.outcome = batch_outcome::fenced;
      return;
    }
    if (stop) {
      x.outcome = batch_outcome::stopped;
      return;
    }
    auto count = std::min(size, left);
    // Called for whatever the application throws. What came before the entry
    // that failed is done again and committed; a batch is halved until the
    // culprit is alone.
    auto on_failure = [&](const char* what) {
      x.error = what;
      if (count <= 1)
        poison = x.next;
      else if (handler.takes_batches() || current.handled() >= count)
        size = count / 2; // the commit itself may have failed
      else if (poison = x.next + current.handled(); poison > x.next)
        size = poison - x.next;
    };
    try {
      current.run(count);
      obstacles = 0;
      // After what had to be alone, the rest goes together.
      if (alone || !handler.takes_batches())
        size = x.entries.size();
      alone = false;
    } catch (const connection_lost&) {
      throw;
    } catch (const fenced&) {
      x.outcome = batch_outcome::fenced;
      return;
    } catch (const sql_error& e) {
      if (!current.is_obstacle(e)) {
        on_failure(e.what());
        continue;
      }
      x.error = e.what();
      // A deadlock is gone at once, whoever was its victim.
      if (++obstacles < 3 && e.sqlstate().starts_with("40"))
        continue;
      x.outcome = batch_outcome::obstructed;
      return;
    } catch (const std::exception& e) {
      if (!current.handler_took_part()) {
        x.error = e.what();
        x.outcome = batch_outcome::obstructed;
        return;
      }
      on_failure(e.what());
    } catch (...) {
      on_failure("the handler threw something that is no std::exception");
    }
  }
}

void put_away(projection_session& session, range_batch& x, letter_kind kind,
              const std::string& why) {
  auto& entry = x.entries.at(x.next);
  projection_step step;
  step.up_to = x.next + 1 == x.entries.size() ? x.up_to : entry.event.seq_no;
  step.letters.push_back(letter(entry, kind, make_text(why, 2000)));
  try {
    session.commit(x.lease, step);
    ++x.next;
    x.outcome = batch_outcome::committed;
  } catch (const fenced&) {
    x.outcome = batch_outcome::fenced;
  } catch (const sql_error& e) {
    // The event stays where it is, and the caller has to say so.
    x.error = std::string{"the dead letter cannot be stored: "} + e.what();
    x.outcome = batch_outcome::obstructed;
  }
}

} // namespace evented
