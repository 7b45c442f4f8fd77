#include "report.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace bench {

namespace {

double median(std::vector<double> xs) {
  std::sort(xs.begin(), xs.end());
  auto half = xs.size() / 2;
  return xs.size() % 2 == 1 ? xs[half] : (xs[half - 1] + xs[half]) / 2;
}

} // namespace

result summarize(const samples& x) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < x.ours.size(); ++i)
    ratios.push_back(x.ours[i] / x.baseline[i]);
  auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  auto ratio = median(ratios);
  return {x.name,         x.unit,
          median(x.ours), median(x.baseline),
          ratio,          (*high - *low) / ratio};
}

void print_table(const std::vector<result>& results) {
  std::printf("\n%-20s %-18s %12s %12s %8s %8s\n", "name", "unit", "ours",
              "baseline", "ratio", "spread");
  for (auto& x : results)
    std::printf("%-20s %-18s %12.1f %12.1f %7.2fx %7.1f%%\n", x.name.c_str(),
                x.unit.c_str(), x.ours, x.baseline, x.ratio, 100 * x.spread);
}

void write_json(const std::string& file, const std::vector<result>& results) {
  auto list = nlohmann::ordered_json::array();
  for (auto& x : results)
    list.push_back({{"name", x.name},
                    {"unit", x.unit},
                    {"ours", x.ours},
                    {"baseline", x.baseline},
                    {"ratio", x.ratio},
                    {"spread", x.spread}});
  std::ofstream out{file};
  out << list.dump(2) << '\n';
  out.close();
  if (!out)
    throw std::runtime_error("cannot write " + file);
}

} // namespace bench
