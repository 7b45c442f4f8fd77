#pragma once

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace evented::test {

/// Remembers what this program logs. The first call of `instance` must come
/// before any other thread logs.
class log_lines : public spdlog::sinks::base_sink<std::mutex> {
public:
  static log_lines& instance() {
    static auto sink = [] {
      auto result = std::make_shared<log_lines>();
      spdlog::default_logger()->sinks().push_back(result);
      return result;
    }();
    return *sink;
  }

  /// Returns how many lines contain `text`.
  std::size_t count(const std::string& text) {
    std::lock_guard guard{mutex_};
    return static_cast<std::size_t>(
      std::count_if(lines_.begin(), lines_.end(), [&](auto& line) {
        return line.find(text) != std::string::npos;
      }));
  }

  void clear() {
    std::lock_guard guard{mutex_};
    lines_.clear();
  }

protected:
  void sink_it_(const spdlog::details::log_msg& msg) override {
    lines_.emplace_back(msg.payload.data(), msg.payload.size());
  }

  void flush_() override {
    // nop
  }

private:
  std::vector<std::string> lines_;
};

} // namespace evented::test
