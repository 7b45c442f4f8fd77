#pragma once

#include <string>
#include <vector>

namespace bench {

/// What came of one row: a value per round.
struct samples {
  std::string name;
  std::string unit;
  std::vector<double> ours;
  std::vector<double> baseline;
};

/// A finished line of the table.
struct result {
  std::string name;
  std::string unit;
  /// Medians over the rounds; the ratio is taken round by round.
  double ours = 0;
  double baseline = 0;
  double ratio = 0;
  /// (largest ratio - smallest ratio) / median ratio.
  double spread = 0;
};

/// @pre both sides of `x` have the same number of values, at least one
result summarize(const samples& x);

void print_table(const std::vector<result>& results);

/// Writes a list of objects, one per row.
/// @throws std::runtime_error
void write_json(const std::string& file, const std::vector<result>& results);

} // namespace bench
