#pragma once

#include <httplib.h>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

namespace evented::test {

/// What Prometheus reads: the value of each line, by its name and labels as they
/// stand there.
using samples = std::map<std::string, double>;

/// Returns the text at `/metrics`.
inline std::string scrape_text(int port) {
  httplib::Client client{"127.0.0.1", port};
  auto found = client.Get("/metrics");
  if (!found || found->status != 200)
    throw std::runtime_error("nothing to be scraped");
  return found->body;
}

/// Takes the text format of Prometheus apart.
/// @throws std::runtime_error where a line is none of it
inline samples parse_samples(const std::string& text) {
  samples result;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE "))
      continue;
    auto end = line.rfind(' ');
    std::size_t used = 0;
    auto value
      = end == std::string::npos ? 0 : std::stod(line.substr(end + 1), &used);
    if (used == 0 || used != line.size() - end - 1
        || !result.emplace(line.substr(0, end), value).second)
      throw std::runtime_error("this is no sample: " + line);
  }
  return result;
}

} // namespace evented::test
