#include "detail/append_call.hpp"

#include "detail/arrays.hpp"
#include "detail/event_rows.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace evented::detail {

namespace {

/// Returns the numbers of an array in text form, such as `{1,2,3}`.
std::vector<std::uint64_t> parse_numbers(std::string_view text) {
  std::vector<std::uint64_t> result;
  auto* at = text.data();
  auto* end = at + text.size();
  while (at != end) {
    std::uint64_t x = 0;
    auto [next, ec] = std::from_chars(at, end, x);
    if (ec == std::errc{})
      result.push_back(x);
    at = next == at ? at + 1 : next;
  }
  return result;
}

/// Reads what the append function tells of a repeated command.
remembered_command read_remembered(std::string_view text) {
  auto next = [&text] {
    auto end = std::min(text.find(','), text.size());
    auto result = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return result;
  };
  auto number = [&next] {
    auto digits = next();
    std::int64_t x = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), x);
    return static_cast<std::uint64_t>(x);
  };
  remembered_command result;
  result.fingerprint = number();
  result.version = number();
  result.seq_no = number();
  result.outcome = next() == "accepted" ? command_outcome::accepted
                                        : command_outcome::rejected;
  result.reply = parse_bytea("\\x" + std::string{next()});
  result.reply_type = text;
  return result;
}

/// The arrays of the append function that say what to remember of commands.
struct command_arrays {
  explicit command_arrays(id_kind kind) : ids(oid_of(kind)) {
    // nop
  }

  void add(const append_request& request, const append_step& step,
           bool is_proved) {
    types.add(request.type_name);
    ids.add_id(request.id);
    append_ids.add_uuid(step.append_id);
    after.add_int64(static_cast<std::int64_t>(step.after));
    proved.add_bool(is_proved);
    if (!step.record) {
      command_ids.add_null();
      fingerprints.add_null();
      outcomes.add_null();
      reply_types.add_null();
      replies.add_null();
      return;
    }
    auto& record = *step.record;
    command_ids.add(record.command_id);
    fingerprints.add_int64(static_cast<std::int64_t>(record.fingerprint));
    if (record.outcome == command_outcome::none)
      outcomes.add_null();
    else
      outcomes.add(record.outcome == command_outcome::accepted ? "accepted"
                                                               : "rejected");
    reply_types.add(record.reply_type);
    replies.add(record.reply);
  }

  array_builder types{text_oid};
  array_builder ids;
  array_builder append_ids{uuid_oid};
  array_builder after{int8_oid};
  array_builder proved{bool_oid};
  array_builder command_ids{text_oid};
  array_builder fingerprints{int8_oid};
  array_builder outcomes{text_oid};
  array_builder reply_types{text_oid};
  array_builder replies{bytea_oid};
};

/// The arrays of the append function that fill the outbox.
struct message_arrays {
  void add(std::int32_t step, const std::vector<outgoing_message>& from) {
    for (auto& x : from) {
      steps.add_int32(step);
      // What the append function takes for a timer with a name.
      targets.add(x.timer.empty() ? x.target : "\n" + x.timer);
      if (x.cancels)
        messages.add_null();
      else
        messages.add(x.message);
      if (x.due)
        due.add_timestamp(*x.due);
      else
        due.add_null();
    }
  }

  array_builder steps{int4_oid};
  array_builder targets{text_oid};
  array_builder messages{bytea_oid};
  array_builder due{timestamptz_oid};
};

} // namespace

append_call::append_call(const journal_options& options,
                         std::span<append_request* const> requests,
                         std::size_t limit, std::size_t skip)
  : ids_(options.ids),
    payloads_(options.payloads),
    requests_(requests.begin(), requests.end()) {
  std::int32_t entity = 0;
  for (auto* request : requests) {
    ++entity;
    // The version that the write before leaves, nothing before the first one.
    std::optional<std::uint64_t> reached;
    auto left = limit;
    auto to_skip = skip;
    append_step* check = nullptr;
    // Where the steps that a write on the same version would prove begin.
    auto unproved = writes_.size();
    for (auto& step : request->steps) {
      if (step.status != append_status::pending)
        continue;
      if (to_skip > 0) {
        --to_skip;
        continue;
      }
      if (left == 0)
        break;
      --left;
      if (step.events.empty() && !step.record) {
        check = &step;
      } else if (step.events.empty()) {
        writes_.push_back({request, &step, entity, false});
      } else {
        // A write on the same version answers the checks before it.
        check = nullptr;
        for (; unproved < writes_.size(); ++unproved)
          writes_[unproved].proved = true;
        // A write that does not follow the one before it may leave a hole.
        writes_.push_back({request, &step, entity, reached != step.after});
        reached = step.after + step.events.size();
        unproved = writes_.size();
      }
    }
    // All checks after the last write ask for the same version.
    if (check != nullptr)
      checks_.push_back({request, check, entity, false});
  }
}

