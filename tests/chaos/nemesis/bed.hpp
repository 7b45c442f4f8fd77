#pragma once

#include "chaos/nemesis/clients.hpp"
#include "chaos/nemesis/foreign_session.hpp"
#include "chaos/nemesis/recorder.hpp"
#include "chaos/nemesis/small_volume.hpp"
#include "chaos/nemesis/vault_process.hpp"
#include "chaos/observer.hpp"
#include "support/proxy.hpp"

#include <evented/dev/postgres.hpp>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace evented::test::nemesis {

/// Where the processes of the application find the database, and what may be
/// done to that.
struct place {
  /// The directory of the server's socket.
  std::filesystem::path sockets;
  /// The server, null where it is to be left alone.
  dev::postgres* server = nullptr;
  /// The volume that its data is on, null where that cannot be filled.
  small_volume* volume = nullptr;
};

/// What the faults strike: two processes of an application, each with its own
/// link to the database, clients that talk to them, and a look at the
/// checkpoints from outside. A journal of its own.
///
/// All of it but what the clients and that look do is done by one thread.
class bed {
public:
  static constexpr std::size_t process_count = 2;

  bed(place where, recorder& book);

  bed(const bed&) = delete;
  bed& operator=(const bed&) = delete;

  ~bed();

  // -- properties -------------------------------------------------------------

  [[nodiscard]] const place& where() const { return where_; }

  [[nodiscard]] const std::string& schema() const { return schema_; }

  /// Returns a URL that leads past the proxies.
  [[nodiscard]] const std::string& url() const { return url_; }

  recorder& book() { return book_; }

  proxy& link(std::size_t which) { return *links_[which]; }

  /// Returns a process, null before it was started.
  std::shared_ptr<vault_process> process(std::size_t which) const;

  /// Returns what connections of others do to the journal, by name.
  std::map<std::string, foreign_session>& sessions() { return sessions_; }

  /// Returns the file that sets the clock of the last process, empty where that
  /// cannot be had.
  [[nodiscard]] const std::filesystem::path& clock() const { return clock_; }

  // -- clients ----------------------------------------------------------------

  void start_clients(std::uint64_t seed);

  void stop_clients() { clients_.reset(); }

  // -- processes --------------------------------------------------------------

  /// Starts a process unless it runs.
  void start(std::size_t which);

  void kill(std::size_t which);

  /// Lets a process end in good order; one that is not quite there is killed.
  void end(std::size_t which);

  /// Waits until each process has accepted so many commands more. Returns what is
  /// wrong, an empty text where nothing is.
  [[nodiscard]] std::string wait_for_progress(std::size_t commands = 1);

  // -- the database -----------------------------------------------------------

  /// Starts the server unless it runs. Does not insist.
  void start_server();

  /// Lets a standby take over, which `over` does, and writes that down before
  /// anything is seen of it.
  void fail_over(bool synchronous, const std::function<void()>& over);

  // -- the end ----------------------------------------------------------------

  /// Stops the clients, undoes what the faults have done, waits until nothing
  /// happens any more, and writes down what the database holds. Returns what is
  /// wrong, an empty text where nothing is.
  [[nodiscard]] std::string settle();

private:
  void make_journal();
  void note_end(const vault_process& which, const std::string& how);
  void watch();
  void undo_faults();
  bool database_answers();
  bool are_gone(const std::string& backends);
  [[nodiscard]] std::string ask_all();
  void write_down();

  place where_;
  recorder& book_;
  std::string schema_;
  std::string url_;
  observer db_;
  std::filesystem::path clock_;
  std::array<std::unique_ptr<proxy>, process_count> links_;
  mutable std::mutex mutex_;
  std::array<std::shared_ptr<vault_process>, process_count> processes_;
  std::array<unsigned, process_count> lives_{};
  /// What the processes have done that nobody asked for.
  std::string complaints_;
  std::map<std::string, foreign_session> sessions_;
  std::unique_ptr<clients> clients_;
  std::mutex watching_;
  std::atomic<bool> stop_watching_{false};
  std::thread watch_;
};

} // namespace evented::test::nemesis
