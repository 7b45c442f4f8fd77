#include "cpu_time.hpp"

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace bench {

namespace {

/// What /proc says of a process.
struct process {
  pid_t parent = 0;
  /// In clock ticks: its own, and those of its children that have ended.
  long own = 0;
  long children = 0;
};

process read_process(const std::string& id) {
  std::ifstream in{"/proc/" + id + "/stat"};
  std::string text;
  std::getline(in, text);
  // The name before it may hold anything.
  auto end = text.rfind(')');
  if (end == std::string::npos)
    return {};
  std::istringstream fields{text.substr(end + 1)};
  std::string ignored;
  process result;
  fields >> ignored >> result.parent;
  for (auto i = 0; i < 9; ++i)
    fields >> ignored;
  long user = 0;
  long system = 0;
  long children_user = 0;
  long children_system = 0;
  fields >> user >> system >> children_user >> children_system;
  result.own = user + system;
  result.children = children_user + children_system;
  return result;
}

} // namespace

double own_cpu_seconds() {
  rusage x{};
  getrusage(RUSAGE_SELF, &x);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(x.ru_utime) + seconds(x.ru_stime);
}

double server_cpu_seconds(pid_t first) {
  if (first == 0)
    return 0;
  auto root = read_process(std::to_string(first));
  auto ticks = root.own + root.children;
  for (auto& entry : std::filesystem::directory_iterator{"/proc"}) {
    auto id = entry.path().filename().string();
    if (std::isdigit(static_cast<unsigned char>(id[0])) == 0)
      continue;
    auto x = read_process(id);
    if (x.parent == first)
      ticks += x.own;
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

} // namespace bench