bool append_call::has_tags(const item& x) {
  return std::any_of(x.step->events.begin(), x.step->events.end(),
                     [](auto& event) { return !event.tags.empty(); });
}

bool append_call::maybe_sent() const noexcept {
  return std::any_of(writes_.begin(), writes_.end(),
                     [](auto& x) { return x.step->maybe_sent; });
}

bool append_call::is_plain_event() const noexcept {
  if (writes_.size() != 1 || !checks_.empty())
    return false;
  auto& step = *writes_.front().step;
  return step.events.size() == 1 && step.events.front().tags.empty()
         && !step.record && step.messages.empty() && !step.maybe_sent;
}

std::array<pq::binary, 9> append_call::event_parameters() const {
  auto& [request, step, entity, opens, proved] = writes_.front();
  auto& event = step->events.front();
  return {
    pq::binary{request->type_name},
    pq::binary{to_binary(request->id)},
    pq::binary{to_binary(static_cast<std::int64_t>(step->after + 1))},
    pq::binary{to_binary(static_cast<std::int16_t>(slice_of(request->id)))},
    pq::binary{std::string{event.name}},
    pq::binary{to_binary(event.schema_version)},
    pq::binary{to_binary(step->append_id)},
    pq::binary{event.payload},
    pq::binary{event.metadata}};
}

std::array<pq::binary, 30> append_call::parameters() const {
  array_builder types{text_oid};
  array_builder ids{oid_of(ids_)};
  array_builder versions{int8_oid};
  array_builder slices{int2_oid};
  array_builder names{text_oid};
  array_builder schema_versions{int4_oid};
  array_builder append_ids{uuid_oid};
  array_builder payloads{payloads_ == codec::json ? text_oid : bytea_oid};
  array_builder metadata{text_oid};
  array_builder tags{text_oid};
  array_builder opens{bool_oid};
  array_builder last{int4_oid};
  array_builder entities{int4_oid};
  command_arrays commands{ids_};
  message_arrays messages;
  array_builder check_types{text_oid};
  array_builder check_ids{oid_of(ids_)};
  array_builder check_versions{int8_oid};
  std::int32_t place = 0;
  std::int32_t number = 0;
  auto any_tags = std::any_of(writes_.begin(), writes_.end(), has_tags);
  auto any_records = std::any_of(writes_.begin(), writes_.end(), [](auto& x) {
    return x.step->record.has_value();
  });
  for (auto& x : writes_) {
    auto version = static_cast<std::int64_t>(x.step->after);
    auto slice = static_cast<std::int16_t>(slice_of(x.request->id));
    auto first = x.opens;
    for (auto& event : x.step->events) {
      types.add(x.request->type_name);
      ids.add_id(x.request->id);
      versions.add_int64(++version);
      slices.add_int16(slice);
      names.add(event.name);
      schema_versions.add_int32(event.schema_version);
      append_ids.add_uuid(x.step->append_id);
      payloads.add(event.payload);
      if (event.metadata.empty())
        metadata.add_null();
      else
        metadata.add(event.metadata);
      if (!event.tags.empty())
        tags.add(join_tags(event.tags));
      else if (any_tags)
        tags.add_null();
      opens.add_bool(first);
      first = false;
      ++place;
    }
    last.add_int32(place);
    entities.add_int32(x.entity);
    if (any_records)
      commands.add(*x.request, *x.step, x.proved);
    messages.add(++number, x.step->messages);
  }
  for (auto& x : checks_) {
    check_types.add(x.request->type_name);
    check_ids.add_id(x.request->id);
    check_versions.add_int64(static_cast<std::int64_t>(x.step->after));
  }
  auto done
    = [](array_builder& x) { return pq::binary{std::move(x).finish()}; };
  return {done(types),
          done(ids),
          done(versions),
          done(slices),
          done(names),
          done(schema_versions),
          done(append_ids),
          done(payloads),
          done(metadata),
          done(tags),
          done(opens),
          done(last),
          done(entities),
          done(commands.types),
          done(commands.ids),
          done(commands.append_ids),
          done(commands.after),
          done(commands.proved),
          done(commands.command_ids),
          done(commands.fingerprints),
          done(commands.outcomes),
          done(commands.reply_types),
          done(commands.replies),
          done(messages.steps),
          done(messages.targets),
          done(messages.messages),
          done(messages.due),
          done(check_types),
          done(check_ids),
          done(check_versions)};
}

