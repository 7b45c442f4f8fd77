#include "chart.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

namespace bench {

void draw_chart(const std::string& file, const std::vector<result>& results) {
  // The first row is to be on top.
  std::string rows;
  auto place = results.size();
  for (auto& x : results) {
    auto better = x.unit.ends_with("less is better") || x.unit == "ms"
                    ? 1 / x.ratio
                    : x.ratio;
    rows += fmt::format("{} \"{}\" {:.4f} \"{:.3g} x\"\n", place--, x.name,
                        better, better);
  }
  auto script = fmt::format(
    R"(set terminal svg noenhanced size 760,{} font "sans-serif,13" background "white"
set output "{}"
$rows << end
{}end
set logscale x 2
set xrange [0.125:128]
set yrange [0.3:{}.7]
set ytics () nomirror scale 0
set border 1
set xtics nomirror
set xlabel "times better than the baseline, log scale"
set grid xtics lc rgb "#dddddd"
set arrow from 1,0.3 to 1,{}.7 nohead lc rgb "#555555"
unset key
set style fill solid noborder
plot $rows using 3:1:(1):3:($1-0.32):($1+0.32):($3 < 1 ? 0xc65d3b : 0x2f6fab):ytic(2) with boxxyerror lc rgb variable, \
     $rows using ($3 < 1 ? 1 : $3):1:4 with labels left offset 0.6,0 font ",11"
)",
    60 + 26 * results.size(), file, rows, results.size(), results.size());
  std::unique_ptr<FILE, decltype(&pclose)> gnuplot{popen("gnuplot", "w"),
                                                   &pclose};
  if (!gnuplot)
    throw std::runtime_error("cannot run gnuplot");
  std::fputs(script.c_str(), gnuplot.get());
  if (pclose(gnuplot.release()) != 0)
    throw std::runtime_error("gnuplot has failed");
}

} // namespace bench
