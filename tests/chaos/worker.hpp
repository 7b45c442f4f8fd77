#pragma once

#include "support/ledger.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace evented::test {

/// A second process of the application: this program, started again. Its tasks
/// are in worker.cpp; the two talk in lines over a pair of pipes.
class worker {
public:
  /// Starts a process that does `args[0]`.
  /// @param environment `NAME=VALUE` to be set in it besides the own one
  explicit worker(const std::vector<std::string>& args,
                  std::vector<std::string> environment = {});

  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  /// Kills the process if it still runs.
  ~worker();

  pid_t pid() const { return pid_; }

  /// Writes a line to the process.
  void tell(std::string line);

  /// Returns the next line from the process, nothing where none comes in time
  /// or the process is gone. A negative deadline waits for ever.
  std::optional<std::string> hear(std::chrono::milliseconds deadline
                                  = std::chrono::seconds{60});

  /// Reads answers up to the line "end" into `book`. Returns whether it came.
  [[nodiscard]] bool hear_answers(ledger& book);

  /// Waits for the end of the process and describes it: "exit 0" where all is
  /// well, "still running" where it has not come in time.
  std::string wait(std::chrono::milliseconds deadline);

  /// Kills the process and describes its end as `wait` does: anything but
  /// "signal 9" says that it had ended before.
  std::string kill();

private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
  std::string buffer_;
};

/// The other end of the pipes: how such a process talks with its parent.
class parent {
public:
  /// Writes a line; from any thread.
  void tell(std::string line);

  void tell_answers(const ledger& book);

  /// Returns the words of the next line, none where the parent is gone.
  std::vector<std::string> hear();

private:
  std::string buffer_;
};

/// Does the work of such a process. Called by `main`.
int run_worker(const std::vector<std::string>& args);

/// The task that runs a projection, see projection_worker.cpp.
int run_projection(const std::vector<std::string>& args);

/// The tasks that send through the outbox, see courier.cpp.
int run_courier(const std::vector<std::string>& args);
int run_ringer(const std::vector<std::string>& args);

/// The task that soaks, see soak.cpp.
int run_soak(const std::vector<std::string>& args);

/// The task that is flooded with commands, see flood.cpp.
int run_flood(const std::vector<std::string>& args);

/// The task that has vaults and obeys clients, see nemesis/vault_worker.cpp.
int run_vaults(const std::vector<std::string>& args);

/// Writes an answer as one line, and back.
std::string to_line(const answer& x);
answer to_answer(std::string_view line);

} // namespace evented::test
