#include "recovery.hpp"

#include <spdlog/spdlog.h>

#include <exception>

namespace evented::detail {

load_request load_job::next() const {
  auto snapshots = (settings_->snapshots || entity_.load_snapshots)
                   && !entity_.ignore_snapshots && entity_.version == 0;
  return {settings_->type_name, id_, entity_.version, snapshots, true};
}

void load_job::take(load_result& found) {
  if (found.events.empty() && expect_news && entity_.version > 0) {
    SPDLOG_WARN("evented: {}: the journal has lost events that were in memory "
                "(a failover, or a restored backup); rebuilding",
                where());
    entity_.model->reset();
    entity_.version = 0;
    entity_.snapshot_version = 0;
    expect_news = false;
    return;
  }
  if (!begin_with(found))
    return;
  for (auto& event : found.events) {
    auto fail = [&](const char* why) {
      failure.emplace(errc::corrupt_event,
                      settings_->type_name + " " + to_string(id_) + ", version "
                        + std::to_string(event.version) + ": the event \""
                        + event.name + "\" (seq_no "
                        + std::to_string(event.seq_no)
                        + ") cannot be applied: " + why);
    };
    try {
      replay(event);
    } catch (const std::exception& e) {
      fail(e.what());
      return;
    } catch (...) {
      fail("something that is no std::exception was thrown");
      return;
    }
  }
  expect_news = false;
  complete_ = !found.more;
}

void load_job::replay(const stored_event& event) {
  if (event.version != entity_.version + 1)
    throw error(errc::corrupt_event, "this version follows version "
                                       + std::to_string(entity_.version));
  entity_.model->replay(event);
  entity_.version = event.version;
  entity_.seq_no = event.seq_no;
}

bool load_job::begin_with(load_result& found) {
  if (found.archived) {
    fail(errc::archived, "an operator has archived this entity");
    return false;
  }
  if (found.snapshot) {
    try {
      entity_.model->restore(*found.snapshot);
      entity_.version = found.snapshot->version;
      entity_.snapshot_version = entity_.version;
    } catch (const std::exception& e) {
      // One warning, not one per entity that wakes up.
      if (!settings_->snapshots
          || !settings_->snapshots->warned->exchange(true))
        SPDLOG_WARN("evented: {}: the snapshot at version {} is of no use: {}; "
                    "falling back to the events, here and wherever it happens "
                    "from now on",
                    where(), found.snapshot->version, e.what());
      entity_.model->reset();
      entity_.ignore_snapshots = true;
      return false;
    }
  }
  if (found.horizon <= entity_.version)
    return true;
  if (!found.snapshot && !entity_.ignore_snapshots && !entity_.load_snapshots) {
    // Snapshots are switched off, but an operator has trimmed what is needed to
    // do without.
    entity_.load_snapshots = true;
    return false;
  }
  fail(
    errc::corrupt_event,
    "the events up to version " + std::to_string(found.horizon)
      + " were trimmed, and there is no snapshot that this program can read");
  return false;
}

void load_job::fail(errc code, const std::string& what) {
  failure.emplace(code, where() + ": " + what);
}

std::string load_job::where() const {
  return settings_->type_name + " " + to_string(id_) + ", version "
         + std::to_string(entity_.version);
}

} // namespace evented::detail
