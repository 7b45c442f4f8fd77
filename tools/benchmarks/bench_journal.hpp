#pragma once

#include <evented/options.hpp>
#include <evented/uuid.hpp>

#include <cstdint>
#include <string>

namespace bench {

/// Entities have IDs that pgbench can write: a number of 12 digits at the end.
evented::uuid id_of(std::uint64_t n);

/// A journal of a row's own, which goes with it.
class bench_journal {
public:
  explicit bench_journal(std::string schema) : schema_(std::move(schema)) {
    // nop
  }

  bench_journal(const bench_journal&) = delete;

  bench_journal& operator=(const bench_journal&) = delete;

  ~bench_journal();

  [[nodiscard]] const std::string& schema() const noexcept { return schema_; }

  /// Returns where the database is.
  [[nodiscard]] const std::string& url() const noexcept { return url_; }

  [[nodiscard]] evented::journal_options options() const;

  /// Makes it, with `versions` events for each of `entities` entities, those of
  /// `id_of(0)` and on.
  void fill(const std::string& url, std::uint64_t entities,
            std::uint64_t versions);

private:
  void drop();

  std::string url_;
  std::string schema_;
};

} // namespace bench
