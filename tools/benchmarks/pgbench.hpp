#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bench {

/// Runs PostgreSQL's own benchmark program with a script.
class pgbench {
public:
  /// Writes `script` to a temporary file.
  pgbench(std::string url, const std::string& script);

  pgbench(const pgbench&) = delete;

  pgbench& operator=(const pgbench&) = delete;

  ~pgbench();

  struct outcome {
    double per_second = 0;
    std::int64_t transactions = 0;
    /// In seconds, where it was asked for.
    double median_latency = 0;
  };

  /// Runs the script with as many clients for whole seconds, at least one.
  /// @throws std::runtime_error where pgbench or any transaction fails
  outcome run(unsigned clients, std::chrono::milliseconds duration,
              bool latencies = false) const;

private:
  std::string url_;
  std::string file_;
};

} // namespace bench