append_call::outcomes append_call::read(const pqxx::result& result) const {
  auto row = result[0];
  auto seq_nos = parse_numbers(pq::text(row[0]));
  auto slow = !row[1].is_null();
  auto states
    = slow ? parse_array(pq::text(row[1])) : std::vector<std::string>{};
  auto details
    = slow ? parse_array(pq::text(row[2])) : std::vector<std::string>{};
  auto current = row[3].is_null() ? std::vector<std::string>{}
                                  : parse_array(pq::text(row[3]));
  outcomes out;
  out.steps.reserve(writes_.size() + checks_.size());
  auto seq = seq_nos.begin();
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    outcome x;
    x.request = writes_[i].request;
    x.step = writes_[i].step;
    auto size = static_cast<std::ptrdiff_t>(x.step->events.size());
    if (seq_nos.end() - seq < size)
      throw error(errc::refused, "the append function answered with too few "
                                 "sequence numbers");
    x.seq_nos.assign(seq, seq + size);
    seq += size;
    if (!slow || states[i] == "stored") {
      x.status = append_status::stored;
    } else if (states[i] == "found") {
      x.status = append_status::stored;
      x.found = true;
    } else if (states[i] == "repeated") {
      x.status = append_status::repeated;
      x.earlier = read_remembered(details[i]);
    } else if (states[i] == "conflict") {
      x.status = append_status::conflict;
    } else if (states[i] == "skipped") {
      x.status = append_status::skipped;
    } else if (states[i] != "pending") {
      x.status = append_status::failed;
      x.failure = errc::invalid_event;
      x.message = "PostgreSQL refuses an event: " + details[i] + " (SQLSTATE "
                  + states[i] + ")";
    }
    out.steps.push_back(std::move(x));
  }
  for (std::size_t i = 0; i < checks_.size(); ++i) {
    outcome x;
    x.request = checks_[i].request;
    x.step = checks_[i].step;
    x.status
      = current.at(i) == "t" ? append_status::stored : append_status::conflict;
    out.steps.push_back(std::move(x));
  }
  return out;
}

append_call::outcomes append_call::all_failed(errc code,
                                              const std::string& why) const {
  outcomes out;
  for (auto* list : {&writes_, &checks_}) {
    for (auto& item : *list) {
      outcome x;
      x.request = item.request;
      x.step = item.step;
      x.status = append_status::failed;
      x.failure = code;
      x.message = why;
      out.steps.push_back(std::move(x));
    }
  }
  return out;
}

void append_call::apply(outcomes& from) {
  for (auto& x : from.steps) {
    x.step->status = x.status;
    x.step->seq_no = x.seq_nos.empty() ? 0 : x.seq_nos.back();
    x.step->failure = x.failure;
    x.step->message = std::move(x.message);
    x.step->veto = std::move(x.veto);
    x.step->earlier = std::move(x.earlier);
  }
  for (auto* request : requests_)
    settle(*request);
}

void append_call::settle(append_request& request) {
  using enum append_status;
  auto& steps = request.steps;
  // Checks: from the back, so that each sees what became of the step after it.
  for (auto i = steps.size(); i-- > 0;) {
    auto& x = steps[i];
    if (x.status != pending || !x.events.empty() || x.record
        || i + 1 == steps.size())
      continue;
    auto& next = steps[i + 1];
    if (next.after == x.after
        && (next.status == stored || next.status == conflict))
      x.status = next.status;
  }
  // What rests on a step that was not stored is not tried.
  auto broken = false;
  for (auto& x : steps) {
    if (broken && x.status == pending)
      x.status = skipped;
    else if (x.status != pending && x.status != stored)
      broken = true;
  }
}

void append_call::take(std::uint64_t seq_no) {
  outcome x;
  x.request = writes_.front().request;
  x.step = writes_.front().step;
  x.status = append_status::stored;
  x.seq_nos = {seq_no};
  outcomes all;
  all.steps.push_back(std::move(x));
  apply(all);
}

void append_call::mark_sent() {
  for (auto& x : writes_)
    x.step->maybe_sent = true;
}

void append_call::note(const std::string& why) {
  for (auto* list : {&writes_, &checks_})
    for (auto& x : *list)
      if (x.step->status == append_status::pending)
        x.step->message = why;
}

void append_call::fail(errc code, const std::string& why) {
  auto x = all_failed(code, why);
  apply(x);
}

} // namespace evented::detail
