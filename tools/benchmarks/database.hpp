#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct pg_conn;

namespace bench {

/// A plain connection for looking at the server. Not thread-safe; all members
/// throw `std::runtime_error`.
class connection {
public:
  explicit connection(const std::string& url);

  ~connection();

  /// Runs statements and returns the first field of the last one's first row,
  /// empty where there is none.
  std::string run(const std::string& sql);

  /// Runs a statement that returns one number.
  std::int64_t number(const std::string& sql);

private:
  struct closer {
    void operator()(pg_conn* x) const noexcept;
  };

  std::unique_ptr<pg_conn, closer> handle_;
};

/// Writes all dirty pages, so that neither side of a row pays for the other.
/// Does nothing where the user may not.
void checkpoint(const std::string& url);

/// Counts the commits of others in this database with PostgreSQL's own
/// statistics, without adding any.
class commit_counter {
public:
  explicit commit_counter(const std::string& url);

  /// Returns how many there were since the construction. Waits until all other
  /// sessions of this database have gone, which makes them report the rest.
  std::int64_t settled();

private:
  std::int64_t read_when_idle();

  connection connection_;
  std::int64_t first_;
};

} // namespace bench
