#pragma once

#include "report.hpp"

#include <string>
#include <vector>

namespace bench {

/// Draws the ratios of the rows as SVG into a file, with gnuplot: bars that go
/// right from 1 where we are faster, smaller or sooner than the baseline, and
/// left where we are not.
/// @throws std::runtime_error
void draw_chart(const std::string& file, const std::vector<result>& results);

} // namespace bench
