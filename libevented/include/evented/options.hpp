#pragma once

#include <evented/codec.hpp>
#include <evented/entity_id.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

namespace evented {

/// A text that must not appear in logs: it has no stream operator and no
/// implicit conversion, and `reveal` is easy to search for.
class secret {
public:
  secret() = default;

  /// Keeps a copy of the text.
  /// @{
  secret(std::string text) : text_(std::move(text)) {} // NOLINT: implicit
  secret(const char* text) : text_(text) {}            // NOLINT: implicit
  /// @}

  /// Returns the text itself.
  [[nodiscard]] const std::string& reveal() const noexcept { return text_; }

  /// Returns whether there is no text.
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

private:
  std::string text_;
};

/// Names what stands between this process and PostgreSQL.
enum class pooler : std::uint8_t {
  /// Nothing, or a pooler in session mode.
  none,
  /// PgBouncer or the like in transaction mode: no named prepared statements,
  /// no session settings.
  transaction,
};

/// Names how a process learns that another one has stored events.
enum class wake_up : std::uint8_t {
  /// By NOTIFY and LISTEN, with `poll_interval` as the fallback.
  notify,
  /// By looking every `poll_interval`; nothing is announced to others either.
  poll,
};

/// Says where a journal is and how it is used. A plain struct: set what differs
/// from the defaults.
struct journal_options {
  /// A connection URL or libpq connection string. The fields below it override
  /// what it says.
  secret url;
  /// See `url`.
  /// @{
  std::string host;
  std::uint16_t port = 0;
  std::string database;
  std::string user;
  secret password;
  /// @}
  /// A file whose first line is the password; read at every connect, so that
  /// a rotated password needs no restart.
  std::filesystem::path password_file;
  /// libpq's sslmode, for example `verify-full`. Empty: what the URL says, else
  /// `verify-full` for a server that is neither a unix socket nor on loopback.
  std::string sslmode;

  /// The PostgreSQL schema that holds the journal, 1 to 63 characters of
  /// `[a-z0-9_]`, not beginning with a digit.
  std::string schema = "evented";
  /// The kind of the entity IDs in this journal.
  id_kind ids = id_kind::uuid;
  /// How payloads are written in this journal.
  codec payloads = codec::json;
  /// What stands between this process and PostgreSQL.
  evented::pooler pooler = pooler::none;
  /// With `pooler::transaction`: where the server itself is, since LISTEN does
  /// not work through such a pooler. Takes the place of `url`, `host` and
  /// `port` for that one connection. Empty: polling only.
  secret listen_url;

  /// Connections that append. Every entity always uses the same one.
  unsigned writers = 2;
  /// Connections that load entities.
  unsigned readers = 2;

  /// How this process learns what others have stored, and tells them.
  evented::wake_up wake_up = wake_up::notify;
  /// How often projections look for events that nobody has announced.
  std::chrono::milliseconds poll_interval{500};
  /// After this at the latest, another process has taken over the projections
  /// of one that is gone, stopped or cut off.
  std::chrono::milliseconds take_over{10'000};

  /// The most commands that one append stores together.
  std::size_t max_batch_commands = 512;
  /// The most payload bytes that one append stores together.
  std::size_t max_batch_bytes = 8 * 1024 * 1024;
  /// The largest payload of one event, in bytes.
  std::size_t max_event_bytes = 4 * 1024 * 1024;

  /// How long a connection attempt may take. libpq counts whole seconds, at
  /// least two.
  std::chrono::seconds connect_timeout{3};
  /// How long one statement may run on the server; the client gives up half a
  /// second later by closing the connection.
  std::chrono::milliseconds statement_timeout{2000};
  /// How long a statement may wait for a lock.
  std::chrono::milliseconds lock_timeout{1000};
  /// How long the listeners of one command may take together.
  std::chrono::milliseconds listener_timeout{1000};
};

} // namespace evented
