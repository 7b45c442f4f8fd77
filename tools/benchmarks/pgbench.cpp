#include "pgbench.hpp"

#include <evented/dev/postgres.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

namespace bench {

namespace {

std::string quote(const std::string& text) {
  std::string result = "'";
  for (auto c : text)
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  return result + "'";
}

/// Returns the median of what pgbench has logged, in seconds, and removes its
/// files.
double take_latencies(const std::string& prefix) {
  std::vector<double> found;
  std::filesystem::path base{prefix};
  for (auto& x : std::filesystem::directory_iterator{base.parent_path()}) {
    if (!x.path().filename().string().starts_with(base.filename().string()
                                                  + "."))
      continue;
    std::ifstream in{x.path()};
    std::string line;
    while (std::getline(in, line)) {
      // The client, the transaction's number, and its microseconds.
      std::istringstream fields{line};
      double client = 0, number = 0, us = 0;
      if (fields >> client >> number >> us)
        found.push_back(us / 1e6);
    }
    std::filesystem::remove(x.path());
  }
  if (found.empty())
    throw std::runtime_error("pgbench has logged nothing");
  auto middle = found.begin() + static_cast<std::ptrdiff_t>(found.size() / 2);
  std::nth_element(found.begin(), middle, found.end());
  return *middle;
}

/// Returns the number that follows the last `label` in `text`.
double number_after(const std::string& text, const std::string& label) {
  auto at = text.rfind(label);
  if (at == std::string::npos)
    throw std::runtime_error("pgbench says nothing about " + label + ":\n"
                             + text);
  return std::strtod(text.c_str() + at + label.size(), nullptr);
}

} // namespace

pgbench::pgbench(std::string url, const std::string& script)
  : url_(std::move(url)),
    file_((std::filesystem::temp_directory_path() / "evented-bench-XXXXXX")
            .string()) {
  auto fd = mkstemp(file_.data());
  if (fd < 0
      || write(fd, script.data(), script.size())
           != static_cast<ssize_t>(script.size()))
    throw std::runtime_error("cannot write " + file_);
  close(fd);
}

pgbench::~pgbench() {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

pgbench::outcome pgbench::run(unsigned clients,
                              std::chrono::milliseconds duration,
                              bool latencies) const {
  auto seconds = std::max<std::int64_t>(1, (duration.count() + 500) / 1000);
  auto threads = std::clamp(std::thread::hardware_concurrency(), 1u, clients);
  auto command
    = quote(evented::dev::find_program("pgbench").string())
      + " --no-vacuum --protocol=prepared --client=" + std::to_string(clients)
      + " --jobs=" + std::to_string(threads) + " --time="
      + std::to_string(seconds) + " --define=clients=" + std::to_string(clients)
      + " --file=" + quote(file_)
      + (latencies ? " --log --log-prefix=" + quote(file_) : "") + " "
      + quote(url_) + " 2>&1";
  auto* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr)
    throw std::runtime_error("cannot run pgbench");
  std::string output;
  char buf[4096];
  while (auto n = fread(buf, 1, sizeof(buf), pipe))
    output.append(buf, n);
  if (pclose(pipe) != 0)
    throw std::runtime_error("pgbench failed:\n" + output);
  return {number_after(output, "tps = "),
          static_cast<std::int64_t>(number_after(
            output, "number of transactions actually processed: ")),
          latencies ? take_latencies(file_) : 0};
}

} // namespace bench
