#include <evented/testkit/failure.hpp>

#include <string_view>
#include <utility>

namespace evented::testkit {

namespace {

std::function<void(const failure&)>& handler() {
  static std::function<void(const failure&)> instance;
  return instance;
}

void add_part(std::string& to, std::string_view title,
              const std::vector<std::string>& lines) {
  for (auto& line : lines) {
    to += "\n  ";
    to += title;
    to.append(title.size() < 10 ? 10 - title.size() : 1, ' ');
    to += line;
    title = "";
  }
}

std::string with_location(const failure& x) {
  auto text = to_string(x);
  if (x.where.line == 0)
    return text;
  return x.where.file + (":" + std::to_string(x.where.line)) + ": " + text;
}

} // namespace

std::string to_string(const failure& x) {
  auto result = x.summary;
  add_part(result, "given", x.given);
  add_part(result, "when", x.when);
  add_part(result, "expected", x.expected);
  add_part(result, "got", x.got);
  return result;
}

check_failed::check_failed(const failure& x)
  : std::logic_error(with_location(x)) {
  // nop
}

void on_failure(std::function<void(const failure&)> f) {
  handler() = std::move(f);
}

void fail(const failure& x) {
  if (!handler())
    throw check_failed{x};
  handler()(x);
}

} // namespace evented::testkit
