#include "detail/append_checks.hpp"
#include "detail/jsonb_check.hpp"
#include "memory_journal.hpp"

#include <evented/sql_error.hpp>
#include <evented/utf8.hpp>

#include <optional>

namespace evented::detail {

namespace {

/// What a listener gets: no statement works, and trying one is remembered, as
/// PostgreSQL does with a transaction in which a statement failed.
class no_transaction : public transaction {
public:
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  static constexpr const char* why = "an in-memory journal runs no SQL";

protected:
  rows run(std::string_view, const std::vector<parameter>&) override {
    failed_ = true;
    throw sql_error("0A000", why);
  }

private:
  bool failed_ = false;
};

class memory_session : public store_session {
public:
  memory_session(std::shared_ptr<memory_journal> all,
                 const journal_options& options, memory_commits how)
    : journal_(std::move(all)), options_(options), how_(how) {
    // nop
  }

  ~memory_session() override {
    std::lock_guard guard{journal_->mutex};
    abandon();
  }

  bool append(std::span<append_request* const> batch) override {
    std::lock_guard guard{journal_->mutex};
    if (how_ == memory_commits::in_steps && stores(batch))
      return commit_in_steps(batch);
    abandon();
    for (auto* request : batch)
      write(*request);
    // A check sees what the whole batch has stored.
    for (auto* request : batch)
      check(*request);
    return true;
  }

  std::vector<load_result> load(std::span<const load_request> batch,
                                std::size_t max_events) override {
    std::vector<load_result> result(batch.size());
    if (batch.empty())
      return result;
    auto limit = std::max<std::size_t>(16, max_events / batch.size());
    std::lock_guard guard{journal_->mutex};
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto& from = batch[i];
      if (!fits(from.id))
        throw error(errc::invalid_id,
                    "an ID of the wrong kind for this journal");
      auto& history = journal_->history(from.type_name, from.id);
      auto begin = static_cast<std::size_t>(from.after);
      if (auto found = journal_->snapshots.find({from.type_name, from.id});
          from.snapshot && found != journal_->snapshots.end()
          && found->second.rbegin()->first > from.after) {
        result[i].snapshot = found->second.rbegin()->second;
        begin = static_cast<std::size_t>(result[i].snapshot->version);
      }
      if (history.size() <= begin)
        continue;
      auto& entries = journal_->entries[from.type_name];
      auto end = begin + std::min(limit, history.size() - begin);
      for (auto place = begin; place < end; ++place)
        result[i].events.push_back(journal_->at(entries, history[place]).event);
      result[i].more = result[i].events.size() >= limit;
    }
    return result;
  }

  void save_snapshots(std::span<const new_snapshot> batch,
                      unsigned keep) override {
    std::lock_guard guard{journal_->mutex};
    for (auto& x : batch) {
      auto& history = journal_->history(x.type_name, x.id);
      if (history.size() < x.version || history[x.version - 1] != x.seq_no)
        continue;
      auto& all = journal_->snapshots[{x.type_name, x.id}];
      auto& to = all[x.version];
      if (to.version == 0 || to.schema_version <= x.schema_version)
        to = {x.version, x.schema_version, now(), x.state};
      while (all.size() > keep)
        all.erase(all.begin());
    }
  }

  std::vector<std::int32_t>
  snapshot_shapes(std::string_view type_name) override {
    std::lock_guard guard{journal_->mutex};
    std::set<std::int32_t> result;
    for (auto& [key, snapshots] : journal_->snapshots)
      if (key.first == type_name)
        for (auto& [version, x] : snapshots)
          result.insert(x.schema_version);
    return {result.begin(), result.end()};
  }

  std::size_t forget_commands(std::string_view type_name,
                              std::chrono::seconds age,
                              std::size_t limit) override {
    std::lock_guard guard{journal_->mutex};
    const auto oldest = now() - age;
    std::size_t count = 0;
    for (auto& [key, commands] : journal_->commands)
      if (key.first == type_name)
        count += std::erase_if(commands, [&](auto& x) {
          return count < limit && x.second.created_at < oldest;
        });
    return count;
  }

  claimed_messages claim_messages(const message_claim& what) override {
    std::lock_guard guard{journal_->mutex};
    return journal_->outbox.claim(what, now());
  }

  void settle_messages(std::span<const settled_message> batch) override {
    std::lock_guard guard{journal_->mutex};
    journal_->outbox.settle(batch, now());
  }

  std::vector<std::string>
  waiting_targets(std::string_view type_name) override {
    std::lock_guard guard{journal_->mutex};
    return journal_->outbox.waiting_targets(type_name);
  }

