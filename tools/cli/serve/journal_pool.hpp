#pragma once

#include "core/event_pages.hpp"
#include "core/journal.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace evented::cli {

/// Journals for requests that come at the same time. Thread-safe.
class journal_pool {
public:
  explicit journal_pool(globals how) : how_(std::move(how)) {
    // nop
  }

  /// Runs `f(journal)`. Whatever it throws, the connection is not used again.
  template <class F>
  auto with(F&& f) {
    auto x = take();
    auto result = f(*x);
    std::lock_guard guard{mutex_};
    idle_.push_back(std::move(x));
    return result;
  }

private:
  std::unique_ptr<journal> take() {
    {
      std::lock_guard guard{mutex_};
      if (!idle_.empty()) {
        auto result = std::move(idle_.back());
        idle_.pop_back();
        return result;
      }
    }
    auto result = std::make_unique<journal>(open_journal(how_));
    read_by_index(result->db);
    // Whoever waited has gone away by then.
    result->db.run("set statement_timeout = '20s'");
    return result;
  }

  globals how_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<journal>> idle_;
};

} // namespace evented::cli
