#include "answer_log.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

namespace evented::detail {

namespace {

/// Whether an answer means that something is wrong here, rather than with the
/// command or at its time.
bool is_alarming(errc outcome) {
  switch (outcome) {
  case errc::conflict:
  case errc::overloaded:
  case errc::unavailable:
  case errc::outcome_unknown:
  case errc::handler_failed:
  case errc::listener_failed:
  case errc::invalid_event:
  case errc::corrupt_event:
  case errc::refused:
  case errc::unreadable_reply:
    return true;
  default:
    return false;
  }
}

/// Lets one line a second of an outcome pass.
class throttle {
public:
  /// Returns whether a line may pass, and how many did not since the last one.
  bool pass(std::uint64_t& swallowed) noexcept {
    using namespace std::chrono;
    auto now
      = duration_cast<milliseconds>(steady_clock::now().time_since_epoch())
          .count();
    auto last = last_.load(std::memory_order_relaxed);
    if (now - last < 1000
        || !last_.compare_exchange_strong(last, now,
                                          std::memory_order_relaxed)) {
      swallowed_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    swallowed = swallowed_.exchange(0, std::memory_order_relaxed);
    return true;
  }

private:
  std::atomic<std::int64_t> last_{-1000};
  std::atomic<std::uint64_t> swallowed_{0};
};

std::string line_of(const answered_command& x, errc outcome) {
  auto result = fmt::format(
    "outcome={} entity_type={} entity_id={} version={}",
    outcome == errc::none ? "accepted" : to_string(outcome),
    log_value(x.type_name), log_value(to_string(x.id)), x.version);
  auto add = [&result](const char* key, const std::string& value) {
    if (!value.empty())
      result += fmt::format(" {}={}", key, log_value(value));
  };
  add("correlation_id", x.trace.correlation_id);
  add("causation_id", x.trace.causation_id);
  add("traceparent", x.trace.traceparent);
  return result;
}

} // namespace

void log_answer(const answered_command& x, errc outcome, std::string_view why) {
  if (spdlog::should_log(spdlog::level::debug)) {
    spdlog::debug("evented: command {} text={}", line_of(x, outcome),
                  log_value(why));
    return;
  }
  if (!is_alarming(outcome))
    return;
  static std::array<throttle, 64> throttles;
  std::uint64_t swallowed = 0;
  if (throttles[static_cast<std::size_t>(outcome) % throttles.size()].pass(
        swallowed))
    spdlog::warn("evented: command {} others={} text={}", line_of(x, outcome),
                 swallowed, log_value(why));
}

std::string log_value(std::string_view text) {
  constexpr std::string_view harmless
    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+";
  if (!text.empty()
      && text.find_first_not_of(harmless) == std::string_view::npos)
    return std::string{text};
  std::string result = "\"";
  for (auto c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F)
      result += fmt::format("\\x{:02x}", byte);
    else
      result.append(c == '"' || c == '\\' ? "\\" : "").push_back(c);
  }
  return result + '"';
}

} // namespace evented::detail