  rows query(std::string_view, const std::vector<parameter>&) override {
    throw sql_error("0A000", "an in-memory journal runs no SQL");
  }

  std::uint64_t frontier() override {
    std::lock_guard guard{journal_->mutex};
    return journal_->frontier();
  }

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    if (filter.types.empty())
      throw error(errc::invalid_options,
                  "an event_filter names at least one entity type");
    std::lock_guard guard{journal_->mutex};
    std::vector<journal_entry> found;
    std::set<std::string_view> types{filter.types.begin(), filter.types.end()};
    for (auto type : types) {
      auto entries = journal_->entries.find(type);
      if (entries == journal_->entries.end())
        continue;
      auto it = journal_->after(entries->second, after);
      for (std::size_t count = 0; it != entries->second.end()
                                  && it->event.seq_no <= up_to && count < limit;
           ++it) {
        if (!passes(filter, *it))
          continue;
        found.push_back({entries->first, it->id, it->event});
        ++count;
      }
    }
    std::sort(found.begin(), found.end(),
              [](auto& a, auto& b) { return a.event.seq_no < b.event.seq_no; });
    if (found.size() >= limit) {
      found.resize(limit);
      up_to = limit == 0 ? after : found.back().event.seq_no;
    }
    return {std::move(found), up_to};
  }

  std::vector<event_shape> shapes(std::string_view type_name) override {
    std::lock_guard guard{journal_->mutex};
    auto found = journal_->shapes.find(type_name);
    if (found == journal_->shapes.end())
      return {};
    return {found->second.begin(), found->second.end()};
  }

