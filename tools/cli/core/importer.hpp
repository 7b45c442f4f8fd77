#pragma once

#include "journal.hpp"
#include "progress.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace evented::cli {

/// Puts the lines of an export into an empty journal, a transaction per some
/// thousands. After each, the journal is sound up to there: the sequence is
/// where the events are, so projections may read already. The journal remembers
/// how many lines it has taken, so that another attempt goes on behind them.
class importer {
public:
  /// Makes the journal where there is none.
  /// @param header the first line
  /// @param resume whether to go on with an import of the same header
  /// @throws failure(refused) where the journal holds anything else
  importer(const globals& how, const nlohmann::json& header, bool resume);

  journal& target() noexcept { return x_; }

  /// Takes the next line after the first. Those that were taken before are
  /// passed over.
  void add(std::string_view line);

  /// Stores what is left, and checks that nothing is missing.
  /// @param end the counts in the last line; null where the source has none
  nlohmann::json finish(const nlohmann::json& end);

  /// Stores what is left, for another attempt.
  void suspend() { flush(); }

private:
  void prepare(bool resume);

  void flush();

  void insert();

  void insert_events();

  void set_sequence(std::int64_t last);

  void insert_rows(const char* table, const char* key);

  void save();

  journal x_;
  nlohmann::json header_;
  /// What the journal remembers.
  nlohmann::json state_;
  std::uint64_t lines_ = 0;
  std::uint64_t pending_ = 0;
  std::string batch_;
};

} // namespace evented::cli
