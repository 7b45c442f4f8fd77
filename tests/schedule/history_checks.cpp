#include "schedule/history.hpp"

#include <algorithm>

namespace evented::test {

namespace {

bool is_query(request_kind x) {
  return x == request_kind::ask_memory || x == request_kind::ask_journal;
}

/// Whether an answer keeps its place among others.
bool ordered(const reply& x) {
  return definite(x) || x.code == errc::unexpected_version
         || x.code == errc::handler_failed || x.code == errc::invalid_event;
}

} // namespace

// -- checks -------------------------------------------------------------------

void history::check(attempt& x, const reply& found) {
  auto& what = wishes_[x.wish].what;
  auto length = events_[what.entity].size();
  if (found.version > length) {
    fail(x, to_string(found) + " although the journal is at version "
              + std::to_string(length));
    return;
  }
  if (found.code == errc::none && !is_query(what.kind))
    check_accepted(x, found);
  else if (found.code == errc::none || found.code == errc::rejected)
    check_state(x, found);
  else
    check_error(x, found);
  if (!ordered(found))
    return;
  auto& last = processes_[x.process].last[what.entity];
  auto number = static_cast<std::size_t>(&x - attempts_.data()) + 1;
  if (number < last)
    fail(x, "overtaken by an answer to a later one");
  last = number;
}

void history::check_accepted(const attempt& x, const reply& found) {
  auto& entry = wishes_[x.wish];
  auto& what = entry.what;
  if (what.kind != request_kind::add && what.kind != request_kind::take_out) {
    fail(x, "accepted");
    return;
  }
  auto& events = events_[what.entity];
  auto count = parts(what);
  if (count == 0) {
    if (found.seq_no != 0 || found.version < first_version(entry))
      fail(x, to_string(found) + " is not the version it rests on");
    return;
  }
  auto where = places_.find(what.key);
  if (where == places_.end() || where->second.count != count) {
    fail(x, to_string(found) + " but it is not in the journal");
    return;
  }
  if (where->second.last_version != found.version
      || events[found.version - 1].seq_no != found.seq_no)
    fail(x, to_string(found) + " but its last event has version "
              + std::to_string(where->second.last_version));
  if (found.total && *found.total != events[found.version - 1].total)
    fail(x, to_string(found) + " has a wrong reply");
  if (what.expected && found.version - count != *what.expected)
    fail(x, to_string(found) + " at a version that was not expected");
}

void history::check_state(const attempt& x, const reply& found) {
  auto& entry = wishes_[x.wish];
  auto& what = entry.what;
  if (!found.total || total_at(what.entity, found.version) != *found.total)
    fail(x, to_string(found) + " is not the state at that version, "
              + std::to_string(total_at(what.entity, found.version)));
  auto least = what.kind == request_kind::ask_memory ? x.known
               : what.id.empty()                     ? x.version
                                                     : first_version(entry);
  if (found.version < least)
    fail(x, to_string(found) + " rests on a state that is older than version "
              + std::to_string(least));
  if (found.code != errc::rejected)
    return;
  if (what.kind != request_kind::take_out || what.amount <= *found.total)
    fail(x, to_string(found) + " without a reason");
  if (events_of(what) > 0)
    fail(x, to_string(found) + " but stored");
}

void history::check_error(const attempt& x, const reply& found) {
  auto& what = wishes_[x.wish].what;
  auto& process = processes_[x.process];
  auto may = [&] {
    switch (found.code) {
    case errc::conflict:
      return !is_query(what.kind) || what.kind == request_kind::ask_journal;
    case errc::unexpected_version:
      return what.expected && *what.expected != found.version
             && found.version >= x.version;
    case errc::invalid_event:
      return what.kind == request_kind::spoil;
    case errc::handler_failed:
      return what.kind == request_kind::stumble;
    case errc::used_command_id:
      return !what.id.empty();
    case errc::unavailable:
      return allowed_.time_is_up;
    case errc::outcome_unknown:
      return (allowed_.time_is_up || process.stopped) && !is_query(what.kind);
    case errc::overloaded:
      return allowed_.full_queues;
    case errc::refused:
      return allowed_.refusals;
    case errc::shutting_down:
      return process.stopped;
    case errc::unknown_command:
      // The region was gone when the message arrived.
      return process.stopped;
    default:
      return false;
    }
  };
  if (!may())
    fail(x, to_string(found) + " for no reason");
}

void history::check_definite(attempt& x, std::size_t number,
                             const reply& found) {
  auto& entry = wishes_[x.wish];
  auto& known = processes_[x.process].known[entry.what.entity];
  known = std::max(known, found.version);
  if (entry.answer && *entry.answer != found && !entry.what.id.empty())
    fail(attempts_[number], to_string(found) + " after "
                              + to_string(*entry.answer)
                              + " was answered before");
  entry.answer = found;
}

void history::check_wish(const entry& x) {
  auto count = events_of(x.what);
  if (count == 0)
    return;
  if (count != parts(x.what))
    fail(to_string(x.what) + ": " + std::to_string(count)
         + " of its events are stored");
  if (x.answer && x.answer->code == errc::rejected)
    fail(to_string(x.what) + ": rejected but stored");
  auto maybe = std::any_of(x.attempts.begin(), x.attempts.end(), [&](auto i) {
    auto& y = attempts_[i];
    return !y.answer || y.answer->code == errc::none
           || y.answer->code == errc::outcome_unknown;
  });
  if (!maybe)
    fail(to_string(x.what) + ": stored, but answered with "
         + to_string(*attempts_[x.attempts.back()].answer));
}

void history::check_load(std::int64_t entity) {
  load_request what{"vault", entity, 0, true};
  auto found = session_->load({&what, 1}, 100'000)[0];
  if (!found.snapshot)
    return;
  auto& x = *found.snapshot;
  auto total = x.schema_version == 1 ? from_json<basic_vault<1>>(x.state).total
                                     : from_json<basic_vault<2>>(x.state).total;
  if (x.version > events_[entity].size()
      || total != total_at(entity, x.version))
    fail("the snapshot of " + std::to_string(entity) + " at version "
         + std::to_string(x.version) + " says " + std::to_string(total)
         + ", the events say " + std::to_string(total_at(entity, x.version)));
  if (x.version + found.events.size() != events_[entity].size())
    fail("a load from a snapshot does not end where the events end");
}

} // namespace evented::test
