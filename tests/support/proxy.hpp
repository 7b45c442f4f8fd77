#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace evented::test {

/// Names one of the two ways through a proxy.
enum class direction : std::uint8_t {
  /// From the client to the server.
  to_server,
  /// From the server to the client.
  to_client,
};

/// Shows a matcher one whole message of a client.
struct client_message {
  /// The message's type byte, e.g. 'Q' for Query; NUL for the start-up message,
  /// which has none.
  char type;
  /// What follows type and length.
  std::string_view body;
};

/// Selects the client message at which a fault strikes. Runs in the proxy's
/// thread and must not call the proxy.
using matcher = std::function<bool(const client_message&)>;

namespace match {

/// Matches every message after start-up.
matcher any();

/// Matches the start-up message.
matcher startup();

/// Matches every message of this type.
matcher type(char type);

/// Matches a message after start-up whose body contains these bytes.
matcher contains(std::string bytes);

/// Matches a Query or Parse whose SQL contains `text` in any (ASCII) case.
matcher sql(std::string text);

/// Matches a Bind of the prepared statement of this name.
matcher bind(std::string statement);

} // namespace match

/// Stands between a libpq client and a PostgreSQL server on a Unix socket and
/// loses what a test tells it to lose.
///
///     proxy link{server.socket_directory() / ".s.PGSQL.5432"};
///     auto conn = PQconnectdb(link.url("postgres").c_str());
///     link.cut_after_commit(match::sql("commit"));
///     PQexec(conn, "commit"); // broken connection, but committed
///
/// The proxy follows the protocol (version 3, not encrypted) message by
/// message, however the bytes arrive, and forwards only whole ones. A *request*
/// is what the server answers with one ReadyForQuery: a Query, or all messages
/// up to a Sync.
///
/// One-shot faults (`cut_before`, `cut_after_commit`, `cut_in_flight`, `hold`,
/// `truncate`) are armed, strike once, and are gone. Several may be armed: a
/// message is shown to them in the order of arming until one of them strikes,
/// and each skips its first `skip` matches. A fault whose connection ends
/// before it could strike stays armed. Lasting faults (`blackhole`, `refuse`,
/// `delay`) hold until `heal()`.
///
/// Thread-safe: any thread may call any function, except that matchers may not.
/// When a call returns, its effect has begun: what a client sends afterwards is
/// subject to it. Uses one thread, which takes no signals.
class proxy {
public:
  // -- constructors, destructors, and assignment operators --------------------

  /// Listens in a new directory of mode 0700 for clients of the server that
  /// listens on the socket *file* `server_socket`. The server need not run yet:
  /// it is contacted when a client has sent something.
  /// @throws std::system_error where the socket cannot be made
  explicit proxy(const std::filesystem::path& server_socket);

  proxy(const proxy&) = delete;

  proxy& operator=(const proxy&) = delete;

  /// Closes all connections and removes the directory.
  ~proxy();

  // -- properties -------------------------------------------------------------

  /// Returns the directory to give to libpq as `host` (the port is 5432).
  const std::filesystem::path& directory() const noexcept;

  /// Returns a connection URL for libpq that leads through this proxy.
  std::string url(std::string_view user,
                  std::string_view dbname = "postgres") const;

  // -- observation ------------------------------------------------------------

  /// Returns how many connections have been accepted so far, refused ones
  /// included.
  std::size_t connections() const;

  /// Returns how many connections are open now.
  std::size_t open_connections() const;

  /// Returns the process IDs of the backends behind the open connections, in
  /// the order of their acceptance. Those that have not finished the start-up
  /// are left out.
  std::vector<pid_t> backend_pids() const;

  /// Returns how many bytes have been forwarded this way on all connections.
  std::uint64_t bytes(direction way) const;

  /// Checks whether a one-shot fault has not struck yet.
  bool armed() const;

  /// Blocks until every one-shot fault armed so far has struck, i.e. until the
  /// connections are cut or the message is held.
  /// @returns whether they did before the deadline
  [[nodiscard]] bool wait_until_fired(std::chrono::milliseconds deadline
                                      = std::chrono::seconds{10}) const;

  // -- one-shot faults --------------------------------------------------------

  /// Cuts the connection when a matching message arrives: neither it nor what
  /// follows reaches the server.
  void cut_before(matcher what, std::size_t skip = 0);

  /// Forwards the request of the matching message, waits for the server's
  /// ReadyForQuery, and cuts the connection without having forwarded any of the
  /// answer. Outside of a transaction block (or if the request is the commit
  /// itself) the request is then committed, unless the server refused it. Later
  /// requests do not reach the server.
  void cut_after_commit(matcher what, std::size_t skip = 0);

  /// Forwards the request of the matching message and cuts the connection at
  /// once, without waiting for the answer: the server may carry out the request
  /// now, later or never. With the backend stopped (see `backend_pids`), it is
  /// carried out once the backend goes on.
  void cut_in_flight(matcher what, std::size_t skip = 0);

  /// Keeps the matching message and all that follows on that connection until
  /// `release()`. If the client gives up in the meantime, its messages still
  /// reach the server after the release, as late packets do.
  void hold(matcher what, std::size_t skip = 0);

  /// Cuts the next accepted connection as soon as it has forwarded `n` bytes
  /// this way, even in the middle of a message.
  void truncate(direction way, std::size_t n);

  /// Forwards what is held by `hold`. A `hold` that has not struck yet stays
  /// armed.
  void release();

  /// Drops all one-shot faults that wait for their message.
  void disarm();

  // -- lasting faults ---------------------------------------------------------

  /// Forwards nothing in either direction on present and new connections but
  /// keeps them open. Nothing is lost: what was sent arrives after `heal()`.
  void blackhole();

  /// Forwards nothing this way. With `direction::to_client`, the server carries
  /// out requests and no reply arrives.
  void blackhole(direction way);

  /// Cuts present connections and closes new ones as soon as they are accepted.
  void refuse();

  /// Forwards each message this way only when `time` has passed since its
  /// arrival. Messages that have arrived before are not affected.
  void delay(direction way, std::chrono::milliseconds time);

  /// Ends `blackhole`, `refuse` and `delay`; what they kept back arrives now.
  void heal();

  // -- cuts -------------------------------------------------------------------

  /// Cuts all present connections, with whatever they hold. They are closed
  /// when this returns.
  void cut_all();

private:
  class loop;

  std::filesystem::path directory_;
  std::unique_ptr<loop> loop_;
};

} // namespace evented::test
