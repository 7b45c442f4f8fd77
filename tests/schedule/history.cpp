#include "schedule/history.hpp"

#include <algorithm>

namespace evented::test {

namespace {

reply read_answer(const caf::message& what) {
  reply result;
  if (what.match_elements<accepted>()) {
    auto& x = what.get_as<accepted>(0);
    result.version = x.version;
    result.seq_no = x.seq_no;
  } else if (what.match_elements<accepted, std::int64_t>()) {
    auto& x = what.get_as<accepted>(0);
    result.version = x.version;
    result.seq_no = x.seq_no;
    result.total = what.get_as<std::int64_t>(1);
  } else if (what.match_elements<seen>()) {
    auto& x = what.get_as<seen>(0);
    result.version = x.version;
    result.total = x.total;
  } else if (what.match_elements<caf::error>()) {
    auto& x = what.get_as<caf::error>(0);
    result.code = code_of(x);
    if (auto why = rejection<too_little>(x)) {
      result.version = why->version;
      result.total = why->total;
    } else if (auto actual = actual_version(x)) {
      result.version = *actual;
    } else {
      result.text = text_of(x);
    }
    if (result.code == errc::none) {
      result.code = errc::unknown_command;
      result.text = "an error of CAF, code " + std::to_string(x.code());
    }
  } else {
    result.code = errc::unknown_command;
    result.text = "an answer of another type";
  }
  return result;
}

} // namespace

std::string to_string(const reply& x) {
  auto result = x.code == errc::none ? "ok" : std::string{to_string(x.code)};
  result += "@" + std::to_string(x.version);
  if (x.seq_no > 0)
    result += "#" + std::to_string(x.seq_no);
  if (x.total)
    result += "=" + std::to_string(*x.total);
  if (!x.text.empty())
    result += " (" + x.text + ")";
  return result;
}

std::string to_string(const wish& x) {
  static constexpr std::array names{"add",     "take_out",   "spoil",
                                    "stumble", "ask_memory", "ask_journal"};
  auto result = std::string{names[static_cast<std::size_t>(x.kind)]} + " #"
                + std::to_string(x.key) + " of " + std::to_string(x.amount)
                + " x " + std::to_string(x.parts) + " to "
                + std::to_string(x.entity);
  if (!x.id.empty())
    result += " id " + x.id;
  if (x.expected)
    result += " expect " + std::to_string(*x.expected);
  return result;
}

history::history(std::unique_ptr<store_session> session)
  : session_(std::move(session)) {
  // nop
}

// -- what happens -------------------------------------------------------------

std::size_t history::wished(wish x) {
  by_key_.emplace(x.key, wishes_.size());
  wishes_.push_back({std::move(x), {}, std::nullopt});
  return wishes_.size() - 1;
}

std::size_t history::asked(std::size_t number, std::size_t process) {
  auto& x = wishes_[number];
  refresh(x.what.entity);
  attempt result;
  result.wish = number;
  result.process = process;
  result.version = events_[x.what.entity].size();
  result.known = processes_[process].known[x.what.entity];
  attempts_.push_back(std::move(result));
  x.attempts.push_back(attempts_.size() - 1);
  ++open_;
  return attempts_.size() - 1;
}

void history::answered(std::size_t number, const caf::message& what) {
  auto& x = attempts_[number];
  if (processes_[x.process].gone)
    return;
  auto found = read_answer(what);
  if (!x.open) {
    fail(x, "was answered again, with " + to_string(found));
    return;
  }
  x.open = false;
  --open_;
  x.answer = found;
  refresh(wishes_[x.wish].what.entity);
  check(x, found);
  if (definite(found))
    check_definite(x, number, found);
}

void history::crashed(std::size_t process) {
  processes_[process].gone = true;
  for (auto& x : attempts_)
    if (x.process == process && x.open) {
      x.open = false;
      --open_;
    }
}

void history::stopped(std::size_t process) {
  processes_[process].stopped = true;
}

void history::read(const std::vector<journal_entry>& entries) {
  for (auto& x : entries) {
    if (!read_.empty() && x.event.seq_no <= read_.back())
      fail("the reader has read seq_no " + std::to_string(x.event.seq_no)
           + " after " + std::to_string(read_.back()));
    read_.push_back(x.event.seq_no);
  }
}

void history::finish() {
  std::vector<std::uint64_t> all;
  for (auto& [entity, events] : events_) {
    refresh(entity);
    for (auto& x : events)
      all.push_back(x.seq_no);
    check_load(entity);
  }
  std::sort(all.begin(), all.end());
  if (all != read_)
    fail("the reader has read " + std::to_string(read_.size()) + " of "
         + std::to_string(all.size()) + " events");
  for (auto& x : attempts_)
    if (x.open)
      fail(x, "was never answered");
  for (auto& x : wishes_)
    check_wish(x);
  std::map<std::pair<std::int64_t, std::string>, std::uint64_t> ids;
  for (auto& x : wishes_) {
    if (x.what.id.empty() || !(x.answer || places_.contains(x.what.key)))
      continue;
    auto [where, is_new]
      = ids.emplace(std::pair{x.what.entity, x.what.id}, x.what.key);
    if (!is_new)
      fail("two commands with the ID " + x.what.id + " took effect: #"
           + std::to_string(where->second) + " and #"
           + std::to_string(x.what.key));
  }
}

// -- properties ---------------------------------------------------------------

bool history::unsettled(std::size_t number) const {
  auto& x = wishes_[number];
  if (x.answer)
    return false;
  auto& last = attempts_[x.attempts.back()];
  return !last.open
         && (!last.answer || last.answer->code == errc::outcome_unknown
             || last.answer->code == errc::unavailable);
}

std::uint64_t history::version(std::int64_t entity) {
  refresh(entity);
  return events_[entity].size();
}

// -- the journal --------------------------------------------------------------

void history::fail(const std::string& why) {
  if (wrong_.empty())
    wrong_ = why;
}

void history::fail(const attempt& which, const std::string& why) {
  fail(to_string(wishes_[which.wish].what) + ", sent to process "
       + std::to_string(which.process) + " at version "
       + std::to_string(which.version) + ": " + why);
}

void history::refresh(std::int64_t entity) {
  auto& known = events_[entity];
  load_request what{"vault", entity, known.size(), false};
  auto news = session_->load({&what, 1}, 100'000);
  for (auto& x : news[0].events)
    append(entity, x);
}

void history::append(std::int64_t entity, const stored_event& from) {
  auto& to = events_[entity];
  if (from.version != to.size() + 1)
    fail("a hole before version " + std::to_string(from.version));
  if (!to.empty() && from.seq_no <= to.back().seq_no)
    fail("seq_no does not grow with the version");
  auto content = from_json<moved>(from.payload);
  auto total = (to.empty() ? 0 : to.back().total) + content.amount;
  to.push_back({content.key, from.seq_no, total});
  if (content.key == 0)
    return;
  auto& where = places_[content.key];
  auto by = by_key_.find(content.key);
  if (by == by_key_.end()) {
    fail("an event of nobody");
    return;
  }
  if (where.count > 0 && where.last_version + 1 != from.version)
    fail("the events of #" + std::to_string(content.key)
         + " are torn apart, or stored twice");
  where = {entity, from.version, where.count + 1};
  auto& wished = wishes_[by->second].what;
  if (where.count > parts(wished) || wished.entity != entity)
    fail("more events than asked for by " + to_string(wished));
}

std::int64_t history::total_at(std::int64_t entity,
                               std::uint64_t version) const {
  return version == 0 ? 0 : events_.at(entity)[version - 1].total;
}

std::uint64_t history::parts(const wish& x) {
  switch (x.kind) {
  case request_kind::add:
    return x.parts;
  case request_kind::take_out:
    return 1;
  default:
    return 0;
  }
}

std::uint64_t history::events_of(const wish& x) const {
  auto where = places_.find(x.key);
  return where == places_.end() ? 0 : where->second.count;
}

std::uint64_t history::first_version(const entry& x) const {
  return attempts_[x.attempts.front()].version;
}

} // namespace evented::test
