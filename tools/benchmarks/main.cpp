// Measures libevented next to what PostgreSQL does without it, prints a table
// and writes it as JSON.

#include "chart.hpp"
#include "node_process.hpp"
#include "report.hpp"
#include "row.hpp"

#include <evented/dev/postgres.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>

using namespace std::chrono_literals;

namespace {

struct settings {
  bool quick = false;
  unsigned rounds = 5;
  double seconds = 5;
  std::string json;
  std::string chart;
  std::vector<std::string> rows;
};

int measure(const settings& how, bench::environment env) {
  std::vector<std::unique_ptr<bench::row>> rows;
  for (auto& x : bench::all_rows())
    if (how.rows.empty()
        || std::find(how.rows.begin(), how.rows.end(), x->name())
             != how.rows.end())
      rows.push_back(std::move(x));

  std::puts("Looking for a database ...");
  evented::dev::database db{evented::dev::postgres_options{}};
  if (db.server() != nullptr)
    std::puts("A private PostgreSQL runs: default settings, fsync on.");
  env.url = db.url();
  env.server = db.server() != nullptr ? db.server()->pid() : 0;

  std::vector<bench::samples> all;
  for (auto& x : rows) {
    std::printf("\nPreparing %s ...\n", x->name().c_str());
    x->prepare(env);
    all.push_back({x->name(), x->unit(), {}, {}});
  }
  for (unsigned round = 0; round < how.rounds; ++round) {
    std::printf("\nRound %u of %u\n", round + 1, how.rounds);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      // Which side goes first alternates.
      if (round % 2 == 0)
        all[i].ours.push_back(rows[i]->ours(env));
      all[i].baseline.push_back(rows[i]->baseline(env));
      if (round % 2 != 0)
        all[i].ours.push_back(rows[i]->ours(env));
    }
  }
  std::vector<bench::result> results;
  for (auto& x : all)
    results.push_back(bench::summarize(x));
  // Their tables go before the server does.
  rows.clear();
  bench::print_table(results);
  if (!how.json.empty())
    bench::write_json(how.json, results);
  if (!how.chart.empty())
    bench::draw_chart(how.chart, results);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  std::vector<std::string> names;
  for (auto& x : bench::all_rows())
    names.push_back(x->name());

  settings how;
  bench::environment env;
  CLI::App app{
    "Measures libevented row by row, each in turns with its baseline, on one "
    "PostgreSQL: a private one that goes away afterwards, or the one that "
    "EVENTED_DATABASE_URL names (where the schemas evented_bench_* and "
    "ancestor_bench_* are dropped).\n\n"
    "ours, baseline and ratio are medians over the rounds, the ratio taken "
    "round by round; spread is (largest - smallest) / median of the ratio. "
    "Figures of different runs or machines do not compare, ratios do.",
    "evented_bench"};
  app.add_flag("--quick", how.quick,
               "Takes less than a minute: one short round of smaller rows");
  app.add_flag("--smoke", env.smoke,
               "Only shows that each row works; its figures mean nothing");
  auto* rounds = app.add_option("--rounds", how.rounds,
                                "How often each row is measured (5)");
  rounds->check(CLI::PositiveNumber);
  auto* seconds = app.add_option("--seconds", how.seconds,
                                 "How long each side of a row takes (5)");
  seconds->check(CLI::PositiveNumber);
  app.add_option("--row", how.rows, "Measures only this row; may be repeated")
    ->check(CLI::IsMember(names));
  app.add_option("--json", how.json,
                 "Writes a list of objects with name, unit, ours, baseline, "
                 "ratio and spread to this file");
  app.add_option("--chart", how.chart,
                 "Draws the ratios as SVG into this file, with gnuplot");
  app
    .add_option("--drivers", env.drivers, "How many actors send commands (32)")
    ->check(CLI::Range(1, 64));
  app.add_option("--policy", env.policy, "The policy of CAF's scheduler")
    ->check(CLI::IsMember({"sharing", "stealing"}));
  app.add_option(
    "--threads", env.threads,
    "The threads of CAF's scheduler (0: as CAF does; default: one per core)");
  // How this program starts itself again for the rows with nodes.
  std::vector<std::string> node;
  app.add_option("--node", node)->expected(2)->group("");
  CLI11_PARSE(app, argc, argv);
  if (how.quick || env.smoke) {
    if (rounds->count() == 0)
      how.rounds = 1;
    if (seconds->count() == 0)
      how.seconds = env.smoke ? 0.1 : 0.5;
    env.quick = true;
  }
  env.duration
    = std::chrono::milliseconds{static_cast<std::int64_t>(1000 * how.seconds)};
  try {
    return node.empty() ? measure(how, env) : bench::run_node(node);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "evented_bench: %s\n", e.what());
    return 1;
  }
}
