#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace evented::dev {

/// Says where a private PostgreSQL keeps its data, and how it is set up.
struct postgres_options {
  /// Where the data is kept between runs. Empty: in a temporary directory that
  /// goes away with the server.
  std::filesystem::path directory = {};

  /// Whether commits survive a power cut. Tests pass `false` for speed.
  bool fsync = true;

  /// Further settings of the server, such as `max_prepared_transactions`. They
  /// are passed on its command line, so `ALTER SYSTEM` cannot change them.
  std::vector<std::pair<std::string, std::string>> settings = {};
};

/// Selects how a server shuts down, in PostgreSQL's own words.
enum class shutdown {
  /// Waits until all clients have gone.
  smart,
  /// Disconnects all clients and shuts down cleanly.
  fast,
  /// Aborts: the next start recovers from the log, as after a crash.
  immediate,
};

/// Runs a private PostgreSQL server for examples, tests and benchmarks.
///
/// The server listens on a Unix socket only, in a directory that nobody else
/// may enter, and needs no password. It runs under the own user, or, as
/// PostgreSQL refuses root, under `postgres` or `nobody` where that is root.
///
/// It shuts down with its owner even where that is killed: a small shell
/// process watches a file lock that the owner holds, and stops the server (and
/// removes a temporary directory) as soon as nobody holds it.
///
/// Owners with the same directory, in one process or in several, share one
/// server: the first starts it with its options, those of the others have no
/// effect, and the last one to go stops it. What an owner does through `stop`,
/// `restart` and `kill` hits the others too. One that comes while the server is
/// shutting down waits for that and starts it again.
///
/// A forked child that lives on without `exec` keeps a killed owner's server
/// alive.
///
/// All members may throw `std::runtime_error`, whose text includes the end of
/// the server's log where that helps. The `const` members may be called from
/// several threads at once, the others from one at a time.
class postgres {
public:
  // -- constructors, destructors, and assignment operators --------------------

  /// Starts a server, or joins the one that runs in `opts.directory`; returns
  /// as soon as it accepts connections.
  explicit postgres(postgres_options opts = {});

  /// Takes over the server of the other one, which must not be used any more.
  /// @{
  postgres(postgres&& other) noexcept;

  postgres& operator=(postgres&& other) noexcept;
  /// @}

  /// Shuts the server down unless others share it.
  ~postgres();

  // -- properties -------------------------------------------------------------

  /// Returns a connection URI that libpq understands.
  std::string url(std::string_view database = "postgres") const;

  /// Returns the directory of the Unix socket.
  std::filesystem::path socket_directory() const;

  /// Returns the directory that `initdb` made.
  std::filesystem::path data_directory() const;

  /// Returns the file that the server writes its log to.
  std::filesystem::path log_file() const;

  /// Returns the database user, a superuser: `evented`, whoever runs this.
  std::string user() const;

  /// Returns the process ID of the server (the postmaster), 0 where none runs.
  pid_t pid() const;

  // -- modifiers --------------------------------------------------------------

  /// Shuts the server down and waits until it is gone.
  /// @note `smart` waits for clients up to a minute, then this throws.
  void stop(shutdown mode = shutdown::fast);

  /// Starts the server again. Does nothing where it runs.
  void start();

  /// Shuts the server down and starts it again.
  void restart(shutdown mode = shutdown::fast);

  /// Kills all processes of the server at once (SIGKILL).
  void kill();

private:
  class impl;

  std::unique_ptr<impl> impl_;
};

/// Returns the directory in which `name` keeps its data between runs, below
/// `$XDG_STATE_HOME/evented`, `~/.local/state/evented`, or `/var/lib/evented`
/// for root, where the server's user can reach it.
///
/// Creates all but the last part, and refuses what belongs to another user.
std::filesystem::path default_directory(std::string_view name);

/// Returns the path of a PostgreSQL program such as `initdb` or `pgbench`: from
/// PATH, or else from the newest version in `/usr/lib/postgresql`.
std::filesystem::path find_program(std::string_view name);

/// Names the environment variable that replaces the private server.
inline constexpr const char* database_url_variable = "EVENTED_DATABASE_URL";

/// The database of a program: the one that EVENTED_DATABASE_URL names, or else
/// a private server that lives as long as this object.
///
///     evented::dev::database db{"counter"};
///     evented::journal journal{sys, db.url()};
class database {
public:
  /// Keeps the data of a private server in `default_directory(name)`.
  explicit database(std::string_view name);

  /// Starts a private server with these options.
  explicit database(postgres_options opts);

  /// Returns the connection URI.
  const std::string& url() const noexcept { return url_; }

  /// Returns the private server, `nullptr` where the environment names another.
  postgres* server() noexcept { return server_ ? &*server_ : nullptr; }

private:
  std::optional<postgres> server_;
  std::string url_;
};

} // namespace evented::dev
