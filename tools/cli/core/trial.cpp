#include "trial.hpp"

#include "failure.hpp"
#include "progress.hpp"

#include <evented/store.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace evented::cli {

namespace {

using nlohmann::json;
using clock = std::chrono::steady_clock;

const std::string prefix = "evented_bench_";

const std::string type = "trial";

/// So many commands share a commit, and so many events an entity.
constexpr std::size_t batch_size = 256;
constexpr std::uint64_t events_each = 10;

/// So many events come with one read, as projections ask for them.
constexpr std::size_t page_size = 1000;

new_event an_event() {
  new_event result;
  result.name = "tried";
  result.payload = R"({"amount": 100, "currency": "EUR", "reference": )"
                   R"("0190e3a2-7c11-7e11-8000"})";
  result.metadata = R"({"user": "somebody", "request": "evented bench"})";
  return result;
}

/// Repeats something until its time is over and measures each time.
class stopwatch {
public:
  explicit stopwatch(std::chrono::milliseconds time)
    : end_(clock::now() + time) {
    // nop
  }

  /// @param least how often it is needed, however long that takes
  template <class F>
  void repeat(std::size_t least, F&& f) {
    while ((times_.size() < least || clock::now() < end_) && !interrupted()) {
      auto begin = clock::now();
      count_ += f();
      times_.push_back(
        std::chrono::duration<double, std::milli>(clock::now() - begin)
          .count());
    }
  }

  /// @param what is counted, by what `f` returned
  json result(const std::string& what) {
    if (times_.empty())
      return {};
    auto sum = 0.0;
    for (auto x : times_)
      sum += x;
    std::sort(times_.begin(), times_.end());
    auto within = [this](std::size_t percent) {
      return times_[std::min(times_.size() - 1, times_.size() * percent / 100)];
    };
    return {{"what", what},
            {"per_second", static_cast<double>(count_) * 1000 / sum},
            {"median_ms", within(50)},
            {"p99_ms", within(99)}};
  }

private:
  clock::time_point end_;
  std::size_t count_ = 0;
  std::vector<double> times_;
};

/// The journal that is tried out.
class trial {
public:
  trial(const journal_options& where, std::chrono::milliseconds each)
    : session_(open_store(where)->connect()), each_(each) {
    // nop
  }

  json round_trips() {
    stopwatch x{each_};
    x.repeat(1, [&] {
      session_->query("select 1", {});
      return 1;
    });
    return x.result("round trip");
  }

  json single_appends() {
    stopwatch x{each_};
    x.repeat(1, [&] {
      append({uuid::v4()}, 0);
      return 1;
    });
    return x.result("append, one command a commit");
  }

  json batched_appends() {
    stopwatch x{each_};
    std::uint64_t version = 0;
    std::vector<uuid> batch;
    // Whoever is loaded later has all of its events.
    x.repeat(events_each, [&] {
      if (version == 0) {
        batch.clear();
        for (std::size_t i = 0; i < batch_size; ++i)
          batch.push_back(uuid::v4());
      }
      append(batch, version);
      version = (version + 1) % events_each;
      if (version == 0)
        complete_.insert(complete_.end(), batch.begin(), batch.end());
      return batch.size();
    });
    return x.result("append, " + std::to_string(batch_size)
                    + " commands a commit");
  }

  json loads() {
    stopwatch x{each_};
    std::size_t next = 0;
    x.repeat(1, [&] {
      load_request request;
      request.type_name = type;
      // Not in the order in which they were stored.
      request.id = complete_[next];
      next = (next + 7919) % complete_.size();
      request.lean = true;
      auto found = session_->load({&request, 1}, page_size);
      if (found[0].events.size() != events_each)
        throw failure(exit_code::failed, "an entity has lost events");
      return 1;
    });
    return x.result("load of an entity with " + std::to_string(events_each)
                    + " events");
  }

  json reads() {
    stopwatch x{each_};
    auto frontier = session_->frontier();
    std::uint64_t after = 0;
    x.repeat(1, [&] {
      auto found = session_->read({{type}}, after, frontier, page_size);
      after = found.up_to < frontier ? found.up_to : 0;
      return found.entries.size();
    });
    return x.result("read in order, " + std::to_string(page_size)
                    + " events at a time");
  }

private:
  /// Stores one event of each entity with one commit.
  void append(const std::vector<uuid>& ids, std::uint64_t after) {
    std::vector<append_request> requests;
    requests.reserve(ids.size());
    std::vector<append_request*> batch;
    for (auto& id : ids) {
      append_step step;
      step.append_id = uuid::v4();
      step.after = after;
      step.events.push_back(an_event());
      requests.push_back({type, id, {std::move(step)}, nullptr});
      batch.push_back(&requests.back());
    }
    session_->append(batch);
    for (auto& x : requests)
      if (x.steps[0].status != append_status::stored)
        throw failure(exit_code::failed,
                      "an event was not stored: " + x.steps[0].message);
  }

  std::unique_ptr<store_session> session_;
  std::chrono::milliseconds each_;
  std::vector<uuid> complete_;
};

json measure(const journal_options& where, std::chrono::seconds time) {
  trial x{where, std::chrono::milliseconds{time} / 5};
  json result = json::array();
  for (auto part : {&trial::round_trips, &trial::single_appends,
                    &trial::batched_appends, &trial::loads, &trial::reads})
    if (!interrupted())
      result.push_back((x.*part)());
  return result;
}

} // namespace

journal_options trial_schema(const globals& how) {
  auto result = options_of(how);
  result.schema = prefix + to_string(uuid::v4()).substr(0, 8);
  return result;
}

std::vector<std::string> other_trials(database& db) {
  auto found = db.run("select nspname from pg_namespace where "
                      "starts_with(nspname, $1) order by 1",
                      {prefix});
  std::vector<std::string> result;
  for (int i = 0; i < found.size(); ++i)
    result.push_back(found.text(i, 0));
  return result;
}

json try_out(const journal_options& where, database& db,
             std::chrono::seconds time) {
  auto setting = [&](const char* name) {
    return db.run(std::string{"show "} + name).text(0, 0);
  };
  json result{{"server", setting("server_version")},
              {"fsync", setting("fsync")},
              {"synchronous_commit", setting("synchronous_commit")},
              {"schema", where.schema}};
  // Also says so where it may not. Whoever has the name already keeps it.
  db.run("create schema " + where.schema);
  auto drop = [&] { db.run("drop schema " + where.schema + " cascade"); };
  try {
    result["figures"] = measure(where, time);
  } catch (...) {
    drop();
    throw;
  }
  drop();
  return result;
}

} // namespace evented::cli