  bool holds(std::string_view type_name, const event_shape& shape) override {
    std::lock_guard guard{journal_->mutex};
    auto found = journal_->shapes.find(type_name);
    return found != journal_->shapes.end() && found->second.contains(shape);
  }

private:
  static bool passes(const event_filter& filter, const entry& x) {
    auto has = [](auto& list, auto& value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    return (filter.names.empty() || has(filter.names, x.event.name))
           && (filter.tags.empty()
               || std::any_of(x.event.tags.begin(), x.event.tags.end(),
                              [&](auto& tag) { return has(filter.tags, tag); }))
           && filter.slices.contains(slice_of(x.id))
           && (!filter.since || x.event.created_at >= *filter.since);
  }

  [[nodiscard]] bool fits(const entity_id& id) const noexcept {
    return kind(id) == options_.ids && valid(id);
  }

  static void fail(append_step& step, errc code, std::string why) {
    step.status = append_status::failed;
    step.failure = code;
    step.message = std::move(why);
  }

  // -- append: steps with events ----------------------------------------------

  void write(append_request& request) {
    auto broken = false;
    auto known = known_to_hold(request);
    for (std::size_t i = 0; i < request.steps.size(); ++i) {
      auto& step = request.steps[i];
      if (step.status == append_status::pending) {
        step.message.clear();
        if (i < known && step.events.empty() && step.record && !step.stores())
          step.status = append_status::stored;
        else if (!fits(request.id))
          fail(step, errc::invalid_id,
               "this journal holds IDs of kind "
                 + std::string{to_string(options_.ids)});
        else if (broken)
          step.status = append_status::skipped;
        else if (!step.events.empty() || step.record)
          write(request, step);
      }
      broken = broken
               || (step.status != append_status::pending
                   && step.status != append_status::stored);
    }
  }

  /// Returns the place of the last step that an earlier attempt has stored, 0
  /// where there is none. The steps before it held then, which those cannot tell
  /// that leave no trace.
  std::size_t known_to_hold(const append_request& request) {
    auto& known = journal_->commands[{request.type_name, request.id}];
    for (auto i = request.steps.size(); i-- > 1;) {
      auto& step = request.steps[i];
      if (step.status != append_status::pending)
        continue;
      if (step.record) {
        auto found = known.find(step.record->command_id);
        if (found != known.end() && found->second.append_id == step.append_id)
          return i;
      }
      if (earlier_attempt(request, step) > 0)
        return i;
    }
    return 0;
  }

  void write(append_request& request, append_step& step) {
    auto first = draw(step.events.size());
    auto& history = journal_->history(request.type_name, request.id);
    refuse_bad_record(step);
    if (step.status == append_status::failed || find_command(request, step))
      return;
    if (history.size() != step.after) {
      step.seq_no = earlier_attempt(request, step);
      step.status
        = step.seq_no > 0 ? append_status::stored : append_status::conflict;
    } else if (!step.events.empty() && !history.empty()
               && history.back() > first)
      // Whoever asked did not know of that event when the number was drawn.
      step.status = append_status::conflict;
    else if (acceptable(request, step) && passes_listener(request, step, first))
      store(request, step, first);
  }

  /// Settles a step whose command ID was used before, maybe by itself.
  bool find_command(const append_request& request, append_step& step) {
    if (!step.record)
      return false;
    auto& known = journal_->commands[{request.type_name, request.id}];
    auto found = known.find(step.record->command_id);
    if (found == known.end())
      return false;
    if (found->second.append_id == step.append_id) {
      step.status = append_status::stored;
      step.seq_no = found->second.value.seq_no;
    } else {
      step.status = append_status::repeated;
      step.earlier = found->second.value;
    }
    return true;
  }

  /// An attempt whose reply was lost may have stored the step. Returns the number
  /// of its last event then, else 0.
  std::uint64_t earlier_attempt(const append_request& request,
                                const append_step& step) const {
    auto& history = journal_->history(request.type_name, request.id);
    if (step.events.empty() || step.after > history.size()
        || history.size() - step.after < step.events.size())
      return 0;
    auto& entries = journal_->entries[request.type_name];
    auto begin = history.begin() + static_cast<std::ptrdiff_t>(step.after);
    auto end = begin + static_cast<std::ptrdiff_t>(step.events.size());
    auto own = [&](std::uint64_t seq_no) {
      return journal_->at(entries, seq_no).append_id == step.append_id;
    };
    return std::all_of(begin, end, own) ? *(end - 1) : 0;
  }

  bool acceptable(const append_request& request, append_step& step) const {
    if (!valid_text(request.type_name)) {
      fail(step, errc::invalid_event, "the entity type's name is no text");
      return false;
    }
    for (auto& event : step.events) {
      std::optional<std::string> why;
      if (!valid_text(event.name))
        why = "its name is no text";
      else if (event.schema_version < 1)
        why = "its schema version is below 1";
      else if (!std::all_of(event.tags.begin(), event.tags.end(), valid_tag))
        why = "a tag has 1 to 200 bytes of valid UTF-8 without NUL and line "
              "feed";
      else if (options_.payloads == codec::json)
        why = why_no_jsonb(event.payload);
      if (!why && !event.metadata.empty())
        why = why_no_jsonb(event.metadata);
      if (why) {
        fail(step, errc::invalid_event,
             "the event " + std::string{event.name}
               + " cannot be stored: " + *why);
        return false;
      }
    }
    return true;
  }

  bool passes_listener(append_request& request, append_step& step,
                       std::uint64_t first) const {
    if (request.listener == nullptr)
      return true;
    using clock = std::chrono::steady_clock;
    auto deadline = clock::now() + options_.listener_timeout;
    no_transaction tx;
    for (std::size_t i = 0; i < step.events.size(); ++i) {
      std::any veto;
      try {
        veto = request.listener->on_event({request.id, step.events[i],
                                           step.after + 1 + i, first + i,
                                           step.typed.get(), i},
                                          tx);
      } catch (const std::exception& e) {
        fail(step, errc::listener_failed,
             std::string{"the event listener threw: "} + e.what());
        return false;
      } catch (...) {
        fail(step, errc::listener_failed,
             "the event listener threw something that is no std::exception");
        return false;
      }
      if (clock::now() > deadline) {
        fail(step, errc::listener_failed,
             "the event listener took longer than "
               + std::to_string(options_.listener_timeout.count()) + " ms");
        return false;
      }
      if (tx.failed()) {
        fail(step, errc::listener_failed,
             std::string{"the event listener went on after a failed "
                         "statement: "}
               + no_transaction::why);
        return false;
      }
      if (veto.has_value()) {
        step.status = append_status::vetoed;
        step.veto = std::move(veto);
        return false;
      }
    }
    return true;
  }

  void store(append_request& request, append_step& step, std::uint64_t first) {
    const auto created_at = now();
    auto& entries = journal_->entries[request.type_name];
    auto& history = journal_->histories[{request.type_name, request.id}];
    auto& shapes = journal_->shapes[request.type_name];
    for (auto& event : step.events) {
      shapes.insert({std::string{event.name}, event.schema_version});
      history.push_back(first);
      // Behind all others, unless others have drawn later and were faster.
      entries.insert(
        journal_->after(entries, first),
        {request.id,
         step.append_id,
         {first, history.size(), std::string{event.name}, event.schema_version,
          created_at, event.payload, event.metadata, event.tags}});
      ++first;
    }
    step.status = append_status::stored;
    step.seq_no = step.events.empty() ? 0 : first - 1;
    journal_->outbox.store(request, step, history.size());
    if (step.record && step.record->outcome != command_outcome::none)
      journal_->commands[{request.type_name, request.id}].emplace(
        step.record->command_id,
        command_entry{step.append_id,
                      created_at,
                      {step.record->fingerprint, step.record->outcome,
                       step.after + step.events.size(), step.seq_no,
                       step.record->reply_type, step.record->reply}});
  }

  // -- append: checks ---------------------------------------------------------

  void check(append_request& request) const {
    using enum append_status;
    auto current = journal_->history(request.type_name, request.id).size();
    auto& steps = request.steps;
    // From the back: a step that was stored on the same version after it shows
    // that a check held, although the entity has moved on since.
    for (auto i = steps.size(); i-- > 0;) {
      auto& x = steps[i];
      if (x.status != pending || !x.events.empty() || x.record)
        continue;
      auto* next = i + 1 < steps.size() ? &steps[i + 1] : nullptr;
      if (next != nullptr && next->after == x.after
          && (next->status == stored || next->status == conflict))
        x.status = next->status;
      else
        x.status = current == x.after ? stored : conflict;
    }
  }

  // -- append: in steps -------------------------------------------------------

  /// A commit between two calls.
  struct open_commit {
    /// The numbers that were drawn.
    std::uint64_t first = 0;
    std::uint64_t next = 0;
    /// What is asked, and once visible, what came of it.
    std::vector<append_request> requests;
    bool visible = false;
  };

  static bool stores(std::span<append_request* const> batch) {
    return std::any_of(batch.begin(), batch.end(), [](auto* request) {
      return std::any_of(
        request->steps.begin(), request->steps.end(), [](auto& x) {
          return x.status == append_status::pending && x.stores();
        });
    });
  }

  /// Like a sequence's, numbers are drawn first and never given back.
  std::uint64_t draw(std::size_t count) {
    if (open_)
      return std::exchange(open_->next, open_->next + count);
    auto first = journal_->last + 1;
    journal_->last += count;
    return first;
  }

  bool commit_in_steps(std::span<append_request* const> batch) {
    if (open_ && !continues(batch))
      abandon();
    if (!open_) {
      begin(batch);
      return false;
    }
    if (!open_->visible) {
      for (auto& request : open_->requests)
        write(request);
      for (auto& request : open_->requests)
        check(request);
      journal_->open.erase(open_->first);
      open_->visible = true;
      return false;
    }
    for (auto* request : batch) {
      auto from = find_open(*request)->steps.begin();
      for (auto& step : request->steps) {
        step.status = from->status;
        step.seq_no = from->seq_no;
        step.failure = from->failure;
        step.message = std::move(from->message);
        step.veto = std::move(from->veto);
        step.earlier = std::move(from->earlier);
        ++from;
      }
    }
    open_.reset();
    return true;
  }

  void begin(std::span<append_request* const> batch) {
    auto& to = open_.emplace(open_commit{});
    std::size_t count = 0;
    for (auto* request : batch) {
      to.requests.push_back(*request);
      for (auto& step : request->steps) {
        count += step.events.size();
        // Until the last call, nobody else knows what becomes of it.
        if (step.status == append_status::pending && step.stores())
          step.maybe_sent = true;
      }
    }
    to.first = to.next = journal_->last + 1;
    // Two that draw none must not be taken for one.
    journal_->last += std::max<std::size_t>(count, 1);
    journal_->open.insert(to.first);
  }

  /// Where the session ends or is asked for something else, nothing more comes
  /// of the commit.
  void abandon() {
    if (open_ && !open_->visible)
      journal_->open.erase(open_->first);
    open_.reset();
  }

  append_request* find_open(const append_request& x) {
    for (auto& y : open_->requests)
      if (y.type_name == x.type_name && y.id == x.id
          && y.steps.size() == x.steps.size())
        return &y;
    return nullptr;
  }

  /// Whether `batch` is what the open commit was begun with, or a part of it.
  bool continues(std::span<append_request* const> batch) {
    auto same = [](auto& x, auto& y) { return x.append_id == y.append_id; };
    return std::all_of(batch.begin(), batch.end(), [&](auto* x) {
      auto* y = find_open(*x);
      return y != nullptr
             && std::equal(x->steps.begin(), x->steps.end(), y->steps.begin(),
                           same);
    });
  }

  std::shared_ptr<memory_journal> journal_;
  journal_options options_;
  memory_commits how_;
  std::optional<open_commit> open_;
};

} // namespace

std::unique_ptr<store_session>
make_memory_session(std::shared_ptr<memory_journal> where,
                    const journal_options& options, memory_commits how) {
  return std::make_unique<memory_session>(std::move(where), options, how);
}

} // namespace evented::detail
