#include "figures.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace evented::cli {

namespace {

using nlohmann::json;

class text_format {
public:
  void family(const char* name, const char* help) {
    name_ = name;
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", name, help);
  }

  void add(double value, const std::string& label = {},
           const std::string& of = {}) {
    text += name_;
    if (!label.empty())
      text += "{" + label + "=\"" + escaped(of) + "\"}";
    text += fmt::format(" {:.15g}\n", value);
  }

  std::string text;

private:
  static std::string escaped(const std::string& from) {
    std::string result;
    for (auto c : from)
      if (c == '\n')
        result += "\\n";
      else
        result.append(c == '"' || c == '\\' ? "\\" : "").push_back(c);
    return result;
  }

  std::string name_;
};

} // namespace

std::string render_figures(const json& state) {
  text_format to;
  to.family("evented_journal_frontier_seq_no",
            "Up to which number everything is visible or rolled back.");
  to.add(state["frontier"]);
  to.family("evented_journal_last_seq_no", "The last number that was drawn.");
  to.add(state["last_number"]);
  auto held = 0.0;
  for (auto& x : state["frontier_holders"])
    held = std::max(held, x["seconds"].get<double>());
  to.family("evented_journal_frontier_held_seconds",
            "For how long the oldest transaction has held the frontier back.");
  to.add(held);
  auto each = [&](const char* name, const char* help, auto value) {
    to.family(name, help);
    for (auto& x : state["projections"])
      to.add(value(x), "projection", x["name"]);
  };
  each("evented_journal_projection_lag_events",
       "Events that may wait for the projection; at most 10000 are counted.",
       [](const json& x) { return x["lag_events"].get<double>(); });
  each("evented_journal_projection_lag_seconds",
       "The age of the oldest event that may wait.",
       [](const json& x) { return x["lag_seconds"].get<double>(); });
  each("evented_journal_projection_running",
       "1 where programs run it, or an operator has paused it.",
       [](const json& x) {
         auto how = x["state"].get<std::string>();
         return how == "not running" || how == "halted" ? 0.0 : 1.0;
       });
  each("evented_journal_projection_dead_letters",
       "Dead letters that wait for somebody.",
       [](const json& x) { return x["dead_letters"].get<double>(); });
  to.family("evented_journal_outbox_due", "Messages that could go out now.");
  to.add(state["outbox"]["due"]);
  to.family("evented_journal_outbox_oldest_due_seconds",
            "The age of the oldest of them.");
  to.add(state["outbox"]["oldest_due_seconds"]);
  return to.text;
}

} // namespace evented::cli
