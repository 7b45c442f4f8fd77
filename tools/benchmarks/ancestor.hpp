#pragma once

#include "pgbench.hpp"
#include "row.hpp"

#include <memory>
#include <string>

namespace bench {

/// The ancestor's transaction per command under pgbench, in a schema of its own
/// that goes with it.
class ancestor {
public:
  /// @param in the schema
  explicit ancestor(std::string in) : schema_(std::move(in)) {
    // nop
  }

  ancestor(const ancestor&) = delete;

  ancestor& operator=(const ancestor&) = delete;

  ~ancestor();

  /// What a command does.
  struct sequence {
    /// How many entities there are, one or ten thousand.
    bool one_entity = false;
    /// Also adds to a row of a view.
    bool view = false;
  };

  /// Makes the table, with 10 events for each entity, so that the planner knows
  /// it and uses its index.
  void prepare(const std::string& url, sequence what);

  /// Finds out with how many clients, 1 to 32, it is fastest.
  void calibrate(const environment& env);

  /// Returns transactions per second with that many clients, after checking that
  /// as many events are there. One client where nothing was found out.
  double run(const environment& env) const;

  [[nodiscard]] unsigned clients() const noexcept { return clients_; }

private:
  std::string schema_;
  std::string url_;
  std::unique_ptr<pgbench> script_;
  unsigned clients_ = 1;
};

} // namespace bench
