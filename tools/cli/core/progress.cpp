#include "progress.hpp"

#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace evented::cli {

progress::progress(std::string what, std::uint64_t total)
  : what_(std::move(what)), total_(total), shown_(isatty(STDERR_FILENO) != 0) {
  // nop
}

progress::~progress() {
  if (shown_ && last_ != clock::time_point::min())
    std::fputs("\r\x1b[K", stderr);
}

double progress::seconds() const {
  return std::chrono::duration<double>(clock::now() - begin_).count();
}

void progress::show() {
  auto now = clock::now();
  if (last_ != clock::time_point::min()
      && now - last_ < std::chrono::milliseconds{200})
    return;
  last_ = now;
  auto rate = static_cast<double>(done_) / std::max(seconds(), 0.001);
  auto line = fmt::format("\r{}  ", what_);
  if (total_ > 0) {
    auto part
      = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    auto full = static_cast<std::size_t>(part * 20);
    line += fmt::format("[{}{}] {:.0f} %  ", std::string(full, '#'),
                        std::string(20 - full, ' '), part * 100);
  }
  line += fmt::format("{}  {}/s", grouped(done_),
                      grouped(static_cast<std::uint64_t>(rate)));
  if (total_ > done_ && rate > 0)
    line
      += "  " + span_text(static_cast<double>(total_ - done_) / rate) + " left";
  std::fprintf(stderr, "%s\x1b[K", line.c_str());
  std::fflush(stderr);
}

namespace {

volatile std::sig_atomic_t interrupts = 0;

extern "C" void on_interrupt(int signal) {
  interrupts = 1;
  // The second time, it means it.
  std::signal(signal, SIG_DFL);
}

} // namespace

void watch_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

bool interrupted() noexcept {
  return interrupts != 0;
}

} // namespace evented::cli
